package osservice

// PolicyKey is where Group Policy writes what administrators prescribe to an agent, below HKEY_LOCAL_MACHINE. The
// template of installer/windows/policy offers exactly the values of [PolicyNames] there.
const PolicyKey = `Software\Policies\Tapline\Agent`

// PolicyNames are the values that a policy may set.
func PolicyNames() []string {
	return []string{"Broker", "Mode", "DecideMilliseconds", "IdleSeconds"}
}

// Policy is what administrators prescribe to this machine, by name, numbers in decimal. It beats the configuration file.
// A name that is not prescribed is missing; on Linux, where configuration management owns the file itself, all are.
// An unreadable key is an error and not an empty policy.
func Policy() (map[string]string, error) { return policy() }

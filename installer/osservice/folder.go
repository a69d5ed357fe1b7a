package osservice

import (
	"os"
	"path/filepath"
	"strings"
)

// Folder is where the service keeps what it writes: on Linux STATE_DIRECTORY when systemd sets it, else /var/lib/NAME;
// on Windows ProgramData\Tapline\PART, asked from the system and never taken from the environment, which every caller
// can set. The folder may not exist yet: see [SecureFolder].
func Folder(spec Spec) (string, error) { return folder(spec) }

// ConfigFile is where the packages put the service's configuration: /etc/tapline/agent.yaml on Linux, agent.yaml in
// [Folder] on Windows.
func ConfigFile(spec Spec) (string, error) { return configFile(spec) }

// SecureFolder makes dir, and what is missing above it, and leaves it to its service: mode 0700 on Linux, SYSTEM and
// administrators on Windows. It is also for a folder that exists, because anybody may create one in ProgramData first.
func SecureFolder(dir string) error { return secureFolder(dir) }

// part is the last word of a service's name: "agent" of "tapline-agent".
func (s Spec) part() string { return s.Name[strings.LastIndexByte(s.Name, '-')+1:] }

// underSystemd is the first of the folders in STATE_DIRECTORY (systemd.exec(5): separated by ":"), or "".
func underSystemd() string {
	first, _, _ := strings.Cut(os.Getenv("STATE_DIRECTORY"), ":")
	if !filepath.IsAbs(first) {
		return ""
	}
	return first
}

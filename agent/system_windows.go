package agent

// defaultSocket is the name of a pipe.
func defaultSocket(string) string { return `\\.\pipe\tapline` }

func dependencies() []string { return []string{"SCardSvr"} }

package agent

import "path/filepath"

func defaultSocket(dir string) string { return filepath.Join(dir, "agent.sock") }

func dependencies() []string { return []string{"SCardSvr"} }

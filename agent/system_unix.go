//go:build !windows

package agent

func defaultSocket(string) string { return "/run/tapline/agent.sock" }

func dependencies() []string { return nil }

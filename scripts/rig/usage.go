//go:build linux

package rig

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// Usage is what a process has used so far.
type Usage struct {
	CPU time.Duration // user and system
	RSS int64         // bytes
}

// Linux reports CPU times in ticks of a hundredth of a second to user space, whatever the kernel's own clock is (proc(5), sysconf(3)).
const tick = 10 * time.Millisecond

// Usage reads what the present run of a process has used.
func (p *Process) Usage() (Usage, error) {
	pid := p.PID()
	if pid == 0 {
		return Usage{}, fmt.Errorf("%s does not run", p.name)
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return Usage{}, fmt.Errorf("read usage of %s: %w", p.name, err)
	}
	// The name in brackets may hold anything, so count from its end: field 3 follows.
	_, rest, ok := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	if !ok || len(fields) < 22 {
		return Usage{}, fmt.Errorf("read usage of %s: /proc/%d/stat is short", p.name, pid)
	}
	number := func(field int) int64 { // as numbered in proc(5)
		n, _ := strconv.ParseInt(fields[field-3], 10, 64)
		return n
	}
	return Usage{CPU: time.Duration(number(14)+number(15)) * tick, RSS: number(24) * int64(os.Getpagesize())}, nil
}

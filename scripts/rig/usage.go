//go:build linux

package rig

import (
	"fmt"
	"os"
	"path/filepath"
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
	st, err := readStat(pid)
	if err != nil {
		return Usage{}, fmt.Errorf("usage of %s: %w", p.name, err)
	}
	return Usage{CPU: time.Duration(st.field(14)+st.field(15)) * tick, RSS: st.field(24) * int64(os.Getpagesize())}, nil
}

// stat is what Linux tells of a process, from the third field on.
type stat []string

func readStat(pid int) (stat, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil, err
	}
	// The name in brackets may hold anything, so count from its end: field 3 follows.
	_, rest, ok := strings.Cut(string(b), ") ")
	fields := strings.Fields(rest)
	if !ok || len(fields) < 22 {
		return nil, fmt.Errorf("/proc/%d/stat is short", pid)
	}
	return fields, nil
}

// field is a number, as numbered in proc(5).
func (s stat) field(n int) int64 {
	v, _ := strconv.ParseInt(s[n-3], 10, 64)
	return v
}

// familyCPU is what a process and its children have used, those that have ended included.
func familyCPU(parent int) (time.Duration, error) {
	st, err := readStat(parent)
	if err != nil {
		return 0, err
	}
	sum := st.field(14) + st.field(15) + st.field(16) + st.field(17)
	all, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return 0, err
	}
	for _, path := range all {
		pid, err := strconv.Atoi(filepath.Base(path))
		if err != nil {
			continue
		}
		if st, err := readStat(pid); err == nil && st.field(4) == int64(parent) { // one that has ended meanwhile counts with its parent
			sum += st.field(14) + st.field(15)
		}
	}
	return time.Duration(sum) * tick, nil
}

package station

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"time"

	"tapline/proto/record"
)

// PAM is the driver of the mode signin: the system's own sign-in asks the agent, so there is nothing to open or shut. It looks whether any of the
// system's programs does ask.
type PAM struct{ Folder string }

// Mode is signin.
func (PAM) Mode() record.Mode { return record.ModeSignIn }

// Enforce looks for the module in the system's configuration.
func (p PAM) Enforce(context.Context, bool) error {
	files, err := filepath.Glob(filepath.Join(p.Folder, "*"))
	if err != nil {
		return Unavailable{Reason: NoPAM, Err: err}
	}
	for _, file := range files {
		b, _ := os.ReadFile(file)
		for line := range bytes.Lines(b) {
			if line = bytes.TrimSpace(line); bytes.Contains(line, []byte("pam_tapline.so")) && line[0] != '#' {
				return nil
			}
		}
	}
	return Unavailable{Reason: NoPAM}
}

// Run looks again from time to time whether somebody has set it up.
func (PAM) Run(ctx context.Context, changed func()) error {
	again := time.NewTicker(longPause)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-again.C:
			changed()
		}
	}
}

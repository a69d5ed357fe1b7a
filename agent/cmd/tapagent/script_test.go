package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"tapline/agent/brokertest"
	"tapline/installer/osservice"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"tapagent": func() { os.Exit(int(osservice.Execute(context.Background(), root()))) },
	})
}

// TestScripts runs the scripts, which read as documentation of the command. Each has a broker of its own and, in files, one token for the station
// plant/packing/line-3/press-4 and one whose broker is another.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			const station = "plant/packing/line-3/press-4"
			broker := brokertest.New(t, time.Now)
			address := broker.Serve(t)
			broker.Addresses = []string{address}
			stranger := broker.Token(station, address)
			stranger.Root[0] ^= 1
			away := broker.Token(station, "127.0.0.1:1")
			config := "state_dir: " + e.WorkDir + "/state\nsocket: " + e.WorkDir + "/s\nkeystore: file\nweb:\n  listen: \"\"\nreaders:\n  pcsc:\n    enabled: false\n"
			files := map[string]string{
				"token.txt": broker.Token(station, address).Encode(), "stranger.txt": stranger.Encode(), "away.txt": away.Encode(),
				"agent.yaml": config, "idle.yaml": config + "session:\n  idle: 1h\nlog:\n  format: json\n", "faulty.yaml": config + "session:\n  idle: 1h\n  tap_out: perhaps\n",
			}
			for name, text := range files {
				if err := os.WriteFile(filepath.Join(e.WorkDir, name), []byte(text+"\n"), 0o600); err != nil {
					return err
				}
			}
			return nil
		},
	})
}

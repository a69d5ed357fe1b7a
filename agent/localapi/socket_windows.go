package localapi

import (
	"context"
	"net"
	"os"
	"path/filepath"
)

// listen makes a Unix socket, which Windows has too. The pipe takes its place.
func listen(ctx context.Context, path string) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	_ = os.Remove(path)
	var config net.ListenConfig
	return config.Listen(ctx, "unix", path)
}

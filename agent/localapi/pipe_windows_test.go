package localapi

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	taplinev1 "tapline/proto/tapline/v1"
)

// plain is a station that is asked for its presence and its status alone.
type plain struct{ Station }

func (plain) Presence() *taplinev1.Presence { return &taplinev1.Presence{Session: "s1"} }

func (plain) Status() *taplinev1.GetStatusResponse {
	return &taplinev1.GetStatusResponse{KeyStore: "in a drawer"}
}

func (plain) Watch(ctx context.Context) <-chan *taplinev1.WatchPresenceResponse {
	ch := make(chan *taplinev1.WatchPresenceResponse)
	context.AfterFunc(ctx, func() { close(ch) })
	return ch
}

// gRPC and HTTP go over one pipe, and its caller, who is the agent's own account, is known.
func TestThePipeCarriesBothAndKnowsItsCaller(t *testing.T) {
	name := fmt.Sprintf(`\\.\pipe\tapline-test-%d`, os.Getpid())
	ctx, cancel := context.WithCancel(t.Context())
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := New(Config{Socket: name, Station: plain{}, Log: zap.NewNop()}).Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(serving.Wait)
	t.Cleanup(cancel)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range tick.C {
		if conn, err := Dial(t.Context(), name); err == nil {
			_ = conn.Close()
			break
		}
	}
	dialed := func(ctx context.Context) (net.Conn, error) { return Dial(ctx, name) }
	conn, err := grpc.NewClient("passthrough:///agent", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return dialed(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	st, err := taplinev1.NewLocalServiceClient(conn).GetStatus(t.Context(), &taplinev1.GetStatusRequest{})
	if err != nil || st.GetLimited() || st.GetKeyStore() == "" {
		t.Errorf("status over gRPC: %v, %v", st, err)
	}
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dialed(ctx) }}}
	defer client.CloseIdleConnections()
	resp, err := client.Get("http://tapline/api/v1/presence")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, err := io.ReadAll(resp.Body); err != nil || !strings.Contains(string(text), "s1") {
		t.Errorf("presence over HTTP: %s, %v", text, err)
	}
}

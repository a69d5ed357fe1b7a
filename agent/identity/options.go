package identity

import (
	"context"
	"crypto/tls"
	"runtime/debug"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc"

	"tapline/agent/statefile"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

// Options of Load and Enrol. The zero value is usable.
type Options struct {
	// P256 makes an identity key on P-256 instead of Ed25519, for key stores in hardware.
	P256 bool
	// Replace lets Enrol go over an identity that is there. The earlier chain of records ends.
	Replace bool
	// Hints tell the administrator which machine asks: host name, OS, machine ID. Never trusted.
	Hints map[string]string
	// Build is the agent's version.
	Build string
	// BuiltAt is a time that is surely past; when zero, that of the commit, if the binary has it.
	BuiltAt time.Time
	// Log is where renewals are told; nil for nowhere.
	Log *zap.Logger

	// For tests: the clock, the disk and the way to a broker.
	Now     func() time.Time
	Disk    statefile.Disk
	Connect func(address string, c *tls.Config) (Registrar, func() error, error)
}

// Registrar is what a station's identity asks of a broker. Refusals are errors with a kind (package wire).
type Registrar interface {
	Enrol(context.Context, *taplinev1.EnrolRequest, ...grpc.CallOption) (*taplinev1.EnrolResponse, error)
	Renew(context.Context, *taplinev1.RenewRequest, ...grpc.CallOption) (*taplinev1.RenewResponse, error)
	GetChallenge(context.Context, *taplinev1.GetChallengeRequest, ...grpc.CallOption) (*taplinev1.GetChallengeResponse, error)
	Recover(context.Context, *taplinev1.RecoverRequest, ...grpc.CallOption) (*taplinev1.RecoverResponse, error)
}

func (o Options) withDefaults() Options {
	if o.BuiltAt.IsZero() {
		o.BuiltAt = committedAt()
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Disk == nil {
		o.Disk = statefile.OS()
	}
	if o.Connect == nil {
		o.Connect = connect
	}
	return o
}

func connect(address string, c *tls.Config) (Registrar, func() error, error) {
	conn, err := wire.Dial(address, c)
	if err != nil {
		return nil, nil, err
	}
	return taplinev1.NewStationServiceClient(conn), conn.Close, nil
}

// committedAt is the time of the commit that the binary was built from; zero when it does not say.
func committedAt() time.Time {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return time.Time{}
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.time" {
			t, _ := time.Parse(time.RFC3339, s.Value)
			return t
		}
	}
	return time.Time{}
}

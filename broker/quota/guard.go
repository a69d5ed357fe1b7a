package quota

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
	"google.golang.org/grpc"
	"google.golang.org/grpc/peer"

	taplinev1 "tapline/proto/tapline/v1"

	"tapline/proto/record"
	"tapline/proto/wire"
)

// Class is what sort of call it is.
type Class string

// The classes.
const (
	Tap   Class = "tap"   // somebody waits at a machine
	Enrol Class = "enrol" // no certificate is needed
	Other Class = "other"
	Free  Class = "free" // health: it must answer when all else does not
)

// Guard counts calls. It is safe for concurrent use.
type Guard struct {
	// Admission lets uploads in and hears of taps.
	Admission *Admission
	// Open reports whether a method needs no certificate.
	Open func(method string) bool
	// Refused is told of each refusal; may be nil.
	Refused func(limit string)

	limits Limits
	now    func() time.Time

	mu      sync.Mutex // guards buckets
	buckets map[bucketKey]*rate.Limiter
}

type bucketKey struct{ limit, who string }

// maxBuckets bounds the memory of a guard. Full buckets are forgotten first: whoever is at rest has one.
const maxBuckets = 20_000

// New makes a guard.
func New(l Limits, open func(string) bool, now func() time.Time) *Guard {
	l = l.Filled()
	return &Guard{Admission: NewAdmission(l.RecordsAtOnce, now), Open: open, limits: l, now: now, buckets: map[bucketKey]*rate.Limiter{}}
}

// ClassOf is a method's class.
func (g *Guard) ClassOf(method string) Class {
	switch method {
	case taplinev1.StationService_OpenSession_FullMethodName, taplinev1.StationService_ExtendSession_FullMethodName,
		taplinev1.StationService_CloseSession_FullMethodName, taplinev1.StationService_ReleaseSecret_FullMethodName,
		taplinev1.StationService_NameBadge_FullMethodName, taplinev1.StationService_VerifyPin_FullMethodName:
		return Tap
	case "/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch", "/grpc.health.v1.Health/List":
		return Free
	}
	if g.Open(method) {
		return Enrol
	}
	return Other
}

// take takes n from a bucket, or says when to come back.
func (g *Guard) take(limit, who string, perSecond float64, burst, n int) error {
	if perSecond <= 0 {
		return nil
	}
	now := g.now()
	b := g.bucket(bucketKey{limit, who}, rate.Limit(perSecond), burst, now)
	r := b.ReserveN(now, min(n, burst))
	wait := r.DelayFrom(now)
	if wait <= 0 {
		return nil
	}
	r.CancelAt(now)
	if g.Refused != nil {
		g.Refused(limit)
	}
	return wire.BusyFor(max(wait, time.Second), "too much at once from %s; come back in %s (limits.%s)", who, max(wait, time.Second).Round(time.Second), limit)
}

func (g *Guard) bucket(k bucketKey, limit rate.Limit, burst int, now time.Time) *rate.Limiter {
	g.mu.Lock()
	defer g.mu.Unlock()
	if b, ok := g.buckets[k]; ok {
		return b
	}
	if len(g.buckets) >= maxBuckets {
		for key, b := range g.buckets {
			if b.TokensAt(now) >= float64(b.Burst()) {
				delete(g.buckets, key)
			}
		}
	}
	if len(g.buckets) >= maxBuckets {
		clear(g.buckets)
	}
	b := rate.NewLimiter(limit, burst)
	g.buckets[k] = b
	return b
}

// admit says whether a call may go on.
func (g *Guard) admit(ctx context.Context, class Class) error {
	l := g.limits
	who, _, known := wire.Caller(ctx)
	switch {
	case class == Free:
		return nil
	case class == Enrol || !known:
		from := address(ctx)
		if err := g.look("failures_per_minute", from, float64(l.FailuresPerMinute)/60, l.FailuresPerMinute); err != nil {
			return err
		}
		if err := g.take("enrol_per_second", from, float64(l.EnrolPerSecond), 10*l.EnrolPerSecond, 1); err != nil {
			return err
		}
		return g.take("enrol_per_second", "all addresses", 4*float64(l.EnrolPerSecond), 40*l.EnrolPerSecond, 1)
	case class == Tap:
		return g.take("taps_per_second", who.Name, float64(l.TapsPerSecond), 5*l.TapsPerSecond, 1)
	}
	return g.take("calls_per_second", string(who.Role)+" "+who.Name, float64(l.CallsPerSecond), 5*l.CallsPerSecond, 1)
}

// look says whether a bucket is empty, and takes nothing.
func (g *Guard) look(limit, who string, perSecond float64, burst int) error {
	if perSecond <= 0 {
		return nil
	}
	now := g.now()
	if g.bucket(bucketKey{limit, who}, rate.Limit(perSecond), burst, now).TokensAt(now) >= 1 {
		return nil
	}
	return g.take(limit, who, perSecond, burst, 1)
}

// after counts what failed without a certificate.
func (g *Guard) after(ctx context.Context, class Class, err error) {
	if class != Enrol || g.limits.FailuresPerMinute <= 0 {
		return
	}
	switch wire.KindOf(err) {
	case wire.Unauthenticated, wire.Denied, wire.Invalid, wire.Stale:
		_ = g.take("failures_per_minute", address(ctx), float64(g.limits.FailuresPerMinute)/60, g.limits.FailuresPerMinute, 1)
	}
}

// Unary is the interceptor of single calls.
func (g *Guard) Unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	class := g.ClassOf(info.FullMethod)
	if err := g.admit(ctx, class); err != nil {
		return nil, err
	}
	if class == Tap {
		defer g.Admission.Tap()()
	}
	resp, err := next(ctx, req)
	g.after(ctx, class, err)
	return resp, err
}

// Stream is the interceptor of streams: the opening of one is a call.
func (g *Guard) Stream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	if err := g.admit(stream.Context(), g.ClassOf(info.FullMethod)); err != nil {
		return err
	}
	return next(srv, stream)
}

// Upload lets a station's batch of n records in, once it is its turn. The caller must call leave when they are stored.
func (g *Guard) Upload(ctx context.Context, station record.StationID, n int) (leave func(), err error) {
	if g == nil {
		return func() {}, nil
	}
	if n > 0 {
		l := g.limits.RecordsPerSecond
		if err := g.take("records_per_second", string(station), float64(l), 2*l, n); err != nil {
			return nil, err
		}
	}
	leave, err = g.Admission.Upload(ctx, n)
	if wire.KindOf(err) == wire.Busy && g.Refused != nil {
		g.Refused("records_at_once")
	}
	return leave, err
}

// address is where a call comes from: an IPv4 address, or the /64 of an IPv6 address, which is one machine's to fill.
func address(ctx context.Context) string {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return "nowhere"
	}
	return addressOf(p.Addr)
}

func addressOf(a net.Addr) string {
	if a == nil {
		return "nowhere"
	}
	at, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return a.String()
	}
	ip := at.Addr().Unmap().WithZone("")
	if ip.Is6() && !ip.IsLoopback() {
		if prefix, err := ip.Prefix(64); err == nil {
			return prefix.String()
		}
	}
	return ip.String()
}

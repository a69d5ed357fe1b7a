package broker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"

	"tapline/installer/osservice"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

// drainFor is how long open calls may take to end when the broker stops.
const drainFor = 5 * time.Second

// serve makes the server with all services. Reflection is open to administrators alone: the gate sees to that.
func (b *Broker) serve() {
	b.server = wire.NewServer(wire.ServerTLS(b.own.Get, b.authority.Roots, b.now), append(b.traces.Options(),
		grpc.ChainUnaryInterceptor(requestUnary, b.logUnary, b.guard.Unary, b.gate.Unary), grpc.ChainStreamInterceptor(requestStream, b.logStream, b.guard.Stream, b.gate.Stream))...)
	taplinev1.RegisterStationServiceServer(b.server, b.stations)
	taplinev1.RegisterAdminServiceServer(b.server, b.admin)
	taplinev1.RegisterOfficerServiceServer(b.server, b.officers)
	taplinev1.RegisterAuditServiceServer(b.server, b.audit)
	b.health = health.NewServer()
	b.tellHealth(true)
	healthpb.RegisterHealthServer(b.server, b.health)
	reflection.Register(b.server)
}

// Run serves until ctx ends, and returns when everything has ended.
func (b *Broker) Run(ctx context.Context) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", b.cfg.Listen)
	if err != nil {
		return errors.Join(osservice.Fault(osservice.Config, fmt.Errorf("listen on %s: %w", b.cfg.Listen, err), "does another program use the port?"), b.store.Close())
	}
	b.log.Info("broker started", zap.String("build", b.build), zap.String("listen", l.Addr().String()), zap.Strings("brokers", b.cfg.Brokers),
		zap.String("store", b.store.Where()), zap.Stringer("root_pin", b.authority.Pin()))
	if err := b.traces.Start(ctx); err != nil {
		return errors.Join(err, l.Close(), b.store.Close())
	}
	defer b.traces.Stop() // when all calls have ended
	g, inner := errgroup.WithContext(ctx)
	task := func(name string, run func(context.Context) error) {
		g.Go(func() error {
			if err := run(inner); err != nil && inner.Err() == nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			return nil
		})
	}
	task("serve", func(context.Context) error { return b.server.Serve(b.guard.Listen(l)) })
	task("stop", b.stop)
	task("watch the store's health", b.watchHealth)
	task("verify records", b.verify)
	task("make bundles", b.announce)
	task("tell stations the news", b.news.Run)
	task("hold sessions against the policy", b.sentry.Run)
	task("extend the log", b.tree.Run)
	task("have the log cosigned", b.tree.RunWitnesses)
	task("housekeeping", b.keepHouse)
	task("look for unclaimed emergencies", b.watchClaims)
	task("change secrets", b.secrets.Run)
	if b.outside != nil {
		task("look after the outside vault", b.watchOutside)
	}
	if b.people != nil {
		task("keep people as the directory has them", b.people.Run)
	}
	if b.cfg.MetricsListen != "" {
		task("metrics", b.serveMetrics)
	}
	if b.cfg.ScimListen != "" {
		task("scim", b.serveScim)
	}
	osservice.Ready(ctx)
	err = g.Wait()
	b.log.Info("broker stopped")
	return errors.Join(err, b.store.Close())
}

// stop ends the server when the group ends: whoever asks for the health hears of it first, open streams are told to go elsewhere, calls that are
// being answered get time to end.
func (b *Broker) stop(ctx context.Context) error {
	<-ctx.Done()
	b.health.Shutdown()
	close(b.stopping)
	late := time.AfterFunc(drainFor, b.server.Stop)
	defer late.Stop()
	b.server.GracefulStop()
	return nil
}

// metricsMux answers /metrics, /healthz and /readyz.
func (b *Broker) metricsMux() *http.ServeMux {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(b.metrics, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) {
		if err := b.alive(r.Context()); err != nil {
			http.Error(w, "the store does not answer", http.StatusServiceUnavailable)
			return
		}
		_, _ = fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if why := b.unready(r.Context()); why != "" {
			http.Error(w, why, http.StatusServiceUnavailable)
			return
		}
		_, _ = fmt.Fprintln(w, "ready")
	})
	return mux
}

// serveMetrics serves them.
func (b *Broker) serveMetrics(ctx context.Context) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", b.cfg.MetricsListen)
	if err != nil {
		return osservice.Fault(osservice.Config, fmt.Errorf("listen on %s: %w", b.cfg.MetricsListen, err), "set metrics_listen to a free port, or to nothing")
	}
	s := &http.Server{Handler: b.metricsMux(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second}
	var g errgroup.Group
	g.Go(func() error {
		<-ctx.Done()
		return s.Close()
	})
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return g.Wait()
}

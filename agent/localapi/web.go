package localapi

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"

	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

// route is a call of LocalService under a path.
type route struct{ verb, path, call string }

// routes are all calls that there are over HTTP; the watch is beside them.
func routes() []route {
	return []route{
		{http.MethodGet, "/api/v1/presence", "WhoIsHere"},
		{http.MethodGet, "/api/v1/status", "GetStatus"},
		{http.MethodPost, "/api/v1/pin", "EnterPin"},
		{http.MethodPost, "/api/v1/emergency", "BeginEmergency"},
		{http.MethodPost, "/api/v1/emergency/claim", "ClaimEmergency"},
		{http.MethodPost, "/api/v1/session/end", "EndSession"},
		{http.MethodPost, "/api/v1/sign", "SignAction"},
		{http.MethodPost, "/api/v1/token", "IssueToken"},
		{http.MethodGet, "/api/v1/token/keys", "GetTokenKeys"},
		{http.MethodPost, "/api/v1/badge/claim", "ClaimBadge"},
	}
}

const watchPath = "/api/v1/watch"

// web answers HTTP, for the socket and for the loopback listener. A call goes the same way as over gRPC: through the table of rights, the bounds of
// requests and the service.
type web struct {
	service *service
	unary   grpc.UnaryServerInterceptor
	feed    *feed
	seats   *seats
	page    http.Handler // at /; nil for none
	metrics http.Handler // nil for none
	log     *zap.Logger
}

// handler is everything under / for one kind of listener. guard is nil where the kernel vouches for the caller.
func (w *web) handler(g *guard) http.Handler {
	mux := http.NewServeMux()
	calls := map[string]grpc.MethodDesc{}
	for _, m := range taplinev1.LocalService_ServiceDesc.Methods {
		calls[m.MethodName] = m
	}
	for _, r := range routes() {
		mux.HandleFunc(r.path, w.only(r.verb, w.answer(calls[r.call])))
	}
	mux.HandleFunc(watchPath, w.only(http.MethodGet, w.watch))
	mux.HandleFunc("/api/", func(out http.ResponseWriter, _ *http.Request) {
		refuse(out, wire.E(wire.NotFound, "no such call; see the README of agent/localapi"), 0)
	})
	if w.metrics != nil {
		mux.HandleFunc("/metrics", w.only(http.MethodGet, w.metrics.ServeHTTP))
	}
	if w.page != nil && g != nil {
		mux.Handle("/", w.page)
	}
	return http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		headers(out.Header())
		if g != nil {
			if err := g.check(r); err != nil {
				refuse(out, err, 0)
				return
			}
		}
		r.Body = http.MaxBytesReader(out, r.Body, maxBody)
		mux.ServeHTTP(out, r)
	})
}

// only lets one verb through.
func (w *web) only(verb string, next http.HandlerFunc) http.HandlerFunc {
	return func(out http.ResponseWriter, r *http.Request) {
		if r.Method != verb {
			out.Header().Set("Allow", verb)
			refuse(out, wire.E(wire.Invalid, "use %s", verb), http.StatusMethodNotAllowed)
			return
		}
		next(out, r)
	}
}

// answer makes one call.
func (w *web) answer(call grpc.MethodDesc) http.HandlerFunc {
	return func(out http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && !isJSON(r) {
			refuse(out, wire.E(wire.Invalid, "say Content-Type: application/json"), http.StatusUnsupportedMediaType)
			return
		}
		resp, err := call.Handler(w.service, r.Context(), func(req any) error {
			if r.Method == http.MethodGet {
				return nil
			}
			return decode(r.Body, req.(proto.Message))
		}, w.unary)
		tooLarge := new(http.MaxBytesError)
		switch {
		case errors.As(err, &tooLarge):
			refuse(out, wire.E(wire.Invalid, "the body has more than %d bytes", maxBody), http.StatusRequestEntityTooLarge)
		case err != nil:
			refuse(out, err, 0)
		default:
			w.send(out, resp)
		}
	}
}

func (w *web) send(out http.ResponseWriter, resp any) {
	body, err := encode(resp)
	if err != nil {
		w.log.Error("an answer could not be written as JSON", zap.Error(err))
		refuse(out, wire.E(wire.Internal, "internal error; see the agent's log"), 0)
		return
	}
	out.Header().Set("Content-Type", "application/json; charset=utf-8")
	_, _ = out.Write(append(body, '\n'))
}

// encode writes a message as JSON, with the names of the schema and with what is zero.
func encode(resp any) ([]byte, error) {
	m, ok := resp.(proto.Message)
	if !ok {
		return nil, errors.New("no message")
	}
	return protojson.MarshalOptions{UseProtoNames: true, EmitDefaultValues: true}.Marshal(m)
}

// peerContext puts the other end of a connection of the socket into the context of its requests.
func peerContext(ctx context.Context, conn net.Conn) context.Context {
	if known, ok := conn.(*knownConn); ok {
		return withPeer(ctx, known.peer)
	}
	return ctx
}

// browserContext says that whoever comes over the loopback listener is a browser.
func browserContext(ctx context.Context, _ net.Conn) context.Context {
	return withPeer(ctx, Peer{UID: -1, Browser: true})
}

// CheckListen says what is wrong with an address for the loopback listener, which may be empty.
func CheckListen(address string) error {
	if address == "" {
		return nil
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil || port == "" {
		return errors.New("want HOST:PORT of the loopback, such as 127.0.0.1:8750, or nothing for none")
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return errors.New("want an address of the loopback (127.0.0.1, ::1 or localhost): nothing of the station is for the network")
	}
	if _, err := net.LookupPort("tcp", port); err != nil {
		return errors.New("want a port from 0 to 65535")
	}
	return nil
}

// CheckHost says what is wrong with a name for web.hosts.
func CheckHost(name string) error {
	if u, err := url.Parse("http://" + name); err != nil || name == "" || u.Hostname() != name || strings.ToLower(name) != name {
		return errors.New("want a name in lower case, without port")
	}
	return nil
}

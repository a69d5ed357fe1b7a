package gate_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/emptypb"

	"tapline/broker/gate"
	"tapline/broker/identity"
	"tapline/broker/store"
	"tapline/broker/vault"
	"tapline/proto/record"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

const press = record.StationID("plant/press/line-4/hmi-1")

// house is a server on loopback behind a gate, which answers every method that there is or is not, and says which station called.
type house struct {
	t         *testing.T
	address   string
	store     *store.Store
	authority *identity.Authority
	registrar *identity.Registrar
	registry  *identity.Registry
}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{t: t}
	var err error
	h.store, err = store.OpenSQLite(t.TempDir())
	h.must(err)
	t.Cleanup(func() { h.must(h.store.Close()) })
	h.must(h.store.Migrate(t.Context()))
	v, err := vault.New(make([]byte, vault.KeySize))
	h.must(err)
	h.authority, err = identity.LoadAuthority(t.Context(), h.store, v, "plant", time.Now)
	h.must(err)
	evidence, err := identity.LoadEvidence(t.Context(), h.store, v, time.Now())
	h.must(err)
	site, err := identity.LoadSiteKey(t.Context(), h.store, v, time.Now())
	h.must(err)
	h.registry = identity.NewRegistry(h.store, "plant", time.Now)
	h.registrar = &identity.Registrar{
		Store: h.store, Vault: v, Authority: h.authority, Evidence: evidence, SiteKey: site, Now: time.Now,
		Brokers: func() []string { return nil }, Forget: h.registry.Forget,
	}
	h.serve()
	return h
}

func (h *house) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) serve() {
	h.t.Helper()
	cert, err := h.authority.Server([]string{"127.0.0.1"})
	h.must(err)
	g := &gate.Gate{Registry: h.registry}
	server := wire.NewServer(wire.ServerTLS(func() (tls.Certificate, error) { return cert, nil }, h.authority.Roots, time.Now),
		grpc.ChainUnaryInterceptor(g.Unary), grpc.ChainStreamInterceptor(g.Stream), grpc.UnknownServiceHandler(answer))
	healthpb.RegisterHealthServer(server, health.NewServer())
	l, err := (&net.ListenConfig{}).Listen(h.t.Context(), "tcp", "127.0.0.1:0")
	h.must(err)
	h.address = l.Addr().String()
	var serving errgroup.Group
	serving.Go(func() error { return server.Serve(l) })
	h.t.Cleanup(func() {
		server.Stop()
		if err := serving.Wait(); err != nil {
			h.t.Error(err)
		}
	})
}

// answer is the handler behind the gate.
func answer(_ any, stream grpc.ServerStream) error {
	stream.SetTrailer(metadata.Pairs("station", string(gate.Station(stream.Context()))))
	if err := stream.RecvMsg(&emptypb.Empty{}); err != nil {
		return err
	}
	return stream.SendMsg(&emptypb.Empty{})
}

// as is a connection with a certificate; without one if cert has none.
func (h *house) as(cert tls.Certificate) *grpc.ClientConn {
	h.t.Helper()
	config := wire.PinnedTLS(h.authority.Pin(), time.Now)
	if len(cert.Certificate) > 0 {
		config = wire.ClientTLS(func() (tls.Certificate, bool) { return cert, true }, h.authority.Roots, time.Now)
	}
	conn, err := wire.Dial(h.address, config)
	h.must(err)
	h.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func key(t *testing.T) ed25519.PrivateKey {
	t.Helper()
	_, k, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func (h *house) person(role wire.Role) tls.Certificate {
	h.t.Helper()
	k := key(h.t)
	chain, err := h.authority.Person(h.t.Context(), role, "olga", k.Public())
	h.must(err)
	return tls.Certificate{Certificate: chain[:2], PrivateKey: k}
}

// station enrols a station and gives its certificate.
func (h *house) station() tls.Certificate {
	h.t.Helper()
	var token wire.Token
	h.must(h.store.Update(h.t.Context(), func(tx *store.Tx) error {
		if _, err := tx.PutStation(&taplinev1.Station{Id: string(press)}); err != nil {
			return err
		}
		_, out, err := h.registrar.NewToken(tx, press, time.Hour, "test")
		token = out
		return err
	}))
	own, channel, chain := key(h.t), key(h.t), uuid.NewString()
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, channel)
	h.must(err)
	spki, err := x509.MarshalPKIXPublicKey(own.Public())
	h.must(err)
	first := record.PublicKeyOf(key(h.t))
	digest := wire.EnrolDigest(token.Secret, string(press), csr, first[:], chain)
	id, err := h.registrar.Enrol(h.t.Context(), &taplinev1.EnrolRequest{
		Token: token.Secret, Station: string(press), Csr: csr, IdentityKey: spki, RecordKey: first[:], Chain: chain,
		Proof: ed25519.Sign(own, digest[:]),
	})
	h.must(err)
	return tls.Certificate{Certificate: id.GetCertificates(), PrivateKey: channel}
}

// methods are the full names of every method of every service that the schema has for the broker.
func methods() []string {
	var names []string
	protoregistry.GlobalFiles.RangeFilesByPackage("tapline.v1", func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			service := f.Services().Get(i)
			if service.Name() == "LocalService" { // the station's own, for programs on it
				continue
			}
			for j := range service.Methods().Len() {
				names = append(names, "/"+string(service.FullName())+"/"+string(service.Methods().Get(j).Name()))
			}
		}
		return true
	})
	return names
}

func TestEveryMethodHasARow(t *testing.T) {
	for _, m := range methods() {
		if !gate.Listed(m) {
			t.Errorf("%s is not in the table of broker/gate/table.go: say there who may call it", m)
		}
	}
}

func TestWhoMayCallWhat(t *testing.T) {
	h := newHouse(t)
	server, err := h.authority.Server([]string{"127.0.0.1"})
	h.must(err)
	callers := map[string]*grpc.ClientConn{"nobody": h.as(tls.Certificate{}), "station": h.as(h.station()), "broker": h.as(server)}
	for _, role := range wire.OfficerRoles() {
		callers[string(role)] = h.as(h.person(role))
	}
	people := []string{"admin", "security", "supervisor", "helpdesk", "auditor"}
	may := map[string][]string{ // what the table must not lose sight of
		"/tapline.v1.StationService/OpenSession":                         {"station"},
		"/tapline.v1.StationService/Renew":                               {"station"},
		"/tapline.v1.AdminService/PutPerson":                             {"admin"},
		"/tapline.v1.AdminService/CreateToken":                           {"admin"},
		"/tapline.v1.AdminService/AssignBadge":                           {"admin", "supervisor", "helpdesk"},
		"/tapline.v1.AdminService/RevokeBadge":                           {"admin", "security", "supervisor", "helpdesk"},
		"/tapline.v1.AdminService/SetPin":                                {"admin", "supervisor", "helpdesk"},
		"/tapline.v1.AdminService/ExplainCode":                           people,
		"/tapline.v1.AdminService/PutPolicy":                             {"admin", "security"},
		"/tapline.v1.AdminService/RevokeStation":                         {"admin", "security"},
		"/tapline.v1.AdminService/EndLease":                              {"admin", "security", "supervisor"},
		"/tapline.v1.AdminService/DecideVisit":                           {"admin", "supervisor"},
		"/tapline.v1.AdminService/ListPeople":                            people,
		"/tapline.v1.OfficerService/InviteOfficer":                       {"admin", "security"},
		"/tapline.v1.OfficerService/WhoAmI":                              people,
		"/tapline.v1.AuditService/QueryRecords":                          {"admin", "security", "auditor"},
		"/tapline.v1.AuditService/GetTile":                               {"admin", "security", "auditor"},
		"/tapline.v1.AuditService/WhoWasAt":                              {"admin", "security", "supervisor", "auditor"},
		"/grpc.health.v1.Health/Check":                                   {"admin", "security", "supervisor", "helpdesk", "auditor", "station"},
		"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo":      {"admin"},
		"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": {"admin"},
		"/tapline.v1.NewService/Do":                                      {"admin"},
		"/tapline.v1.AdminService/SomethingNew":                          {"admin"},
		"/tapline.v1.OfficerService/SomethingNew":                        {"admin"},
		"/tapline.v1.AuditService/SomethingNew":                          {"admin", "security", "auditor"},
		"/tapline.v1.StationService/SomethingNew":                        {"station"},
		"/tapline.v1.StationService2/Enrol":                              {"admin"},
		"/x/tapline.v1.StationService/Enrol":                             {"admin"},
		"/grpc.health.v1.Healthy/Check":                                  {"admin"},
		"/tapline.v1.LocalService/GetStatus":                             {"admin"},
	}
	for method, by := range may {
		for who, conn := range callers {
			err := conn.Invoke(t.Context(), method, &emptypb.Empty{}, &emptypb.Empty{})
			kind := wire.KindOf(err)
			switch {
			case who == "nobody" && kind != wire.Unauthenticated:
				t.Errorf("%s without a certificate: %v, want it to ask for one", method, err)
			case slices.Contains(by, who) && err != nil, !slices.Contains(by, who) && kind != wire.Denied && kind != wire.Unauthenticated:
				t.Errorf("%s calls %s: %v", who, method, err)
			}
		}
	}
}

func TestTheLawsOfTheTable(t *testing.T) {
	open := []string{
		taplinev1.StationService_Enrol_FullMethodName, taplinev1.StationService_GetChallenge_FullMethodName, taplinev1.StationService_Recover_FullMethodName,
		taplinev1.OfficerService_GetLogin_FullMethodName, taplinev1.OfficerService_Login_FullMethodName,
	}
	opens := map[wire.Role][]string{}
	for _, role := range append(wire.OfficerRoles(), wire.RoleStation) {
		opens[role] = gate.Opens(role)
	}
	for _, m := range methods() {
		_, name, _ := strings.Cut(strings.TrimPrefix(m, "/tapline.v1."), "/")
		writes := !slices.ContainsFunc([]string{"List", "Get", "Explain", "Watch", "Query", "Who", "Prove", "Export", "Replay"}, func(p string) bool { return strings.HasPrefix(name, p) })
		switch {
		case gate.Open(m) != slices.Contains(open, m):
			t.Errorf("%s needs no certificate", m)
		case gate.Open(m), !gate.Listed(m):
		case slices.Contains(opens[wire.RoleStation], m) == slices.Contains(opens[wire.RoleAdmin], m):
			t.Errorf("%s is for stations and people, or for neither", m)
		case slices.Contains(opens[wire.RoleAuditor], m) && writes && name != "RenewOfficer":
			t.Errorf("%s changes something and is open to auditors", m)
		case slices.Contains(opens[wire.RoleHelpdesk], m) && !slices.Contains(opens[wire.RoleSupervisor], m):
			t.Errorf("%s is open to the help desk and not to supervisors", m)
		}
	}
}

func TestTheStationThatCallsIsTheOneOfTheCertificate(t *testing.T) {
	h := newHouse(t)
	for who, cert := range map[string]tls.Certificate{string(press): h.station(), "": h.person(wire.RoleAdmin)} {
		method := taplinev1.StationService_FetchBundle_FullMethodName
		if who == "" {
			method = taplinev1.AdminService_ListPeople_FullMethodName
		}
		var trailer metadata.MD
		h.must(h.as(cert).Invoke(t.Context(), method, &emptypb.Empty{}, &emptypb.Empty{}, grpc.Trailer(&trailer)))
		if got := trailer.Get("station"); len(got) != 1 || got[0] != who {
			t.Errorf("the handler saw %q, want %q", got, who)
		}
	}
}

func TestARevokedStationIsRefusedOnTheConnectionItHas(t *testing.T) {
	h := newHouse(t)
	conn := h.as(h.station())
	call := func() error {
		return conn.Invoke(t.Context(), taplinev1.StationService_FetchBundle_FullMethodName, &emptypb.Empty{}, &emptypb.Empty{})
	}
	h.must(call())
	h.must(h.store.Update(t.Context(), func(tx *store.Tx) error {
		return tx.SetStationState(press, taplinev1.StationState_STATION_STATE_REVOKED, "stolen")
	}))
	h.registry.Forget(press)
	if err := call(); wire.KindOf(err) != wire.Denied {
		t.Errorf("got %v", err)
	}
}

func TestACertificateOfAnotherSiteOpensNothing(t *testing.T) {
	h, other := newHouse(t), newHouse(t)
	for who, cert := range map[string]tls.Certificate{"station": other.station(), "admin": other.person(wire.RoleAdmin)} {
		for _, method := range []string{taplinev1.StationService_FetchBundle_FullMethodName, taplinev1.AdminService_ListPeople_FullMethodName} {
			if err := h.as(cert).Invoke(t.Context(), method, &emptypb.Empty{}, &emptypb.Empty{}); wire.KindOf(err) != wire.Unauthenticated {
				t.Errorf("a foreign %s calls %s: %v", who, method, err)
			}
		}
	}
}

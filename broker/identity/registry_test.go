package identity

import (
	"crypto/x509"
	"strings"
	"sync"
	"testing"
	"time"

	"tapline/broker/store"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

// desk is an office with a registry and an enrolled station.
type desk struct {
	*office
	*Registry
	m   *machine
	who wire.Subject
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	o := newOffice(t)
	r := NewRegistry(o.Registrar.Store, "plant", func() time.Time { return o.at })
	return &desk{o, r, o.enrol(t), wire.Subject{Site: "plant", Role: wire.RoleStation, Name: string(station)}}
}

func (d *desk) set(t *testing.T, state taplinev1.StationState) {
	t.Helper()
	must(t, d.office.Store.Update(t.Context(), func(tx *store.Tx) error { return tx.SetStationState(station, state, "stolen") }))
}

func TestACertificateSaysWhoseItIsAndForHowLong(t *testing.T) {
	d := newDesk(t)
	c := d.m.cert
	got, err := wire.SubjectOf(c)
	if err != nil || got != d.who || c.URIs[0].String() != "spiffe://plant/station/"+string(station) {
		t.Errorf("it names %v, %v", c.URIs, err)
	}
	if begins, ends := d.at.Sub(c.NotBefore), c.NotAfter.Sub(d.at); begins != Backdate || ends != StationLife {
		t.Errorf("it began %s ago and ends in %s, want %s and %s", begins, ends, Backdate, StationLife)
	}
	if len(c.ExtKeyUsage) != 1 || c.ExtKeyUsage[0] != x509.ExtKeyUsageClientAuth || c.IsCA || len(c.DNSNames)+len(c.IPAddresses)+len(c.EmailAddresses) > 0 {
		t.Errorf("it is good for more than a station's calls: %v, CA %v, %v %v", c.ExtKeyUsage, c.IsCA, c.DNSNames, c.IPAddresses)
	}
	if c.SerialNumber.BitLen() < 64 {
		t.Errorf("its serial number has %d bits", c.SerialNumber.BitLen())
	}
	server, err := d.Authority.Server([]string{"broker.example", "192.0.2.1"})
	must(t, err)
	if err := server.Leaf.VerifyHostname("192.0.2.1"); err != nil || server.Leaf.ExtKeyUsage[0] != x509.ExtKeyUsageServerAuth {
		t.Errorf("the broker's own: %v, %v", err, server.Leaf.ExtKeyUsage)
	}
	if len(server.Certificate) != 3 || string(server.Certificate[2]) != string(d.Authority.Root()) {
		t.Error("the broker does not show its root, which an enrolling station has only the pin of")
	}
}

func TestWhoseCertificateIsGood(t *testing.T) {
	for _, row := range []struct {
		says string
		with func(*testing.T, *desk) (wire.Subject, *x509.Certificate)
		kind wire.Kind
		want string
	}{
		{"an enrolled station's", func(_ *testing.T, d *desk) (wire.Subject, *x509.Certificate) { return d.who, d.m.cert }, wire.None, ""},
		{"another site's", func(_ *testing.T, d *desk) (wire.Subject, *x509.Certificate) {
			return wire.Subject{Site: "elsewhere", Role: wire.RoleStation, Name: string(station)}, d.m.cert
		}, wire.Unauthenticated, "site elsewhere"},
		{"one that is not good yet", func(_ *testing.T, d *desk) (wire.Subject, *x509.Certificate) {
			d.at = d.at.Add(-25 * time.Hour)
			return d.who, d.m.cert
		}, wire.Unauthenticated, "not yet valid"},
		{"one that has expired", func(_ *testing.T, d *desk) (wire.Subject, *x509.Certificate) {
			d.at = d.at.Add(StationLife + time.Second)
			return d.who, d.m.cert
		}, wire.Unauthenticated, "expired"},
		{"one that the registry gave to somebody else", func(_ *testing.T, d *desk) (wire.Subject, *x509.Certificate) {
			return wire.Subject{Site: "plant", Role: wire.RoleAdmin, Name: "anna"}, d.m.cert
		}, wire.Unauthenticated, "not one of ours"},
		{"one that the registry does not know", func(t *testing.T, d *desk) (wire.Subject, *x509.Certificate) {
			return d.who, newOffice(t).enrol(t).cert
		}, wire.Unauthenticated, "not one of ours"},
		{"a revoked station's", func(t *testing.T, d *desk) (wire.Subject, *x509.Certificate) {
			d.set(t, taplinev1.StationState_STATION_STATE_REVOKED)
			return d.who, d.m.cert
		}, wire.Denied, "revoked (stolen)"},
		{"a deleted station's", func(t *testing.T, d *desk) (wire.Subject, *x509.Certificate) {
			must(t, d.office.Store.Update(t.Context(), func(tx *store.Tx) error { return tx.DeleteStation(station) }))
			return d.who, d.m.cert
		}, wire.Unauthenticated, "not known"},
		{"a station's that was enrolled anew since", func(t *testing.T, d *desk) (wire.Subject, *x509.Certificate) {
			old := d.m.cert
			d.at = d.at.Add(time.Hour)
			d.enrol(t)
			return d.who, old
		}, wire.Unauthenticated, "revoked at"},
	} {
		t.Run(row.says, func(t *testing.T) {
			d := newDesk(t)
			who, cert := row.with(t, d)
			v, err := d.Check(t.Context(), who, cert)
			if row.kind == wire.None && (err != nil || v.Station != station || !v.Newest) {
				t.Errorf("got %+v, %v", v, err)
			}
			if row.kind != wire.None && (wire.KindOf(err) != row.kind || !strings.Contains(err.Error(), row.want)) {
				t.Errorf("got %v (%s), want %q (%s)", err, wire.KindOf(err), row.want, row.kind)
			}
		})
	}
}

func TestARevokedPersonIsRefused(t *testing.T) {
	d := newDesk(t)
	chain, err := d.Authority.Person(t.Context(), wire.RoleAuditor, "olga", newEd25519(t).Public())
	must(t, err)
	cert, err := x509.ParseCertificate(chain[0])
	must(t, err)
	who := wire.Subject{Site: "plant", Role: wire.RoleAuditor, Name: "olga"}
	_, err = d.Check(t.Context(), who, cert)
	must(t, err)
	must(t, d.office.Store.Update(t.Context(), func(tx *store.Tx) error {
		return tx.RevokeCertificates(wire.RoleAuditor, "olga", "", d.at)
	}))
	d.at = d.at.Add(trustFor)
	if _, err := d.Check(t.Context(), who, cert); wire.KindOf(err) != wire.Unauthenticated {
		t.Errorf("got %v", err)
	}
	if _, err := d.Authority.Person(t.Context(), wire.RoleStation, "olga", newEd25519(t).Public()); err == nil {
		t.Error("a person got a station's certificate")
	}
}

func TestARevocationElsewhereIsSeenWithinASecond(t *testing.T) {
	d := newDesk(t)
	_, err := d.Check(t.Context(), d.who, d.m.cert)
	must(t, err)
	d.set(t, taplinev1.StationState_STATION_STATE_REVOKED)
	d.at = d.at.Add(trustFor)
	if _, err := d.Check(t.Context(), d.who, d.m.cert); wire.KindOf(err) != wire.Denied {
		t.Errorf("after %s: %v", trustFor, err)
	}
}

// The clock stands still: what the registry believes wrongly after Forget, it believes for ever.
func TestARevocationHereIsSeenAtOnceHoweverManyCallAtTheTime(t *testing.T) {
	d := newDesk(t)
	stop := make(chan struct{})
	var callers sync.WaitGroup
	for range 4 {
		callers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					_, _ = d.Check(t.Context(), d.who, d.m.cert)
				}
			}
		})
	}
	defer callers.Wait()
	defer close(stop)
	for round := range 100 {
		for _, state := range []taplinev1.StationState{taplinev1.StationState_STATION_STATE_REVOKED, taplinev1.StationState_STATION_STATE_ENROLLED} {
			d.set(t, state)
			d.Registry.Forget(station)
			for range 20 {
				if v, err := d.Check(t.Context(), d.who, d.m.cert); (err == nil) != (state == taplinev1.StationState_STATION_STATE_ENROLLED) {
					t.Fatalf("round %d: %s is believed to be %+v, %v", round, state, v, err)
				}
			}
		}
	}
}

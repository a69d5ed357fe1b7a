package identity

import (
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tapline/agent/brokertest"
	"tapline/agent/statefile/statefiletest"
	"tapline/proto/record"
	"tapline/proto/wire"
)

func TestAStationEnrolsAndFindsItselfAgain(t *testing.T) {
	for _, p256 := range []bool{false, true} {
		s := newSite(t)
		o := s.options()
		o.P256 = p256
		if _, err := Enrol(t.Context(), filepath.Join(s.dir, "identity"), s.mustKeys(), s.broker.Token(press, address), o); err != nil {
			t.Fatal(err)
		}
		m := s.load()
		s.mustWork(m)
		id := m.Current()
		if id.Site != brokertest.Site || id.Station != press || len(id.BadgeKey) != 32 || id.EvidenceKey != s.broker.EvidenceKey() {
			t.Errorf("got %v of site %s", id, id.Site)
		}
		seed, err := s.mustKeys().Get("record-epoch-1")
		if err != nil || len(seed) != ed25519.SeedSize {
			t.Fatalf("the first record key: %d bytes, %v", len(seed), err)
		}
		var st record.StationStatement
		if err := record.OpenStatement(id.Statement, record.StationPayloadType, id.EvidenceKey, &st); err != nil {
			t.Fatal(err)
		}
		if st.FirstKey != record.PublicKeyOf(ed25519.NewKeyFromSeed(seed)) {
			t.Error("the statement names another record key than the one in the keystore")
		}
	}
}

func TestAStationThatIsNotEnrolledSaysSo(t *testing.T) {
	s := newSite(t)
	if _, err := Load(filepath.Join(s.dir, "identity"), s.mustKeys(), s.options()); !errors.Is(err, ErrNotEnrolled) {
		t.Errorf("got %v, want ErrNotEnrolled", err)
	}
}

func TestEnrolmentsThatAreRefused(t *testing.T) {
	foreign := brokertest.New(t, newSite(t).now)
	for _, row := range []struct {
		name  string
		token func(s *site) wire.Token
		is    error
		kind  wire.Kind
		says  string
	}{
		{"a token that another machine has used", func(s *site) wire.Token {
			token := s.broker.Token(press, address)
			other := newSite(t)
			other.broker = s.broker
			other.enrol(token)
			return token
		}, nil, wire.Unauthenticated, "used already"},
		{"a token that nobody made", func(s *site) wire.Token {
			token := s.broker.Token(press, address)
			token.Secret = "guess"
			return token
		}, nil, wire.Unauthenticated, "unknown"},
		{"a token for another station", func(s *site) wire.Token {
			token := s.broker.Token("plant/press/line-4/hmi-2", address)
			token.Station = press
			return token
		}, nil, wire.Unauthenticated, "another station"},
		{"a broker that does not prove the pinned root", func(s *site) wire.Token {
			token := s.broker.Token(press, address)
			token.Root = foreign.Token(press).Root
			return token
		}, wire.ErrWrongRoot, wire.Unavailable, "pinned root"},
		{"a broker under another name", func(s *site) wire.Token {
			return s.broker.Token(press, "elsewhere.test:7443")
		}, nil, wire.Unavailable, "elsewhere.test"},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newSite(t)
			token := row.token(s)
			_, err := Enrol(t.Context(), filepath.Join(s.dir, "identity"), s.mustKeys(), token, s.options())
			if err == nil || wire.KindOf(err) != row.kind || (row.is != nil && !errors.Is(err, row.is)) || !strings.Contains(err.Error(), row.says) {
				t.Errorf("got %v (%s), want %s that says %q", err, wire.KindOf(err), row.kind, row.says)
			}
			if strings.Contains(fmt.Sprint(err), token.Secret) {
				t.Errorf("the error shows the token: %v", err)
			}
			if _, err := Load(filepath.Join(s.dir, "identity"), s.mustKeys(), s.options()); !errors.Is(err, ErrNotEnrolled) {
				t.Errorf("after the refusal: %v, want ErrNotEnrolled", err)
			}
		})
	}
}

func TestTheSameTokenAgainIsTheSameEnrolmentAndAnotherIsRefused(t *testing.T) {
	s := newSite(t)
	token := s.broker.Token(press, address)
	first := s.enrol(token).Current()
	if again := s.enrol(token).Current(); again.Chain != first.Chain || again.JoinSequence != first.JoinSequence {
		t.Errorf("the second time gave %v, the first %v", again, first)
	}
	next := s.broker.Token(press, address)
	if _, err := Enrol(t.Context(), filepath.Join(s.dir, "identity"), s.mustKeys(), next, s.options()); !errors.Is(err, ErrEnrolled) {
		t.Errorf("a second enrolment: %v, want ErrEnrolled", err)
	}
	o := s.options()
	o.Replace = true
	m, err := Enrol(t.Context(), filepath.Join(s.dir, "identity"), s.mustKeys(), next, o)
	if err != nil {
		t.Fatal(err)
	}
	if m.Current().Chain == first.Chain {
		t.Error("the new enrolment goes on with the old chain")
	}
	s.mustWork(m)
}

func TestEnrolmentSurvivesACrashAtEveryStep(t *testing.T) {
	statefiletest.EachCrash(t, func(t *testing.T, disk *statefiletest.Disk, dir string) {
		s := newSite(t)
		s.dir = dir
		token := s.broker.Token(press, address)
		s.crashing(disk)
		if ks, err := s.keys(); err == nil {
			_, err := Enrol(t.Context(), filepath.Join(dir, "identity"), ks, token, s.options())
			if err != nil && !errors.Is(err, statefiletest.ErrCrash) {
				t.Fatal(err)
			}
		}
		s.healthy()
		m := s.enrol(token)
		if join := s.broker.Station(press).Join; join != 1 {
			t.Errorf("the broker gave %d certificates, want 1", join)
		}
		s.mustWork(m)
		s.mustWork(s.load())
		mustHaveNoLeftovers(t, dir)
	})
}

// mustHaveNoLeftovers wants one identity key, one TLS key, one badge key and one record key in the keystore, and no open request.
func mustHaveNoLeftovers(t *testing.T, dir string) {
	t.Helper()
	secrets, err := filepath.Glob(filepath.Join(dir, "keys", "*.secret"))
	if err != nil || len(secrets) != 4 {
		t.Errorf("the keystore holds %q, %v, want 4 secrets", secrets, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "identity", pendingFile)); err == nil {
		t.Error("a request is left open")
	}
}

func TestNothingSecretIsShownOrWrittenInClear(t *testing.T) {
	s := newSite(t)
	token := s.broker.Token(press, address)
	id := s.enrol(token).Current()
	secrets := []string{token.Secret, string(id.BadgeKey), hex.EncodeToString(id.BadgeKey)}
	shown := fmt.Sprintf("%v %+v %#v %s %q %x", id, id, id, id.BadgeKey, id.BadgeKey, id.BadgeKey)
	err := filepath.WalkDir(filepath.Join(s.dir, "identity"), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		shown += string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, secret := range secrets {
		if strings.Contains(shown, secret) {
			t.Errorf("secret %d is shown", i)
		}
	}
}

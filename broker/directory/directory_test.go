package directory_test

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tapline/broker/directory"
	"tapline/broker/store"
	"tapline/broker/vault"
	"tapline/proto/record"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

const press = record.StationID("plant/press/line-4/hmi-1")

func begin() time.Time { return time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC) }

func newDirectory(t testing.TB) directory.Directory {
	t.Helper()
	v, err := vault.New(make([]byte, vault.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	return directory.Directory{Vault: v}
}

func update(t *testing.T, s *store.Store, do func(*store.Tx) error) {
	t.Helper()
	if err := s.Update(t.Context(), do); err != nil {
		t.Fatal(err)
	}
}

func newStore(t *testing.T) *store.Store {
	t.Helper()
	s, err := store.OpenSQLite(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// proof is what a reader says of a badge.
func proof(number string) *taplinev1.BadgeProof {
	return &taplinev1.BadgeProof{Number: []byte(number), Technology: "iso14443a", Assurance: taplinev1.Assurance_ASSURANCE_CHIP_UID}
}

func TestBadgeNumbersAreTakenInCanonicalFormOnly(t *testing.T) {
	d := newDirectory(t)
	for says, b := range map[string]*taplinev1.BadgeProof{
		"no badge": nil, "no number": proof(""), "bare bytes": proof("\x04\xa1\xb2\xc3"), "no format": proof("\x0032\x00abcd"),
		"no bit count": proof("uid\x00\x00abcd"), "a bit count with a sign": proof("uid\x00+32\x00abcd"),
		"a bit count with a leading zero": proof("uid\x00032\x00abcd"), "no bits": proof("uid\x000\x00"), "fewer bits than none": proof("uid\x00-8\x00"),
		"a byte too many": proof("uid\x0032\x00abcde"), "a byte too few": proof("uid\x0033\x00abcd"),
		"a bit count that overflows": proof("uid\x009223372036854775807\x00"), "longer than any badge": proof("uid\x008000\x00" + strings.Repeat("4711", 250)),
		"an assurance that there is not": {Number: []byte("uid\x0032\x00abcd"), Assurance: 99},
		"a technology that is an essay":  {Number: []byte("uid\x0032\x00abcd"), Technology: strings.Repeat("x", 65)},
	} {
		_, err := d.ReadProof("badge", b)
		if wire.KindOf(err) != wire.Invalid || !strings.Contains(err.Error(), "badge.") {
			t.Errorf("%s: got %v", says, err)
			continue
		}
		if strings.Contains(err.Error(), "abcd") || strings.Contains(err.Error(), "4711") {
			t.Errorf("%s: the error shows the number: %v", says, err)
		}
	}
	for _, number := range []string{"uid\x0032\x00abcd", "wiegand\x0026\x00abcd", "x\x001\x00a"} {
		p, err := d.ReadProof("badge", proof(number))
		if err != nil {
			t.Errorf("%q: %v", number, err)
			continue
		}
		opened, err := d.Number(p.Sealed)
		if err != nil || string(opened) != number || bytes.Contains(p.Lookup, []byte("abcd")) || bytes.Contains(p.Sealed, []byte("abcd")) {
			t.Errorf("%q: %q, %v", number, opened, err)
		}
	}
}

func TestWhoseABadgeIs(t *testing.T) {
	const unknown, revoked, inactive = taplinev1.RefusalCause_REFUSAL_CAUSE_UNKNOWN_BADGE, taplinev1.RefusalCause_REFUSAL_CAUSE_BADGE_REVOKED,
		taplinev1.RefusalCause_REFUSAL_CAUSE_PERSON_INACTIVE
	for _, row := range []struct {
		says   string
		badge  func(*store.Badge)
		person func(*taplinev1.PersonEntry)
		then   func(*store.Tx) error
		want   taplinev1.RefusalCause
	}{
		{says: "a good badge is its person's"},
		{says: "a badge with another number is nobody's", badge: func(b *store.Badge) { b.Lookup = []byte("other") }, want: unknown},
		{says: "a badge whose person is gone is nobody's", badge: func(b *store.Badge) { b.Person = "p-2" }, want: unknown},
		{says: "a revoked badge is refused", then: func(tx *store.Tx) error { return tx.RevokeBadge("b-1", "lost") }, want: revoked},
		{says: "a badge ends at its very end", badge: func(b *store.Badge) { b.NotAfter = begin() }, want: revoked},
		{says: "and not before", badge: func(b *store.Badge) { b.NotAfter = begin().Add(time.Second) }},
		{says: "a suspended person is refused", person: func(p *taplinev1.PersonEntry) { p.Suspended = true }, want: inactive},
		{
			says: "a badge that was assigned anew is good", then: func(tx *store.Tx) error {
				if err := tx.RevokeBadge("b-1", "lost"); err != nil {
					return err
				}
				return tx.AddBadge(store.Badge{ID: "b-2", Person: "p-1", Lookup: []byte("l"), Number: []byte("n"), AssignedAt: begin()})
			},
		},
	} {
		t.Run(row.says, func(t *testing.T) {
			update(t, newStore(t), func(tx *store.Tx) error {
				p := &taplinev1.PersonEntry{Id: "p-1"}
				b := store.Badge{ID: "b-1", Person: "p-1", Lookup: []byte("l"), Number: []byte("n"), AssignedAt: begin().Add(-time.Hour)}
				if row.person != nil {
					row.person(p)
				}
				if row.badge != nil {
					row.badge(&b)
				}
				if _, err := tx.PutPerson(p); err != nil {
					return err
				}
				if err := tx.AddBadge(b); err != nil {
					return err
				}
				if row.then != nil {
					if err := row.then(tx); err != nil {
						return err
					}
				}
				h, cause, err := newDirectory(t).Holder(tx, []byte("l"), begin())
				if cause != row.want || cause != unknown && h.Person.GetId() != "p-1" {
					t.Errorf("got %s for %v, want %s", cause, h.Person, row.want)
				}
				return err
			})
		})
	}
}

func TestWhichAccountASessionIsFor(t *testing.T) {
	update(t, newStore(t), func(tx *store.Tx) error {
		for id, stations := range map[string][]string{"own": nil, "line": {"plant/press/line-4/"}, "near": {"plant/press/line-4"}, "this": {string(press)}} {
			if _, err := tx.PutAccount(&taplinev1.Account{Id: id, Stations: stations}); err != nil {
				return err
			}
		}
		s := store.Station{Entry: &taplinev1.Station{Id: string(press), Account: "own"}}
		for asked, want := range map[record.AccountID]record.AccountID{"": "own", "own": "own", "line": "line", "this": "this", "near": "", "none": ""} {
			got, err := directory.AccountOf(tx, s, asked)
			if got != want || (err == nil) != (want != "") || err != nil && wire.KindOf(err) != wire.Invalid {
				t.Errorf("asked for %q: %q, %v", asked, got, err)
			}
		}
		return nil
	})
}

func TestEntriesThatMakeNoSense(t *testing.T) {
	for says, err := range map[string]error{
		"no person":                           directory.CheckPerson(nil),
		"no ID":                               directory.CheckPerson(&taplinev1.PersonEntry{}),
		"an ID that is an option":             directory.CheckPerson(&taplinev1.PersonEntry{Id: "--help"}),
		"an ID that is a path":                directory.CheckPerson(&taplinev1.PersonEntry{Id: "../p"}),
		"a name of two lines":                 directory.CheckPerson(&taplinev1.PersonEntry{Id: "p", DisplayName: "Anna\nroot"}),
		"a name with a terminal's code":       directory.CheckPerson(&taplinev1.PersonEntry{Id: "p", DisplayName: "Anna\x1b[2J"}),
		"a name with another terminal's code": directory.CheckPerson(&taplinev1.PersonEntry{Id: "p", DisplayName: "Anna\u009b2J"}),
		"a name that is written backwards":    directory.CheckPerson(&taplinev1.PersonEntry{Id: "p", DisplayName: "anna\u202eneb"}),
		"an empty role":                       directory.CheckPerson(&taplinev1.PersonEntry{Id: "p", Roles: []string{""}}),
		"more roles than anybody has":         directory.CheckPerson(&taplinev1.PersonEntry{Id: "p", Roles: make([]string, 65)}),
		"a certification without name":        directory.CheckPerson(&taplinev1.PersonEntry{Id: "p", Certifications: []*taplinev1.Certification{nil}}),
		"a certification until never": directory.CheckPerson(&taplinev1.PersonEntry{
			Id: "p", Certifications: []*taplinev1.Certification{{Name: "c", NotAfter: &timestamppb.Timestamp{Nanos: -1}}},
		}),
		"no account":                        directory.CheckAccount(nil),
		"a driver that there is not":        directory.CheckAccount(&taplinev1.Account{Id: "a", Driver: "magic"}),
		"an account for half a station":     directory.CheckAccount(&taplinev1.Account{Id: "a", Stations: []string{"plant/press"}}),
		"an account for everything":         directory.CheckAccount(&taplinev1.Account{Id: "a", Stations: []string{"/"}}),
		"a lease that ends before it began": directory.CheckAccount(&taplinev1.Account{Id: "a", LeaseTime: durationpb.New(-time.Second)}),
		"no station":                        directory.CheckStation(nil),
		"a station without levels":          directory.CheckStation(&taplinev1.Station{Id: "hmi-1"}),
		"a mode that there is not":          directory.CheckStation(&taplinev1.Station{Id: string(press), Mode: 99}),
		"an assurance that there is not":    directory.CheckStation(&taplinev1.Station{Id: string(press), RequiresAssurance: 99}),
		"a zone of two lines":               directory.CheckStation(&taplinev1.Station{Id: string(press), Zone: "a\nb"}),
	} {
		if wire.KindOf(err) != wire.Invalid {
			t.Errorf("%s: got %v", says, err)
		}
	}
	good := &taplinev1.PersonEntry{Id: "p-1", DisplayName: "Zoë Ångström-李", Roles: []string{"b", "a", "b"}}
	if err := directory.CheckPerson(good); err != nil || strings.Join(good.Roles, " ") != "a b" || good.Source != "local" {
		t.Errorf("%v, %v", good, err)
	}
	if err := directory.CheckStation(&taplinev1.Station{Id: string(press)}); err != nil {
		t.Error(err)
	}
}

func TestALevelCoversWhatIsBelowIt(t *testing.T) {
	for at, want := range map[string]bool{
		string(press): true, "plant/": true, "plant/press/": true, "plant/press/line-4/": true, "plant/press": false, "plant/pre": false, "": false,
		"plant/packing/": false, string(press) + "/": false, "press/": false,
	} {
		if got := directory.Covers(at, press); got != want {
			t.Errorf("%q: %v, want %v", at, got, want)
		}
	}
}

// FuzzReadProof holds that a number is either refused, or found again under its own lookup and opened as it was; and that no error shows it.
func FuzzReadProof(f *testing.F) {
	f.Add([]byte("uid\x0032\x00abcd"), "iso14443a", int32(1))
	d := newDirectory(f)
	f.Fuzz(func(t *testing.T, number []byte, technology string, assurance int32) {
		p, err := d.ReadProof("badge", &taplinev1.BadgeProof{Number: number, Technology: technology, Assurance: taplinev1.Assurance(assurance)})
		if err != nil {
			if wire.KindOf(err) != wire.Invalid || len(number) > 8 && strings.Contains(err.Error(), string(number)) {
				t.Errorf("%q: %v", number, err)
			}
			return
		}
		again, err := d.ReadProof("badge", &taplinev1.BadgeProof{Number: number})
		if err != nil || !bytes.Equal(again.Lookup, p.Lookup) {
			t.Errorf("%q is not found again: %v", number, err)
		}
		if opened, err := d.Number(p.Sealed); err != nil || !bytes.Equal(opened, number) {
			t.Errorf("%q opens as %q, %v", number, opened, err)
		}
	})
}

// FuzzCheckPerson holds that a person who is taken can be shown on one line and is taken again unchanged.
func FuzzCheckPerson(f *testing.F) {
	f.Add("p-1", "Anna B.", "operator", "en", "local")
	f.Fuzz(func(t *testing.T, id, name, role, language, source string) {
		p := &taplinev1.PersonEntry{Id: id, DisplayName: name, Roles: []string{role}, Language: language, Source: source}
		if directory.CheckPerson(p) != nil {
			return
		}
		for _, s := range []string{p.Id, p.DisplayName, p.Language, p.Source, p.Roles[0]} {
			if strings.ContainsFunc(s, unicode.IsControl) || strings.ContainsAny(s, "\u2028\u2029\u202a\u202e\u2066") {
				t.Errorf("%q cannot be shown on one line", s)
			}
		}
		if err := directory.CheckPerson(p); err != nil {
			t.Errorf("what was taken is refused: %v", err)
		}
	})
}

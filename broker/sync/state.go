package sync

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"tapline/broker/roster"
	"tapline/broker/store"
)

// State is how the synchronisation is, as the store has it for all brokers on it.
type State struct {
	Server  string    `json:"server,omitempty"`
	Kind    string    `json:"kind,omitempty"`    // of server
	Changes string    `json:"changes,omitempty"` // how changes are learned: "called", "asked", "read"
	LastOK  time.Time `json:"last_ok"`           // last time that we were as the server is
	FullAt  time.Time `json:"full_at"`           // last time that everything was read
	People  int       `json:"people"`
	// FailingSince and Fault tell of a synchronisation that fails.
	FailingSince time.Time `json:"failing_since"`
	Fault        string    `json:"fault,omitempty"`
	Failures     int       `json:"failures,omitempty"`
	LastAlarm    time.Time `json:"last_alarm"`
	// Held says why the brake holds the difference Difference; Accepted is the difference that an administrator lets through.
	Held       string `json:"held,omitempty"`
	Difference string `json:"difference,omitempty"`
	Accepted   string `json:"accepted,omitempty"`
	// Faults are entries that could not be taken over as they are, the first ones; FaultCount is all.
	Faults     []string `json:"faults,omitempty"`
	FaultCount int      `json:"fault_count,omitempty"`
	FaultsOf   string   `json:"faults_of,omitempty"` // digest of all, to tell new ones
	Referrals  int      `json:"referrals,omitempty"`
	Notes      []string `json:"notes,omitempty"`
	// Sum says what the cookie was made for: another configuration reads everything anew.
	Sum string `json:"sum,omitempty"`
}

// maxFaults is how many faults a state lists.
const maxFaults = 50

// image is a state as it was read, with the entries.
type image struct {
	stored store.Sync
	state  State
	known  map[string]store.Synced // by key
	owners map[string]string       // key, by person
}

func readState(tx *store.Tx) (image, error) {
	i := image{known: map[string]store.Synced{}, owners: map[string]string{}}
	var err error
	if i.stored, err = tx.Sync(roster.LDAP); err != nil {
		return i, err
	}
	if len(i.stored.Doc) > 0 {
		if err := json.Unmarshal(i.stored.Doc, &i.state); err != nil {
			return i, fmt.Errorf("state of the synchronisation: %w", err)
		}
	}
	return i, nil
}

func readImage(tx *store.Tx) (image, error) {
	i, err := readState(tx)
	if err != nil {
		return i, err
	}
	all, err := tx.Synced(roster.LDAP)
	for _, e := range all {
		i.known[e.Key] = e
		i.owners[string(e.Person)] = e.Key
	}
	return i, err
}

// write puts a state; store.ErrRevision if somebody else did since it was read.
func (i image) write(tx *store.Tx, s State, cookie []byte) error {
	doc, err := json.Marshal(s)
	if err != nil {
		return err
	}
	i.stored.Cookie, i.stored.Doc = cookie, doc
	return tx.PutSync(i.stored)
}

// difference names what changes, so that an administrator accepts what they saw.
func difference(changes []roster.Change) string {
	b, err := json.Marshal(changes)
	if err != nil {
		panic(err) // strings only
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:6])
}

// tellFaults puts faults into a state, and reports whether they are other ones than before.
func (s *State) tellFaults(all []string) bool {
	slices.Sort(all)
	all = slices.Compact(all)
	b, _ := json.Marshal(all)
	sum := sha256.Sum256(b)
	before := s.FaultsOf
	s.FaultCount, s.Faults, s.FaultsOf = len(all), all[:min(len(all), maxFaults)], hex.EncodeToString(sum[:8])
	return len(all) > 0 && s.FaultsOf != before
}

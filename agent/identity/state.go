package identity

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"tapline/agent/statefile"
	"tapline/proto/record"
	"tapline/proto/wire"
)

// Two small files hold what is not secret; the keystore holds the rest under the names that they give. identity.json is replaced in one step, so
// that names, certificate and statement always belong together.
const (
	stateFile   = "identity.json"
	pendingFile = "pending.json"
	stateV      = 1
)

// state is identity.json.
type state struct {
	V            int              `json:"v"`
	Station      record.StationID `json:"station"`
	Chain        record.ChainID   `json:"chain"`
	Root         wire.Pin         `json:"root_pin"`
	Token        record.Hash      `json:"token_hash"` // of the token's secret: the same token again is the same enrolment
	JoinSequence uint64           `json:"join_sequence"`
	Certificates [][]byte         `json:"certificates"`
	Roots        [][]byte         `json:"roots"`
	Statement    []byte           `json:"statement"`
	EvidenceKey  record.PublicKey `json:"evidence_key"`
	Brokers      []string         `json:"brokers"`
	RenewAt      time.Time        `json:"renew_at"`
	Trust        uint64           `json:"trust,omitempty"` // version of the trust statement that Roots are from
	Join         []byte           `json:"join,omitempty"`  // join statement
	// Names of secrets.
	IdentityKey string `json:"identity_key"`
	TLSKey      string `json:"tls_key"`
	BadgeKey    string `json:"badge_key"`
}

// pending is pending.json: a request that may or may not have reached the broker.
type pending struct {
	V            int              `json:"v"`
	Station      record.StationID `json:"station"`
	JoinSequence uint64           `json:"join_sequence"` // of the identity in hand; 0 to enrol
	CSR          []byte           `json:"csr"`
	TLSKey       string           `json:"tls_key"`
	// Of an enrolment only.
	Chain       record.ChainID `json:"chain,omitempty"`
	IdentityKey string         `json:"identity_key,omitempty"`
	RecordKey   string         `json:"record_key,omitempty"`
}

// readJSON reads a file; false when it is not there.
func readJSON(path string, into any) (bool, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := json.Unmarshal(b, into); err != nil {
		return false, fmt.Errorf("read %s: %w", path, err)
	}
	return true, nil
}

func writeJSON(d statefile.Disk, path string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return statefile.Write(d, path, append(b, '\n'))
}

func readState(dir string) (state, bool, error) {
	var s state
	ok, err := readJSON(filepath.Join(dir, stateFile), &s)
	if ok && s.V != stateV {
		return state{}, false, fmt.Errorf("%s has version %d, this build reads %d", stateFile, s.V, stateV)
	}
	return s, ok, err
}

func readPending(dir string) (pending, bool, error) {
	var p pending
	ok, err := readJSON(filepath.Join(dir, pendingFile), &p)
	if ok && p.V != stateV {
		return pending{}, false, fmt.Errorf("%s has version %d, this build reads %d", pendingFile, p.V, stateV)
	}
	return p, ok, err
}

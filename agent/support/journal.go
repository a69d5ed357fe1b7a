package support

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"tapline/proto/ledger"
	"tapline/proto/record"
)

// keepHeads is how many records an archive tells of.
const keepHeads = 200

// head is what an archive tells of a record.
type head struct {
	Seq      record.Seq        `json:"seq"`
	Type     record.Type       `json:"type"`
	Epoch    record.Epoch      `json:"epoch"`
	Wall     time.Time         `json:"wall"`
	Clock    record.ClockState `json:"clock"`
	Mode     record.Mode       `json:"mode,omitempty"`
	Session  record.SessionID  `json:"session,omitempty"`
	Person   string            `json:"person,omitempty"`
	From     string            `json:"from,omitempty"`
	Account  record.AccountID  `json:"account,omitempty"`
	Reader   string            `json:"reader,omitempty"`
	Reason   record.Reason     `json:"reason,omitempty"`
	By       string            `json:"decided_by,omitempty"`
	Bundle   uint64            `json:"bundle,omitempty"`
	Tier     string            `json:"tier,omitempty"`
	DecideUS int64             `json:"decide_us,omitempty"`
	Bytes    int               `json:"bytes"`
}

// journalFiles tell of the journal in dir: how large it is, whether it can be read, and the heads of the last records. It checks no signature; that is
// for "tapaudit verify". A journal that cannot be read is told of in words.
func journalFiles(dir string, names *pseudonyms) []File {
	about := map[string]any{}
	var heads []byte
	if err := readJournal(dir, names, about, &heads); err != nil {
		about["fault"] = err.Error()
	}
	summary, err := json.MarshalIndent(about, "", "  ")
	if err != nil { // numbers and strings
		summary = []byte("{}")
	}
	return []File{
		{"journal.json", "size and bounds of the journal", append(summary, '\n')},
		{"records.jsonl", fmt.Sprintf("heads of the last %d records; people by pseudonym, no badges", keepHeads), heads},
	}
}

func readJournal(dir string, names *pseudonyms, about map[string]any, heads *[]byte) error {
	entries, err := os.ReadDir(filepath.Join(dir, "records"))
	if err != nil {
		return fmt.Errorf("read journal: %w", err)
	}
	var bytes int64
	for _, e := range entries {
		if info, err := e.Info(); err == nil {
			bytes += info.Size()
		}
	}
	about["files"], about["bytes"] = len(entries), bytes
	r, err := ledger.OpenReader(filepath.Join(dir, "records"), ledger.Options{})
	if err != nil {
		return fmt.Errorf("open journal: %w", err)
	}
	first, next := r.Bounds()
	about["first"], about["next"], about["damaged_places"] = first, next, len(r.Damage())
	from := first
	if next > first+keepHeads {
		from = next - keepHeads
	}
	for entry, err := range r.Entries(from) {
		if err != nil {
			return fmt.Errorf("read records: %w", err)
		}
		one, err := record.ReadEntry(entry.Data)
		if err != nil {
			return fmt.Errorf("read record %d: %w", entry.Index, err)
		}
		line, err := json.Marshal(headOf(one.Payload, len(entry.Data), names))
		if err != nil {
			return err
		}
		*heads = append(append(*heads, line...), '\n')
	}
	return nil
}

func headOf(p record.Payload, size int, names *pseudonyms) head {
	h := head{
		Seq: p.Seq, Type: p.Type, Epoch: p.Epoch, Wall: p.Time.Wall, Clock: p.Time.State, Mode: p.Mode, Session: p.Session, Person: names.name(string(p.Person)),
		Account: p.Account, Reader: p.Reader, Reason: p.Reason, Bytes: size,
	}
	if p.From != nil {
		h.From = names.name(string(p.From.Person))
	}
	if d := p.Decision; d != nil {
		h.By, h.Bundle, h.Tier = d.By, d.Bundle, d.Tier
	}
	if p.Latency != nil {
		h.DecideUS = p.Latency.Decide
	}
	return h
}

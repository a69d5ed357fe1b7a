package record_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tapline/proto/record"
	"tapline/proto/record/evidence"
)

// The stations of the golden evidence.
const (
	hmi1   record.StationID = "oslo/packing/line-1/hmi-1"
	hmi2   record.StationID = "oslo/packing/line-1/hmi-2"
	broker record.StationID = "oslo/control/tapline/broker"
)

// world is evidence in memory, which a test may tamper with.
type world struct {
	trust  string // content of trust.json; empty for none
	chains []*chain
	extra  []*chain // whose folder is "again/N" and not the one it should be
}

// chain is one folder. An empty statement or receipt is a file that is not there.
type chain struct {
	id                 record.StationStatement
	statement, receipt string
	records            []string
	noRecords, torn    bool // no file of records; the last line without its end
}

// The chains of the golden evidence, by place in world.chains.
const (
	control = iota // the broker's own chain
	before         // the chain that hmi-1 had before it was enrolled anew
	line           // the chain of hmi-1 that most tests tamper with
	second         // hmi-2
)

// golden is the good evidence. It is the same on every run.
func golden(t testing.TB) *world {
	t.Helper()
	trust := record.Trust{
		V: record.Version, Origin: "oslo.example/tapline",
		Keys: []record.EvidenceKey{{Key: record.PublicKeyOf(key("broker")), From: start.Add(-time.Hour)}},
	}
	b, err := trust.Encode()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{trust: string(b)}
	w.add(t, statement(broker, 1, nil), controlRecords(), 1)
	w.add(t, statement(hmi1, 2, nil), beforeRecords(), 4)
	end := w.chains[before].entry(t, 4)
	w.add(t, statement(hmi1, 3, &record.ChainEnd{Chain: end.Payload.Chain, Seq: 4, Hash: end.Envelope.Hash()}), lineRecords(), 16)
	w.add(t, statement(hmi2, 4, nil), secondRecords(), 13)
	return w
}

// add writes a chain of payloads, of which acked are under the receipt. A payload of type epoch.sealed is sealed.
func (w *world) add(t testing.TB, s record.StationStatement, payloads []record.Payload, acked record.Seq) {
	t.Helper()
	c := &chain{id: s, statement: string(sign(t, record.StationPayloadType, &s).Bytes())}
	writer := record.NewChain(s)
	for i, p := range payloads {
		p.Time = at(time.Duration(i) * time.Minute)
		var e record.Envelope
		if p.Type == record.EpochSealed {
			e = sealEpoch(t, writer, time.Duration(i)*time.Minute)
		} else {
			e = write(t, writer, p)
		}
		c.records = append(c.records, string(e.Bytes()))
		if writer.Head().Seq == acked {
			c.receipt = receiptFor(t, writer.Head(), key("broker"))
		}
	}
	w.chains = append(w.chains, c)
}

func receiptFor(t testing.TB, head record.Head, signer ed25519.PrivateKey) string {
	t.Helper()
	r := record.NewReceipt(head, start.Add(2*time.Hour), "")
	e, err := record.SignStatement(record.ReceiptPayloadType, &r, signer)
	if err != nil {
		t.Fatal(err)
	}
	return string(e.Bytes())
}

func sign(t testing.TB, payloadType string, v any) record.Envelope {
	t.Helper()
	e, err := record.SignStatement(payloadType, v, key("broker"))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// entry reads record seq.
func (c *chain) entry(t testing.TB, seq record.Seq) record.Entry {
	t.Helper()
	e, err := record.ReadEntry([]byte(c.records[seq-1]))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// head is the head of the chain after its first n records.
func (c *chain) head(t testing.TB, n int) record.Head {
	t.Helper()
	raw := make([][]byte, n)
	for i := range raw {
		raw[i] = []byte(c.records[i])
	}
	head, _, err := record.CheckBatch(c.id.Head(), raw, record.CheckAll)
	if err != nil {
		t.Fatal(err)
	}
	return head
}

// rewrite is what a dishonest station does that has all its keys: it changes record seq as it likes and signs that one and all after it
// again, each with the key of the epoch that the record names.
func (c *chain) rewrite(t testing.TB, seq record.Seq, change func(*record.Payload)) {
	t.Helper()
	for i := int(seq) - 1; i < len(c.records); i++ {
		p := c.entry(t, record.Seq(i+1)).Payload
		if i > 0 && i >= int(seq) {
			p.Prev = c.entry(t, record.Seq(i)).Envelope.Hash()
		}
		if i == int(seq)-1 {
			change(&p)
		}
		e, err := record.SignPayload(p, epochKey(p.Chain, p.Epoch))
		if err != nil {
			t.Fatal(err)
		}
		c.records[i] = string(e.Bytes())
	}
}

// resign puts payload, of which nothing is checked, in the place of record seq, signed with signer.
func (c *chain) resign(seq record.Seq, payload string, signer ed25519.PrivateKey) {
	c.records[seq-1] = envelope(record.RecordPayloadType, payload, signer)
}

// envelope is DSSE written a second time, by the letter of SPEC.md, so that what the package writes is checked against something.
func envelope(payloadType, payload string, signer ed25519.PrivateKey) string {
	pae := fmt.Sprintf("DSSEv1 %d %s %d %s", len(payloadType), payloadType, len(payload), payload)
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Sprintf(`{"payload":"%s","payloadType":"%s","signatures":[{"keyid":"%s","sig":"%s"}]}`,
		b64([]byte(payload)), payloadType, record.PublicKeyOf(signer).ID(), b64(ed25519.Sign(signer, []byte(pae))))
}

// payload is the signed JSON of record seq.
func (c *chain) payload(t testing.TB, seq record.Seq) string {
	t.Helper()
	return string(c.entry(t, seq).Envelope.PayloadBytes())
}

// forge changes the text of a payload and leaves the signature as it was.
func forge(t testing.TB, raw, from, to string) string {
	t.Helper()
	var e map[string]any
	if err := json.Unmarshal([]byte(raw), &e); err != nil {
		t.Fatal(err)
	}
	payload, err := base64.StdEncoding.DecodeString(e["payload"].(string))
	if err != nil || !strings.Contains(string(payload), from) {
		t.Fatalf("payload %s has no %q (%v)", payload, from, err)
	}
	changed := strings.Replace(string(payload), from, to, 1)
	return strings.Replace(raw, base64.StdEncoding.EncodeToString(payload), base64.StdEncoding.EncodeToString([]byte(changed)), 1)
}

func swap(t testing.TB, s *string, from, to string) {
	t.Helper()
	if !strings.Contains(*s, from) {
		t.Fatalf("%s has no %q", *s, from)
	}
	*s = strings.Replace(*s, from, to, 1)
}

// store writes the world as an export.
func (w *world) store(t testing.TB, dir string) {
	t.Helper()
	if w.trust != "" {
		storeFile(t, filepath.Join(dir, evidence.TrustFile), w.trust+"\n")
	}
	for _, c := range w.chains {
		c.store(t, filepath.Join(dir, filepath.FromSlash(evidence.ChainPath(c.id.Station, c.id.Chain))))
	}
	for i, c := range w.extra {
		c.store(t, filepath.Join(dir, "again", fmt.Sprint(i)))
	}
}

func (c *chain) store(t testing.TB, dir string) {
	t.Helper()
	for _, f := range []struct{ name, content string }{{evidence.StationFile, c.statement}, {evidence.ReceiptFile, c.receipt}} {
		if f.content != "" {
			storeFile(t, filepath.Join(dir, f.name), f.content+"\n")
		}
	}
	if c.noRecords {
		return
	}
	lines := strings.Join(append(slices.Clone(c.records), ""), "\n")
	if c.torn {
		lines = lines[:len(lines)-100]
	}
	storeFile(t, filepath.Join(dir, evidence.RecordsFile), lines)
}

func storeFile(t testing.TB, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// envelopeOf writes the parts of e by the letter of SPEC.md.
func envelopeOf(e record.Envelope) []byte {
	_, rest, _ := strings.Cut(string(e.Bytes()), `"sig":"`)
	sig, _, _ := strings.Cut(rest, `"`)
	raw, err := base64.StdEncoding.Strict().DecodeString(sig)
	if err != nil {
		return nil
	}
	return fmt.Appendf(nil, `{"payload":"%s","payloadType":"%s","signatures":[{"keyid":"%s","sig":"%s"}]}`,
		base64.StdEncoding.EncodeToString(e.PayloadBytes()), e.PayloadType(), e.KeyID(), base64.StdEncoding.EncodeToString(raw))
}

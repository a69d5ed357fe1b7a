package record_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"tapline/proto/record"
)

// tampering is one way to cheat, and what a verifier says of it. The table is the one in SPEC.md; each row is a folder of test vectors.
type tampering struct {
	name    string
	does    string // what the forger did
	chain   int    // of the fault
	seq     record.Seq
	kind    record.FaultKind
	corrupt func(t testing.TB, w *world)
}

// on tampers with the records of chain line.
func on(f func(t testing.TB, c *chain)) func(testing.TB, *world) {
	return func(t testing.TB, w *world) { f(t, w.chains[line]) }
}

// station lets the station itself, with all its keys, write record seq otherwise.
func station(seq record.Seq, change func(*record.Payload)) func(testing.TB, *world) {
	return on(func(t testing.TB, c *chain) { c.rewrite(t, seq, change) })
}

// text changes the JSON of record seq and signs it again with the right key.
func text(seq record.Seq, from, to string) func(testing.TB, *world) {
	return on(func(t testing.TB, c *chain) {
		p := c.payload(t, seq)
		swap(t, &p, from, to)
		c.resign(seq, p, epochKey(c.id.Chain, c.entry(t, seq).Payload.Epoch))
	})
}

// raw changes the stored line of record seq.
func raw(seq record.Seq, from, to string) func(testing.TB, *world) {
	return on(func(t testing.TB, c *chain) { swap(t, &c.records[seq-1], from, to) })
}

func tamperings() []tampering {
	return slices.Concat(tamperedRecords(), tamperedOrder(), tamperedKeys(), tamperedForm(), tamperedMeaning(), tamperedPapers())
}

func tamperedRecords() []tampering {
	return []tampering{
		{"edit", "changes the person in a record", line, 3, record.FaultBadSignature, on(func(t testing.TB, c *chain) {
			c.records[2] = forge(t, c.records[2], string(anna), string(bo))
		})},
		{"edit-time", "moves a record by an hour", line, 9, record.FaultBadSignature, on(func(t testing.TB, c *chain) {
			c.records[8] = forge(t, c.records[8], "T06:08", "T07:08")
		})},
		{"edit-last", "changes the last record, which no receipt covers", line, 17, record.FaultBadSignature, on(func(t testing.TB, c *chain) {
			c.records[16] = forge(t, c.records[16], "T06:16", "T06:17")
		})},
		{"other-signature", "puts the signature of one record under another", line, 3, record.FaultBadSignature, on(func(_ testing.TB, c *chain) {
			head, _, _ := strings.Cut(c.records[2], `"sig"`)
			_, tail, _ := strings.Cut(c.records[3], `"sig"`)
			c.records[2] = head + `"sig"` + tail
		})},
		{"wrong-station", "puts a record of another station in the place of one", line, 3, record.FaultWrongStation, func(_ testing.TB, w *world) {
			w.chains[line].records[2] = w.chains[second].records[2]
		}},
		{"wrong-chain", "puts a record of the station's earlier chain in the place of one", line, 3, record.FaultWrongChain, func(_ testing.TB, w *world) {
			w.chains[line].records[2] = w.chains[before].records[2]
		}},
	}
}

func tamperedOrder() []tampering {
	return []tampering{
		{"drop", "takes a record out", line, 4, record.FaultGap, on(func(_ testing.TB, c *chain) { c.records = slices.Delete(c.records, 3, 4) })},
		{"drop-first", "takes the first record away", line, 1, record.FaultGap, on(func(_ testing.TB, c *chain) { c.records = c.records[1:] })},
		{"drop-seal", "takes the seal of an epoch out", line, 6, record.FaultGap, on(func(_ testing.TB, c *chain) { c.records = slices.Delete(c.records, 5, 6) })},
		{"reorder", "swaps two records", line, 4, record.FaultGap, on(func(_ testing.TB, c *chain) {
			c.records[3], c.records[4] = c.records[4], c.records[3]
		})},
		{"insert-copy", "puts a record in a second time", line, 5, record.FaultReplayed, on(func(_ testing.TB, c *chain) {
			c.records = slices.Insert(c.records, 4, c.records[3])
		})},
		{"replay", "adds an old record at the end", line, 18, record.FaultReplayed, on(func(_ testing.TB, c *chain) {
			c.records = append(c.records, c.records[2])
		})},
		{"truncate", "cuts the chain off", line, 11, record.FaultTruncated, on(func(_ testing.TB, c *chain) { c.records = c.records[:10] })},
		{"truncate-all", "empties the file of records", line, 1, record.FaultTruncated, on(func(_ testing.TB, c *chain) { c.records = nil })},
		{"delete-records", "takes the file of records away", line, 1, record.FaultTruncated, on(func(_ testing.TB, c *chain) { c.noRecords = true })},
		{"torn", "breaks the last record off", line, 17, record.FaultTorn, on(func(_ testing.TB, c *chain) { c.torn = true })},
		{"broken-link", "signs a record with the prev of another", line, 5, record.FaultBrokenLink, on(func(t testing.TB, c *chain) {
			c.rewrite(t, 5, func(p *record.Payload) { p.Prev = c.entry(t, 3).Envelope.Hash() })
		})},
		{"fork", "lets the station write its past anew, after the broker acknowledged it", line, 16, record.FaultForked, station(9, func(p *record.Payload) {
			p.Reason = "shift-end"
		})},
		{"end-of-earlier-chain", "cuts the earlier chain and its receipt back", before, 4, record.FaultChainEnd, func(t testing.TB, w *world) {
			c := w.chains[before]
			c.receipt = receiptFor(t, c.head(t, 3), key("broker"))
			c.records = c.records[:3]
		}},
		{"fork-of-earlier-chain", "writes the end of the earlier chain anew, under an older receipt", before, 4, record.FaultChainEnd, func(t testing.TB, w *world) {
			c := w.chains[before]
			c.receipt = receiptFor(t, c.head(t, 3), key("broker"))
			c.rewrite(t, 4, func(p *record.Payload) { p.Time.Wall = p.Time.Wall.Add(time.Second) })
		}},
	}
}

func tamperedKeys() []tampering {
	return []tampering{
		{"foreign-key", "changes a record and signs it with a key of his own", line, 3, record.FaultForeignKey, on(func(t testing.TB, c *chain) {
			c.resign(3, strings.Replace(c.payload(t, 3), string(anna), string(bo), 1), key("forger"))
		})},
		{"insert-forged", "adds a record at the end, signed with a key of his own", line, 18, record.FaultForeignKey, on(func(t testing.TB, c *chain) {
			p := c.entry(t, 17).Payload
			p.Seq, p.Prev = 18, c.entry(t, 17).Envelope.Hash()
			e, err := record.SignPayload(p, key("forger"))
			if err != nil {
				t.Fatal(err)
			}
			c.records = append(c.records, string(e.Bytes()))
		})},
		{"later-key", "changes an old record with the key that a station has now", line, 3, record.FaultLaterKey, on(func(t testing.TB, c *chain) {
			c.resign(3, strings.Replace(c.payload(t, 3), string(anna), string(bo), 1), epochKey(c.id.Chain, 3))
		})},
		{"earlier-key", "signs with the key of an epoch that was sealed", line, 8, record.FaultEarlierKey, on(func(t testing.TB, c *chain) {
			c.resign(8, c.payload(t, 8), epochKey(c.id.Chain, 1))
		})},
		{"keyid-swapped", "names another key than the one that signed", line, 3, record.FaultKeyIDSwapped, on(func(t testing.TB, c *chain) {
			swap(t, &c.records[2], record.PublicKeyOf(epochKey(c.id.Chain, 1)).ID(), record.PublicKeyOf(key("forger")).ID())
		})},
		{"unsealed", "goes on in a new epoch without sealing the old", line, 6, record.FaultEpochUnsealed, on(func(t testing.TB, c *chain) {
			p := c.entry(t, 5).Payload
			p.Seq, p.Prev, p.Epoch = 6, c.entry(t, 5).Envelope.Hash(), 2
			e, err := record.SignPayload(p, epochKey(c.id.Chain, 2))
			if err != nil {
				t.Fatal(err)
			}
			c.records[5] = string(e.Bytes())
		})},
		{"epoch-ended", "goes on with an epoch after its seal", line, 7, record.FaultEpochEnded, station(7, func(p *record.Payload) { p.Epoch = 1 })},
		{"epoch-skipped", "leaves an epoch out", line, 14, record.FaultEpochUnsealed, station(14, func(p *record.Payload) { p.Epoch = 4 })},
		{"seal-count", "seals fewer records than there are", line, 6, record.FaultSealCount, station(6, func(p *record.Payload) { p.Seal.Records-- })},
		{"key-reused", "names the key of an earlier epoch as the next", line, 13, record.FaultKeyReused, on(func(t testing.TB, c *chain) {
			c.rewrite(t, 13, func(p *record.Payload) { p.Seal.Next = c.id.FirstKey })
		})},
		{"key-kept", "names the key of the epoch itself as the next", line, 6, record.FaultKeyReused, on(func(t testing.TB, c *chain) {
			c.rewrite(t, 6, func(p *record.Payload) { p.Seal.Next = c.id.FirstKey })
		})},
		{"overdue", "goes on with an epoch for more than a day", line, 7, record.FaultEpochOverdue, station(7, func(p *record.Payload) {
			p.Time.Wall = p.Time.Wall.Add(record.MaxEpochAge + time.Minute)
		})},
	}
}

func tamperedForm() []tampering {
	return []tampering{
		{"payload-type", "says that a record is a receipt", line, 3, record.FaultPayloadType, raw(3, record.RecordPayloadType, record.ReceiptPayloadType)},
		{"receipt-as-record", "puts a receipt in the place of a record", line, 3, record.FaultPayloadType, on(func(_ testing.TB, c *chain) { c.records[2] = c.receipt })},
		{"unsigned", "takes the signature away", line, 3, record.FaultUnsigned, on(func(_ testing.TB, c *chain) {
			head, _, _ := strings.Cut(c.records[2], `[{"keyid"`)
			c.records[2] = head + `[]}`
		})},
		{"empty-signature", "leaves an empty signature", line, 3, record.FaultUnsigned, on(func(_ testing.TB, c *chain) {
			head, _, _ := strings.Cut(c.records[2], `"sig":"`)
			c.records[2] = head + `"sig":""}]}`
		})},
		{"extra-signature", "adds a second signature", line, 3, record.FaultExtraSignature, on(func(_ testing.TB, c *chain) {
			head, sig, _ := strings.Cut(c.records[2], `"signatures":[`)
			one := strings.TrimSuffix(sig, "]}")
			c.records[2] = head + `"signatures":[` + one + "," + one + "]}"
		})},
		{"white-space", "adds a blank to an envelope", line, 3, record.FaultNotCanonical, raw(3, `,"payloadType"`, `, "payloadType"`)},
		{"carriage-return", "gives a line the end of another system", line, 3, record.FaultNotCanonical, raw(3, `"}]}`, "\"}]}\r")},
		{"duplicate-key", "gives an envelope a second payload", line, 3, record.FaultNotCanonical, raw(3, `{"payload":`, `{"payload":"e30=","payload":`)},
		{"unknown-key", "adds a key to an envelope", line, 3, record.FaultNotCanonical, raw(3, `{"payload":`, `{"note":"x","payload":`)},
		{"spare-bits", "sets a bit that base64 does not use", line, 3, record.FaultNotCanonical, on(func(_ testing.TB, c *chain) {
			head, ok := strings.CutSuffix(c.records[2], `=="}]}`)
			last := head[len(head)-1] // of its six bits, base64 uses two
			if ok {
				c.records[2] = head[:len(head)-1] + string(last+1) + `=="}]}`
			}
		})},
		{"escape", "spells a letter of an envelope as an escape", line, 3, record.FaultNotCanonical, raw(3, `=="}]}`, `=\u003d"}]}`)},
		{"bad-base64", "damages the base64", line, 3, record.FaultMalformed, raw(3, `{"payload":"`, `{"payload":"!`)},
		{"not-json", "writes something else on a line", line, 3, record.FaultMalformed, on(func(_ testing.TB, c *chain) { c.records[2] = "all is well" })},
		{"empty-line", "leaves a line empty", line, 3, record.FaultMalformed, on(func(_ testing.TB, c *chain) { c.records[2] = "" })},
		{"duplicate-person", "signs a payload with two people", line, 3, record.FaultNotCanonical, text(3, `"person":`, `"person":"p-1003","person":`)},
		{"payload-space", "signs a payload in another spelling", line, 3, record.FaultNotCanonical, text(3, `"person":`, `"person": `)},
		{"payload-unknown-key", "signs a payload with a key that means nothing", line, 3, record.FaultNotCanonical, text(3, `"person":`, `"people":"x","person":`)},
		{"too-large", "signs more than a record may hold", line, 11, record.FaultTooLarge, text(11, "jam", strings.Repeat("jam ", 4000))},
	}
}

func tamperedMeaning() []tampering {
	return []tampering{
		{"unknown-version", "signs a record of version 2", line, 3, record.FaultUnknownVersion, text(3, `"v":1`, `"v":2`)},
		{"unknown-type", "signs a record of a type that is none", line, 3, record.FaultUnknownType, text(3, `"session.opened"`, `"session.began"`)},
		{"nobody", "signs a session that is nobody's", line, 3, record.FaultBadPayload, text(3, `"person":"p-1001",`, ``)},
		{"hidden-seal", "hides a seal in a heartbeat", line, 6, record.FaultBadPayload, text(6, `"epoch.sealed"`, `"station.heartbeat"`)},
		{"local-time", "signs a time that is not UTC", line, 3, record.FaultBadPayload, text(3, `T06:02:00Z`, `T07:02:00+01:00`)},
		{"time-back", "signs a time before the record before", line, 8, record.FaultTimeBack, station(8, func(p *record.Payload) {
			p.Time.Monotonic -= int64(2 * time.Minute)
		})},
		{"session-not-open", "closes a session that was never opened", line, 9, record.FaultNotOpen, station(9, func(p *record.Payload) { p.Session = session("9") })},
		{"session-closed-twice", "closes a session a second time", line, 12, record.FaultNotOpen, station(12, func(p *record.Payload) { p.Session = session("2") })},
		{"hand-over-from-nobody", "hands over a session that is not open", line, 4, record.FaultNotOpen, station(4, func(p *record.Payload) { p.From.Session = session("9") })},
		{"session-overlap", "opens a session while another is open", line, 5, record.FaultOverlap, on(func(t testing.TB, c *chain) {
			opened := c.entry(t, 3).Payload
			c.rewrite(t, 5, func(p *record.Payload) {
				p.Type, p.Session, p.Person, p.Decision = opened.Type, session("9"), anna, opened.Decision
			})
		})},
	}
}

func tamperedPapers() []tampering {
	return []tampering{
		{"no-trust", "takes the broker's keys away", control, 0, record.FaultTrustMissing, func(_ testing.TB, w *world) { w.trust = "" }},
		{"other-trust", "puts keys of his own in their place", control, 0, record.FaultStatementForged, func(t testing.TB, w *world) {
			swap(t, &w.trust, record.PublicKeyOf(key("broker")).String(), record.PublicKeyOf(key("forger")).String())
		}},
		{"key-not-in-use", "lets a key sign before its time", control, 0, record.FaultStatementForged, func(t testing.TB, w *world) {
			swap(t, &w.trust, "2026-11-22T05", "2026-11-22T07")
		}},
		{"no-statement", "takes a station statement away", line, 0, record.FaultStatementMissing, on(func(_ testing.TB, c *chain) { c.statement = "" })},
		{"statement-edited", "puts another first key into a statement", line, 0, record.FaultStatementForged, on(func(t testing.TB, c *chain) {
			c.statement = forge(t, c.statement, c.id.FirstKey.String(), record.PublicKeyOf(key("forger")).String())
		})},
		{"statement-forged", "signs a statement with a key of his own", line, 0, record.FaultStatementForged, on(func(t testing.TB, c *chain) {
			e, err := record.SignStatement(record.StationPayloadType, &c.id, key("forger"))
			if err != nil {
				t.Fatal(err)
			}
			c.statement = string(e.Bytes())
		})},
		{"record-as-statement", "puts a record in the place of a statement", line, 0, record.FaultStatementForged, on(func(_ testing.TB, c *chain) { c.statement = c.records[0] })},
		{"statement-misplaced", "gives a station the statement of another", line, 0, record.FaultStatementMisplaced, func(_ testing.TB, w *world) {
			w.chains[line].statement = w.chains[second].statement
		}},
		{"chain-twice", "brings a chain in two copies", line, 0, record.FaultChainTwice, func(_ testing.TB, w *world) {
			w.extra = append(w.extra, w.chains[line])
		}},
		{"chain-missing", "leaves the station's earlier chain out", before, 0, record.FaultChainMissing, func(_ testing.TB, w *world) {
			w.chains = slices.Delete(w.chains, before, before+1)
		}},
		{"no-receipt", "takes the receipt away", line, 0, record.FaultReceiptMissing, on(func(_ testing.TB, c *chain) { c.receipt = "" })},
		{"receipt-edited", "lets a receipt acknowledge less", line, 0, record.FaultReceiptForged, on(func(t testing.TB, c *chain) {
			c.receipt = forge(t, c.receipt, `"seq":16`, `"seq":15`)
		})},
		{"receipt-forged", "signs a receipt with the key of the station", line, 0, record.FaultReceiptForged, on(func(t testing.TB, c *chain) {
			c.receipt = receiptFor(t, c.head(t, 10), epochKey(c.id.Chain, 2))
			c.records = c.records[:10]
		})},
		{"receipt-foreign", "brings the receipt of another station", line, 0, record.FaultReceiptForeign, func(_ testing.TB, w *world) {
			w.chains[line].receipt = w.chains[second].receipt
		}},
	}
}

// Package checkpoint is the Merkle log as those see it who do not keep it: signed heads, proofs, tiles, and how to check them.
//
// A log is a list of records of which a head, the checkpoint, is signed by the log and cosigned by witnesses. The broker's tlog package keeps one and
// uses this package to sign and to prove; the auditor's tool uses the same package to check, and knows nothing of the broker. All formats are those of
// C2SP, so that other tools read them: signed-note, tlog-checkpoint, tlog-cosignature (Ed25519), tlog-proof, tlog-tiles and the request of
// tlog-witness. The tree is that of RFC 6962. What a leaf is, and the proof for many records at once, is ours: SPEC.md.
//
// Everything here is a function of its arguments: no clock, no network, no file, no random number.
package checkpoint

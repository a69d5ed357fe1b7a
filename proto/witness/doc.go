// Package witness cosigns the checkpoints of logs, so that a log cannot show two histories to two people.
//
// A witness stands outside of the plant, or with those who do not trust it, and does one thing: it remembers the newest checkpoint of each log that
// it was told of, and cosigns one that continues it. It speaks the protocol of C2SP tlog-witness (add-checkpoint), so that it serves other logs too, and
// the broker asks other witnesses. tapaudit witness runs one.
//
// What it has seen is durable before its cosignature leaves. A checkpoint with a log's good signature that is not shown to continue what was seen is
// refused and kept, and so is one with another root for the same size, which proves that the log forked. The package reads no record, and never signs a
// smaller log or two roots of a size.
package witness

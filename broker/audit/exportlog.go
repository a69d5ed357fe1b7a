package audit

import (
	"context"
	"path"
	"time"

	taplinev1 "tapline/proto/tapline/v1"

	"tapline/broker/store"
	"tapline/proto/checkpoint"
	"tapline/proto/record/evidence"
	"tapline/proto/wire"
)

// How long an export waits for a checkpoint that covers it, and for its witnesses: longer than they need, shorter than a person's patience.
const (
	awaitLog       = 5 * time.Second
	awaitWitnesses = 8 * time.Second
)

// prepare chooses the checkpoint that the export is proven under: one that covers every record that is stored now, if it comes in time.
func (x *exporter) prepare(since uint64) error {
	ctx, log := x.stream.Context(), x.service.Log
	var last uint64
	err := x.service.Store.View(ctx, func(tx *store.Tx) (err error) {
		last, err = tx.LastCursor()
		return err
	})
	if err != nil {
		return err
	}
	waiting, cancel := context.WithTimeout(ctx, awaitLog)
	defer cancel()
	if !log.Await(waiting, last) && ctx.Err() != nil {
		return ctx.Err()
	}
	if len(log.Witnesses) > 0 {
		asked, cancel := context.WithTimeout(ctx, awaitWitnesses)
		defer cancel()
		log.AwaitCosigned(asked, last)
	}
	signed, err := log.Covering(ctx, last)
	if wire.KindOf(err) == wire.NotFound && since == 0 {
		return nil // without a log, as before there was one
	}
	if err != nil {
		return err
	}
	head, err := checkpoint.Read(signed)
	if err != nil {
		return err
	}
	if since > head.Size {
		return wire.E(wire.Invalid, "since_size: %d, the newest checkpoint has %d records; was the broker's store put back?", since, head.Size)
	}
	x.signed, x.head, x.since, x.tree = signed, head, since, log.Reader(ctx)
	return nil
}

// places sends where the records of the chain that was sent last stand in the log.
func (x *exporter) places(name string) error {
	if x.signed == nil {
		return nil
	}
	w := textWriter{exporter: x, name: name}
	for _, cursor := range x.cursors {
		index := cursor - 1
		if index >= x.head.Size {
			break // stored since
		}
		hash, err := x.tree.Leaf(index)
		if err != nil {
			return err
		}
		x.leaves.add(index)
		if err := w.line(checkpoint.Leaf{Index: index, Hash: hash}.String()); err != nil {
			return err
		}
	}
	return w.flush()
}

// log sends the files of the log.
func (x *exporter) log() error {
	if x.signed == nil {
		return nil
	}
	statement, err := x.service.logStatement()
	if err != nil {
		return err
	}
	if err := x.file(path.Join(evidence.LogDir, evidence.LogStatementFile), statement); err != nil {
		return err
	}
	if err := x.stream.Send(&taplinev1.ExportResponse{Path: path.Join(evidence.LogDir, evidence.CheckpointFile), Data: x.signed}); err != nil {
		return err
	}
	w := textWriter{exporter: x, name: path.Join(evidence.LogDir, evidence.BetweenFile)}
	err = x.tree.ProveSet(x.head.Size, x.leaves.next, func(h checkpoint.Hash) error { return w.line(h.String()) })
	if err != nil {
		return err
	}
	if err := w.flush(); err != nil || x.since == 0 {
		return err
	}
	way, err := x.tree.ProveConsistency(x.since, x.head.Size)
	if err != nil {
		return err
	}
	proof := checkpoint.Extension{Old: x.since, Path: way, Checkpoint: x.signed}
	return x.stream.Send(&taplinev1.ExportResponse{Path: path.Join(evidence.LogDir, evidence.ConsistencyFile), Data: proof.Text()})
}

// textWriter sends a file of lines in pieces.
type textWriter struct {
	*exporter
	name  string
	piece []byte
	sent  bool
}

func (w *textWriter) line(text string) error {
	w.piece = append(append(w.piece, text...), '\n')
	if len(w.piece) < pieceSize {
		return nil
	}
	return w.flush()
}

// flush sends what is left; a file without lines is sent too.
func (w *textWriter) flush() error {
	if len(w.piece) == 0 && w.sent {
		return nil
	}
	err := w.stream.Send(&taplinev1.ExportResponse{Path: w.name, Data: w.piece})
	w.piece, w.sent = nil, true
	return err
}

// Package office is what every service that people call has in common: the change that is recorded with it, the read, and lists in pages.
//
// The services of the broker that administrators and auditors call embed an Office. A change is one update of the store that also writes the
// record of the act into the broker's own chain, so that neither is ever there alone. The package knows no noun of the directory and checks no
// right: that is package gate.
package office

import (
	"context"
	"crypto/sha256"
	"errors"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tapline/broker/acts"
	"tapline/broker/store"
	"tapline/proto/record"
	"tapline/proto/wire"
)

// Office is where people's requests are served. It is safe for concurrent use.
type Office struct {
	Store *store.Store
	Acts  *acts.Log
	Now   func() time.Time
}

// Change runs do and writes the record of the act, in one update. redacted is the request with secrets taken out.
func (o Office) Change(ctx context.Context, method, target string, redacted proto.Message, do func(*store.Tx) error) error {
	return o.ChangeAs(ctx, Caller(ctx), Role(ctx), method, target, redacted, do)
}

// ChangeAs is Change for a caller who has shown who they are by something else than a certificate.
func (o Office) ChangeAs(ctx context.Context, actor string, role wire.Role, method, target string, redacted proto.Message, do func(*store.Tx) error) error {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(redacted)
	if err != nil {
		return wire.E(wire.Invalid, "request: %w", err)
	}
	err = o.Store.Update(ctx, func(tx *store.Tx) error {
		if err := do(tx); err != nil {
			return err
		}
		return o.Acts.Write(tx, acts.Act{Method: method, Actor: actor, Role: string(role), Target: target, Digest: record.Hash(sha256.Sum256(b))})
	})
	return Translate(err)
}

// View runs a read.
func (o Office) View(ctx context.Context, read func(*store.Tx) error) error {
	return Translate(o.Store.View(ctx, read))
}

// Caller is the name of who calls, as acts are recorded under it.
func Caller(ctx context.Context) string {
	if who, _, ok := wire.Caller(ctx); ok {
		return who.Name
	}
	return "unknown"
}

// Role is the role in which the caller calls; empty for nobody.
func Role(ctx context.Context) wire.Role {
	who, _, _ := wire.Caller(ctx)
	return who.Role
}

// Translate gives the store's errors their kinds.
func Translate(err error) error {
	switch {
	case err == nil || wire.KindOf(err) != wire.Internal:
		return err
	case errors.Is(err, store.ErrNotFound):
		return wire.E(wire.NotFound, "%w", err)
	case errors.Is(err, store.ErrRevision):
		return wire.E(wire.Stale, "%w: read it again", err)
	case errors.Is(err, store.ErrExists):
		return wire.E(wire.Exists, "%w", err)
	}
	return err
}

// Sizes of a page and of a text that people type.
const (
	DefaultPage = 100
	MaxPage     = 1000
	MaxText     = 500
)

// Paged is a request for a page.
type Paged interface {
	GetPageSize() uint32
	GetPageToken() string
}

// PageOf reads a request for a page; it asks the store for one entry more, which tells whether there is a next page.
func PageOf(req Paged) (store.Page, error) {
	p := store.Page{Size: DefaultPage, After: req.GetPageToken()}
	if n := req.GetPageSize(); n > 0 {
		p.Size = int(min(n, MaxPage))
	}
	if q, ok := req.(interface{ GetQuery() string }); ok {
		p.Query = q.GetQuery()
	}
	switch {
	case len(p.After) > MaxText:
		return p, wire.E(wire.Invalid, "page_token: longer than %d", MaxText)
	case len(p.Query) > MaxText:
		return p, wire.E(wire.Invalid, "query: longer than %d", MaxText)
	}
	p.Size++
	return p, nil
}

// Cut takes the surplus entry off a page and gives the token for the next.
func Cut[T any](p store.Page, found []T, id func(T) string) ([]T, string) {
	if len(found) < p.Size {
		return found, ""
	}
	found = found[:p.Size-1]
	return found, id(found[len(found)-1])
}

// Word checks a short stable word.
func Word(field, word string) error {
	if len(word) > 64 || strings.Trim(word, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		return wire.E(wire.Invalid, "%s: a short word of small letters, digits and dashes", field)
	}
	return nil
}

// Stamp is a time in a message; nil for none.
func Stamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

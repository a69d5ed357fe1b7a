// Package admin is the administrator's service: people, badges, accounts, stations, tokens, policies, leases and alarms.
//
// tapctl calls it over gRPC; the interceptor has made sure that the caller has an administrator's certificate. Each call that changes something is one
// update of the store that also writes the record of the act, so that neither is ever there alone. After it, those who must hear of it are told:
// stations on the line get a new bundle, sessions of a revoked badge end, a revoked station is cut off.
//
// The service shows no badge number, PIN or secret; a token's secret is in the one answer that makes it. Visits, the import of a directory and
// auditors' certificates are not in this version.
package admin

import (
	"context"
	"crypto/sha256"
	"errors"
	"strings"
	"time"

	taplinev1 "tapline/proto/tapline/v1"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tapline/broker/acts"
	"tapline/broker/directory"
	"tapline/broker/identity"
	"tapline/broker/pin"
	"tapline/broker/rulebook"
	"tapline/broker/store"
	"tapline/broker/switchboard"
	"tapline/proto/record"
	"tapline/proto/wire"
)

// Service is the AdminService.
type Service struct {
	taplinev1.UnimplementedAdminServiceServer
	Store     *store.Store
	Directory directory.Directory
	Rules     *rulebook.Book
	Registrar *identity.Registrar
	Acts      *acts.Log
	PINs      *pin.Checker
	Board     *switchboard.Board
	Now       func() time.Time
	// Changed is called after something changed that a bundle may depend on.
	Changed func()
	Build   string
	Started time.Time
	// Conditions is what needs somebody's eye now.
	Conditions func() []string
}

// change runs do and writes the record of the act, in one update. redacted is the request with secrets taken out.
func (s *Service) change(ctx context.Context, method, target string, redacted proto.Message, do func(*store.Tx) error) error {
	actor := "unknown"
	if who, _, ok := wire.Caller(ctx); ok {
		actor = who.Name
	}
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(redacted)
	if err != nil {
		return wire.E(wire.Invalid, "request: %w", err)
	}
	err = s.Store.Update(ctx, func(tx *store.Tx) error {
		if err := do(tx); err != nil {
			return err
		}
		return s.Acts.Write(tx, acts.Act{Method: method, Actor: actor, Target: target, Digest: record.Hash(sha256.Sum256(b))})
	})
	return translate(err)
}

// view runs a read.
func (s *Service) view(ctx context.Context, read func(*store.Tx) error) error {
	return translate(s.Store.View(ctx, read))
}

// translate gives the store's errors their kinds.
func translate(err error) error {
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

// Sizes of a page.
const (
	defaultPage = 100
	maxPage     = 1000
	maxText     = 500
)

// paged is a request for a page.
type paged interface {
	GetPageSize() uint32
	GetPageToken() string
}

// pageOf reads a request for a page; it asks the store for one entry more, which tells whether there is a next page.
func pageOf(req paged) (store.Page, error) {
	p := store.Page{Size: defaultPage, After: req.GetPageToken()}
	if n := req.GetPageSize(); n > 0 {
		p.Size = int(min(n, maxPage))
	}
	if q, ok := req.(interface{ GetQuery() string }); ok {
		p.Query = q.GetQuery()
	}
	if len(p.After) > maxText || len(p.Query) > maxText {
		return p, wire.E(wire.Invalid, "page_token, query: longer than %d", maxText)
	}
	p.Size++
	return p, nil
}

// cut takes the surplus entry off a page and gives the token for the next.
func cut[T any](p store.Page, found []T, id func(T) string) ([]T, string) {
	if len(found) < p.Size {
		return found, ""
	}
	found = found[:p.Size-1]
	return found, id(found[len(found)-1])
}

// goodWord checks a short stable word.
func goodWord(field, word string) error {
	if len(word) > 64 || strings.Trim(word, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		return wire.E(wire.Invalid, "%s: a short word of small letters, digits and dashes", field)
	}
	return nil
}

func stamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

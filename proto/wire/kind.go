package wire

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
)

// Kind says what sort of error it is: what the other side may conclude, and what an operator is told.
type Kind uint8

// The kinds of error that cross the wire. The zero Kind is no error.
const (
	None            Kind = iota
	Invalid              // the request is wrong; the message names the field
	Unauthenticated      // the caller is not who it must be, or nobody
	Denied               // the caller may not do this
	NotFound             // the thing named is not there
	Exists               // the thing is there already, with other content
	Stale                // an older revision, sequence or fence; a fork
	Precondition         // not in this state
	Busy                 // too much at once; try again later
	Unavailable          // the other side is away; try again
	Deadline             // no answer in time
	Cancelled            // the caller gave up
	BadEvidence          // records do not verify
	Unsupported          // this build cannot do it yet
	Internal             // a fault of ours
)

// The one table of kinds and gRPC codes; a test holds that it maps both ways.
func kindCodes() map[Kind]codes.Code {
	return map[Kind]codes.Code{
		None:            codes.OK,
		Invalid:         codes.InvalidArgument,
		Unauthenticated: codes.Unauthenticated,
		Denied:          codes.PermissionDenied,
		NotFound:        codes.NotFound,
		Exists:          codes.AlreadyExists,
		Stale:           codes.Aborted,
		Precondition:    codes.FailedPrecondition,
		Busy:            codes.ResourceExhausted,
		Unavailable:     codes.Unavailable,
		Deadline:        codes.DeadlineExceeded,
		Cancelled:       codes.Canceled,
		BadEvidence:     codes.DataLoss,
		Unsupported:     codes.Unimplemented,
		Internal:        codes.Internal,
	}
}

// Code is the gRPC code of a kind.
func (k Kind) Code() codes.Code {
	if c, ok := kindCodes()[k]; ok {
		return c
	}
	return codes.Internal
}

// kindOf is the kind of a gRPC code; Internal for codes that we never send.
func kindOf(c codes.Code) Kind {
	for k, have := range kindCodes() {
		if have == c {
			return k
		}
	}
	return Internal
}

// String is the kind as a word.
func (k Kind) String() string {
	if k == None {
		return "none"
	}
	return k.Code().String()
}

// Error is an error with a kind. Its message crosses the wire, so it never holds a secret or a badge number.
type Error struct {
	Kind Kind
	// Retry is how long the caller should wait before it tries again; 0 for whatever it likes. It crosses the wire (google.rpc.RetryInfo).
	Retry time.Duration
	err   error
}

// E makes an error of a kind; format may wrap with %w.
func E(kind Kind, format string, args ...any) error {
	return &Error{Kind: kind, err: fmt.Errorf(format, args...)}
}

// BusyFor makes an error of the kind Busy that says when to come back.
func BusyFor(retry time.Duration, format string, args ...any) error {
	return &Error{Kind: Busy, Retry: retry, err: fmt.Errorf(format, args...)}
}

// RetryAfter is how long an error, of ours or of a gRPC status, asks to wait; 0 when it does not say.
func RetryAfter(err error) time.Duration {
	var ours *Error
	if errors.As(err, &ours) {
		return ours.Retry
	}
	s, _ := status.FromError(err)
	for _, d := range s.Details() {
		if info, ok := d.(*errdetails.RetryInfo); ok {
			return max(0, min(info.GetRetryDelay().AsDuration(), maxRetry))
		}
	}
	return 0
}

// maxRetry bounds how long the other side can make us wait.
const maxRetry = 5 * time.Minute

// Error is the message alone.
func (e *Error) Error() string { return e.err.Error() }

// Unwrap is the wrapped error.
func (e *Error) Unwrap() error { return errors.Unwrap(e.err) }

// KindOf is the kind of an error: of ours, of a gRPC status, of a context; Internal for all else, None for nil.
func KindOf(err error) Kind {
	var ours *Error
	switch {
	case err == nil:
		return None
	case errors.As(err, &ours):
		return ours.Kind
	case errors.Is(err, context.DeadlineExceeded):
		return Deadline
	case errors.Is(err, context.Canceled):
		return Cancelled
	}
	if s, ok := status.FromError(err); ok {
		return kindOf(s.Code())
	}
	return Internal
}

// Status turns an error into what gRPC sends. Errors without a kind cross as INTERNAL with a bare message: what went wrong inside is for our log.
func Status(err error) error {
	var ours *Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &ours):
		s := status.New(ours.Kind.Code(), Text(err))
		if ours.Retry > 0 {
			if with, err := s.WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(ours.Retry)}); err == nil {
				s = with
			}
		}
		return s.Err()
	}
	k := KindOf(err)
	if k == Internal {
		return status.Error(codes.Internal, "internal error; see the broker's log")
	}
	if s, ok := status.FromError(err); ok {
		return s.Err()
	}
	return status.Error(k.Code(), Text(err))
}

// maxText bounds what an error says, in bytes.
const maxText = 1800

// Text is what an error says, fit for the wire, a log and a terminal: it may quote what a caller sent, so it is cut to a bounded length, and what
// moves a cursor or turns the direction of writing is replaced. Lines stay.
func Text(err error) string {
	said := err.Error()
	if len(said) > maxText {
		said = said[:maxText] + " ..."
	}
	return strings.Map(func(c rune) rune {
		if c != '\n' && unicode.IsControl(c) || unicode.Is(unicode.Bidi_Control, c) || c == '\u2028' || c == '\u2029' {
			return utf8.RuneError
		}
		return c
	}, strings.ToValidUTF8(said, ""))
}

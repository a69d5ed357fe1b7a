package localapi

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strconv"
	"time"

	"google.golang.org/grpc/status"

	"tapline/proto/wire"
)

// fault is an error as JSON: {"error": {"kind": "InvalidArgument", "field": "pin", "message": "pin: ..."}}.
type fault struct {
	Kind    string  `json:"kind"`
	Field   string  `json:"field,omitempty"`
	Message string  `json:"message"`
	Retry   float64 `json:"retry_after_seconds,omitempty"`
}

// statusOf is the HTTP status of a kind of error.
func statusOf(k wire.Kind) int {
	switch k {
	case wire.Invalid:
		return http.StatusBadRequest
	case wire.Unauthenticated:
		return http.StatusUnauthorized
	case wire.Denied:
		return http.StatusForbidden
	case wire.NotFound:
		return http.StatusNotFound
	case wire.Exists, wire.Stale, wire.Precondition:
		return http.StatusConflict
	case wire.Busy:
		return http.StatusTooManyRequests
	case wire.Unavailable, wire.Cancelled:
		return http.StatusServiceUnavailable
	case wire.Deadline:
		return http.StatusGatewayTimeout
	case wire.Unsupported:
		return http.StatusNotImplemented
	}
	return http.StatusInternalServerError
}

// fieldAt is the field, or the fields, that a refusal of a request begins with.
var fieldAt = regexp.MustCompile(`^([a-z][a-z0-9_.]*(?:, [a-z][a-z0-9_.]*)*): `)

// refuse answers with an error. code 0 is the status of the error's kind.
func refuse(w http.ResponseWriter, err error, code int) {
	kind := wire.KindOf(err)
	if code == 0 {
		code = statusOf(kind)
	}
	f := fault{Kind: kind.String(), Message: status.Convert(wire.Status(err)).Message()}
	if kind == wire.Invalid {
		if m := fieldAt.FindStringSubmatch(f.Message); m != nil {
			f.Field = m[1]
		}
	}
	if retry := wire.RetryAfter(err); retry > 0 {
		f.Retry = retry.Seconds()
		w.Header().Set("Retry-After", strconv.Itoa(int((retry+time.Second-1)/time.Second)))
	}
	body, err := json.Marshal(map[string]fault{"error": f})
	if err != nil { // strings and a number: it does not happen
		body = []byte(`{"error":{"kind":"Internal"}}`)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(code)
	_, _ = w.Write(append(body, '\n'))
}

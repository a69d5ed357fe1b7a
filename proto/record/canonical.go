package record

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// validator is what a payload may have to say about itself beyond its shape.
type validator interface{ Validate() error }

// encode writes v as the one JSON that this format allows for it: fields in the order of the struct, no white space, no escaping
// beyond what JSON demands (and U+2028, U+2029).
func encode(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}

// decode reads b into v and refuses every spelling but the one that encode gives. Comparing the bytes catches at once what a list of
// checks would have to name: unknown and doubled keys, other letter case, white space, null, spare escapes, other spellings of a number,
// a time or base64, invalid UTF-8, trailing data.
func decode(b []byte, v any) error {
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%w: %w", FaultMalformed, err)
	}
	again, err := encode(v)
	if err != nil {
		return fmt.Errorf("%w: %w", FaultMalformed, err)
	}
	if !bytes.Equal(b, again) {
		return fmt.Errorf("%w: byte %d", FaultNotCanonical, firstDifference(b, again))
	}
	return nil
}

func firstDifference(a, b []byte) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

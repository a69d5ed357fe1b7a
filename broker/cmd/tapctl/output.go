package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// column is one column of a table.
type column[T any] struct {
	head string
	cell func(T) string
}

// list prints entries as a table, or as a JSON array.
func list[T proto.Message](c *cobra.Command, o *options, entries []T, columns ...column[T]) error {
	if o.output == "json" {
		return printJSONList(c.OutOrStdout(), entries)
	}
	w := tabwriter.NewWriter(c.OutOrStdout(), 0, 8, 2, ' ', 0)
	heads := make([]string, len(columns))
	for i, col := range columns {
		heads[i] = col.head
	}
	fmt.Fprintln(w, strings.Join(heads, "\t"))
	for _, e := range entries {
		cells := make([]string, len(columns))
		for i, col := range columns {
			cells[i] = fallback(clean(col.cell(e)), "-")
		}
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	return w.Flush()
}

// clean keeps a cell on its line: names come from directories and may hold anything.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || (r >= 0x80 && r < 0xa0) {
			return '?'
		}
		return r
	}, s)
}

// show prints one message as JSON, or says text.
func show(c *cobra.Command, o *options, m proto.Message, format string, args ...any) error {
	if o.output == "json" {
		return printJSON(c.OutOrStdout(), m)
	}
	_, err := fmt.Fprintf(c.OutOrStdout(), format+"\n", args...)
	return err
}

func printJSON(w io.Writer, m proto.Message) error {
	b, err := encodeJSON(m)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s\n", b)
	return err
}

func printJSONList[T proto.Message](w io.Writer, entries []T) error {
	all := make([]json.RawMessage, len(entries))
	for i, e := range entries {
		b, err := encodeJSON(e)
		if err != nil {
			return err
		}
		all[i] = b
	}
	b, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s\n", b)
	return err
}

// encodeJSON is protojson made stable: its own spacing changes between builds on purpose.
func encodeJSON(m proto.Message) ([]byte, error) {
	b, err := protojson.MarshalOptions{UseProtoNames: true, EmitUnpopulated: true}.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode answer: %w", err)
	}
	var out bytes.Buffer
	if err := json.Indent(&out, b, "", "  "); err != nil {
		return nil, fmt.Errorf("encode answer: %w", err)
	}
	return out.Bytes(), nil
}

// pages fetches every page of a listing.
func pages[T any](fetch func(token string) ([]T, string, error)) ([]T, error) {
	var all []T
	token := ""
	for {
		some, next, err := fetch(token)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
		if next == "" {
			return all, nil
		}
		if next == token {
			return nil, fmt.Errorf("broker repeats page %q", token)
		}
		token = next
	}
}

// pageSize is how much one call of a listing asks for.
const pageSize = 500

func when(t *timestamppb.Timestamp) string {
	if t == nil || !t.IsValid() {
		return ""
	}
	return t.AsTime().Local().Format("2006-01-02 15:04:05")
}

func lasting(d *durationpb.Duration) string {
	if d == nil {
		return ""
	}
	return d.AsDuration().String()
}

func stamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// word is an enum value without its type's name: MODE_GATE is "gate".
func word(e fmt.Stringer, prefix string) string {
	s := strings.ToLower(strings.TrimPrefix(e.String(), prefix))
	if s == "unspecified" {
		return ""
	}
	return strings.ReplaceAll(s, "_", "-")
}

// pick reads an enum value from a word.
func pick(values map[string]int32, prefix, flag, text string) (int32, error) {
	v, ok := values[prefix+strings.ToUpper(strings.ReplaceAll(text, "-", "_"))]
	if !ok || text == "" {
		var words []string
		for n, v := range values {
			if v != 0 {
				words = append(words, strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(n, prefix), "_", "-")))
			}
		}
		return 0, usage("--%s %q: want one of %s", flag, text, strings.Join(sorted(words), ", "))
	}
	return v, nil
}

// message is what the broker said, without gRPC's wrapping.
func message(err error) string {
	if s, ok := status.FromError(err); ok {
		return s.Message()
	}
	return err.Error()
}

func sorted(words []string) []string {
	slices.Sort(words)
	return words
}

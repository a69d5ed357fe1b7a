//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strings"
	"text/tabwriter"
)

// result is one case of a benchmark that times something. The names are the public form: keep them.
type result struct {
	Bench   string  `json:"bench"`
	Case    string  `json:"case"`
	N       int     `json:"n"`
	First   float64 `json:"first_ms,omitempty"` // the first tap of the case, which is none of the n
	P50     float64 `json:"p50_ms,omitempty"`
	P99     float64 `json:"p99_ms,omitempty"`
	CPU     float64 `json:"cpu_us_per_op,omitempty"`
	Percent float64 `json:"cpu_percent,omitempty"`
	RSS     float64 `json:"rss_mb"`
	Seconds float64 `json:"seconds"`
	By      string  `json:"decided_by,omitempty"`
}

// printer prints results as they come: one JSON object a line, or a table whose columns are named as in JSON.
func printer(w io.Writer, asJSON bool) func(any) error {
	if asJSON {
		e := json.NewEncoder(w)
		return func(r any) error { return e.Encode(r) }
	}
	var before string
	return func(r any) error {
		t := tabwriter.NewWriter(w, 14, 8, 2, ' ', 0)
		head, row := columns(r)
		if head != before {
			fmt.Fprintln(t, head)
			before = head
		}
		fmt.Fprintln(t, row)
		return t.Flush()
	}
}

func columns(r any) (head, row string) {
	v := reflect.ValueOf(r)
	var names, values []string
	for i := range v.NumField() {
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		names = append(names, name)
		if f, ok := v.Field(i).Interface().(float64); ok {
			values = append(values, fmt.Sprintf("%.2f", f))
			continue
		}
		values = append(values, fmt.Sprint(v.Field(i).Interface()))
	}
	return strings.Join(names, "\t"), strings.Join(values, "\t")
}

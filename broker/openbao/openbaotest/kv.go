package openbaotest

import (
	"encoding/json"
	"net/http"
	"slices"
	"time"
)

// answer writes what a server answers.
type answer struct {
	w    http.ResponseWriter
	echo bool
	body string
}

func (a *answer) fail(code int, text string) {
	if a.echo {
		text += ": " + a.body
	}
	a.write(code, map[string]any{"errors": []string{text}})
}

func (a *answer) write(code int, v any) {
	a.w.Header().Set("Content-Type", "application/json")
	a.w.WriteHeader(code)
	_ = json.NewEncoder(a.w).Encode(v)
}

func (a *answer) data(v any) {
	a.write(http.StatusOK, map[string]any{"request_id": random(), "lease_duration": 0, "renewable": false, "data": v})
}

// engine answers for the KV engine of version 2.
func (s *Server) engine(a *answer, r *http.Request, part, key string, body []byte) {
	var right string
	var do func()
	switch part + " " + r.Method {
	case "data GET":
		right, do = "read", func() { read(a, s.kv[key]) }
	case "data PUT", "data POST":
		right, do = "create", func() { s.put(a, key, body) }
		if s.kv[key] != nil { // the rights are looked at before check-and-set is
			right = "update"
		}
	case "metadata DELETE":
		right, do = "delete", func() {
			delete(s.kv, key)
			a.w.WriteHeader(http.StatusNoContent)
		}
	default:
		a.fail(http.StatusMethodNotAllowed, "unsupported operation")
		return
	}
	if !slices.Contains(s.Rights[part], right) {
		a.fail(http.StatusForbidden, "permission denied")
		return
	}
	do()
}

func meta(all []version) map[string]any {
	v := all[len(all)-1]
	m := map[string]any{
		"created_time": v.at.UTC().Format(time.RFC3339Nano), "custom_metadata": nil, "deletion_time": "", "destroyed": false, "version": len(all),
	}
	if v.deleted {
		m["deletion_time"] = v.at.UTC().Format(time.RFC3339Nano)
	}
	return m
}

func read(a *answer, all []version) {
	if all == nil {
		a.write(http.StatusNotFound, map[string]any{"errors": []string{}})
		return
	}
	v := all[len(all)-1]
	if v.deleted { // the metadata are told, under a 404
		a.write(http.StatusNotFound, map[string]any{"data": map[string]any{"data": nil, "metadata": meta(all)}})
		return
	}
	a.data(map[string]any{"data": v.data, "metadata": meta(all)})
}

func (s *Server) put(a *answer, key string, body []byte) {
	var asked struct {
		Options struct {
			CAS *int `json:"cas"`
		} `json:"options"`
		Data map[string]any `json:"data"`
	}
	if err := json.Unmarshal(body, &asked); err != nil || asked.Data == nil {
		a.fail(http.StatusBadRequest, "no data provided")
		return
	}
	if asked.Options.CAS == nil {
		a.fail(http.StatusBadRequest, "check-and-set parameter required for this call")
		return
	}
	if *asked.Options.CAS != len(s.kv[key]) {
		a.fail(http.StatusBadRequest, "check-and-set parameter did not match the current version")
		return
	}
	s.kv[key] = append(s.kv[key], version{data: asked.Data, at: s.now()})
	if s.LoseWrites {
		panic(http.ErrAbortHandler)
	}
	a.data(meta(s.kv[key]))
}

// SoftDelete deletes the newest version of each key, as a person at the server may.
func (s *Server) SoftDelete() {
	s.Do(func() {
		for _, all := range s.kv {
			all[len(all)-1].deleted = true
		}
	})
}

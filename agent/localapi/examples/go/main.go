// Tapwho is an example: how a program in Go asks the Tapline agent of its station who is here. It needs nothing but the standard library, so that it can be
// copied as it is; nothing of Tapline calls it, and it is in no package.
//
//	tapwho who                                   who is here
//	tapwho watch [N]                             every change, as it happens; N ends after so many
//	tapwho sign APPLICATION ACTION MEANING FILE  record that the person here signs FILE; a PIN, if one is asked for, on standard input
//	tapwho claim [EMERGENCY] [NOTE]              take responsibility for an emergency, in the name of whoever taps next
package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
)

// presence is what an application needs of who is here. The rest of the answer is in agent/localapi/README.md.
type presence struct {
	State   string `json:"state"` // PRESENCE_STATE_IDLE, _NAMED, _UNATTRIBUTED, _EMERGENCY
	Session string `json:"session"`
	Person  struct {
		ID   string `json:"id"`
		Name string `json:"display_name"`
	} `json:"person"`
	Emergency *emergency  `json:"emergency"`
	Unclaimed []emergency `json:"unclaimed"`
}

type emergency struct {
	ID string `json:"id"`
}

func (p presence) String() string {
	switch p.State {
	case "PRESENCE_STATE_NAMED":
		return fmt.Sprintf("%s (%s)", p.Person.Name, p.Person.ID)
	case "PRESENCE_STATE_EMERGENCY":
		return "emergency"
	case "PRESENCE_STATE_UNATTRIBUTED":
		return "somebody, and no record says who"
	}
	return "nobody"
}

// agent calls the agent's socket. The agent knows the caller by what the kernel says of the other end; there is no password.
type agent struct{ http http.Client }

func newAgent() *agent {
	path := os.Getenv("TAPLINE_SOCKET")
	if path == "" {
		path = "/run/tapline/agent.sock"
	}
	return &agent{http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", path)
	}}}}
}

// call makes one call. A refusal has a message for people and, if the request is wrong, the field.
func (a *agent) call(verb, path string, body, answer any) error {
	sent, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(context.Background(), verb, "http://tapline"+path, bytes.NewReader(sent))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := a.http.Do(req)
	if err != nil {
		return fmt.Errorf("is the agent running? %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		var refusal struct {
			Error struct {
				Kind    string `json:"kind"`
				Message string `json:"message"`
			} `json:"error"`
		}
		if err := json.NewDecoder(resp.Body).Decode(&refusal); err != nil {
			return fmt.Errorf("the agent answers %s", resp.Status)
		}
		return fmt.Errorf("%s: %s", refusal.Error.Kind, refusal.Error.Message)
	}
	return json.NewDecoder(resp.Body).Decode(answer)
}

func (a *agent) who() (p presence, err error) {
	var answer struct {
		Presence presence `json:"presence"`
	}
	err = a.call(http.MethodGet, "/api/v1/presence", struct{}{}, &answer)
	return answer.Presence, err
}

// watch prints who is here whenever that is somebody else. The first event is the present state. A connection that breaks is made again by the caller, with the last id in
// the header Last-Event-ID, and gets what it missed.
func (a *agent) watch(most int) error {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://tapline/api/v1/watch", http.NoBody)
	if err != nil {
		return err
	}
	resp, err := a.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	shown := ""
	for lines := bufio.NewScanner(resp.Body); lines.Scan() && most != 0; {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		var change struct {
			Presence presence `json:"presence"`
		}
		if err := json.Unmarshal([]byte(data), &change); err != nil {
			return err
		}
		if now := change.Presence.String(); now != shown { // other events are notices, such as a refused badge
			fmt.Println(now)
			shown, most = now, most-1
		}
	}
	return nil
}

func (a *agent) sign(application, name, meaning, file string) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	pin, err := io.ReadAll(io.LimitReader(os.Stdin, 64))
	if err != nil {
		return err
	}
	digest := sha256.Sum256(content)
	var answer struct {
		Envelope []byte `json:"envelope"` // the signed record: keep it with the file
	}
	err = a.call(http.MethodPost, "/api/v1/sign", map[string]any{
		"application": application, "name": name, "meaning": meaning, "digest": digest[:], "pin": strings.TrimSpace(string(pin)),
	}, &answer)
	if err == nil {
		fmt.Printf("signed: %s\n", answer.Envelope)
	}
	return err
}

func (a *agent) claim(id, note string) error {
	p, err := a.who()
	switch {
	case err != nil:
		return err
	case id == "" && p.Emergency != nil:
		id = p.Emergency.ID
	case id == "" && len(p.Unclaimed) > 0:
		id = p.Unclaimed[0].ID
	case id == "":
		return errors.New("no emergency waits for anybody")
	}
	var answer struct {
		Missing int `json:"missing"`
	}
	err = a.call(http.MethodPost, "/api/v1/emergency/claim", map[string]string{"emergency": id, "note": note}, &answer)
	if err == nil {
		fmt.Printf("tap your badge now; %d people must\n", answer.Missing)
	}
	return err
}

func run(args []string) error {
	arg := func(i int) string {
		if i < len(args) {
			return args[i]
		}
		return ""
	}
	a := newAgent()
	switch arg(0) {
	case "who":
		p, err := a.who()
		if err == nil {
			fmt.Println(p)
		}
		return err
	case "watch":
		most, err := strconv.Atoi(arg(1))
		if err != nil {
			most = -1
		}
		return a.watch(most)
	case "sign":
		return a.sign(arg(1), arg(2), arg(3), arg(4))
	case "claim":
		return a.claim(arg(1), arg(2))
	}
	return errors.New("want who, watch [N], sign APPLICATION ACTION MEANING FILE, or claim [EMERGENCY] [NOTE]")
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

package osservice

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
)

// HandoverFile is the name, in [Folder], under which an installer leaves what the service needs to enrol.
const HandoverFile = "enrol.token"

// Token is a one-use enrolment token. It prints as "[token]"; only the hand-over file holds it in clear.
type Token string

func (Token) String() string { return "[token]" }

// GoString hides the token from %#v.
func (Token) GoString() string { return "[token]" }

// Format hides the token from every verb, %x included.
func (Token) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[token]")) }

// MarshalJSON hides the token wherever somebody encodes a struct that holds one.
func (Token) MarshalJSON() ([]byte, error) { return []byte(`"[token]"`), nil }

// Handover is what an installer (MSI, Ansible, cloud-init) leaves for the service: the installer runs as another account
// than the service, whose key store it cannot reach, and often without a network. So the service enrols by itself at
// its next start.
type Handover struct {
	Broker string // host:port
	Token  Token
}

// handoverJSON is the file's content, one object: {"broker":"host:port","token":"..."}.
type handoverJSON struct {
	Broker string `json:"broker"`
	Token  string `json:"token"`
}

// check refuses what could only be a mistake, or an attempt to say more than a token.
func (h Handover) check() error {
	if _, port, err := net.SplitHostPort(h.Broker); err != nil || port == "" {
		return fmt.Errorf("broker %q: want host:port", h.Broker)
	}
	if h.Token == "" || len(h.Token) > 8<<10 || strings.ContainsFunc(string(h.Token), func(r rune) bool {
		return r <= ' ' || r > '~' || r == '"' || r == '\\'
	}) {
		return errors.New("token: want the line that \"tapctl\" printed, without spaces")
	}
	return nil
}

// LeaveHandover writes the file into dir, which must be the service's own already ([SecureFolder]). It is complete or
// absent, durable on return, and replaces an older one: the newest token is the one that counts.
func LeaveHandover(dir string, h Handover) error {
	if err := h.check(); err != nil {
		return err
	}
	content, err := json.Marshal(handoverJSON{Broker: h.Broker, Token: string(h.Token)})
	if err != nil {
		return fmt.Errorf("encode hand-over: %w", err)
	}
	path := filepath.Join(dir, HandoverFile)
	if err := writeWhole(path, append(content, '\n')); err != nil {
		return fmt.Errorf("leave hand-over %s: %w", path, err)
	}
	return nil
}

func writeWhole(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), HandoverFile+".*") // 0600
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return syncFolder(filepath.Dir(path))
}

// TakeHandover reads what was left in dir, and false when nothing was. The file stays until [DestroyHandover]: a
// service that dies in the middle of enrolling finds it again.
func TakeHandover(dir string) (Handover, bool, error) {
	path := filepath.Join(dir, HandoverFile)
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Handover{}, false, nil
	}
	if err != nil {
		return Handover{}, false, fmt.Errorf("read hand-over: %w", err)
	}
	var file handoverJSON
	if err := json.Unmarshal(content, &file); err != nil {
		// Not %w: a JSON error may quote the file, which holds the token.
		return Handover{}, false, fmt.Errorf("read hand-over %s: not a JSON object with broker and token", path)
	}
	h := Handover{Broker: file.Broker, Token: Token(file.Token)}
	if err := h.check(); err != nil {
		return Handover{}, false, fmt.Errorf("read hand-over %s: %w", path, err)
	}
	return h, true, nil
}

// DestroyHandover overwrites and removes the file, after the token was used or refused. Nothing there is no error.
func DestroyHandover(dir string) error {
	path := filepath.Join(dir, HandoverFile)
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("destroy hand-over: %w", err)
	}
	info, err := f.Stat()
	if err == nil {
		_, err = f.Write(make([]byte, info.Size()))
	}
	err = errors.Join(err, f.Sync(), f.Close(), os.Remove(path))
	if err == nil {
		err = syncFolder(dir)
	}
	if err != nil {
		return fmt.Errorf("destroy hand-over %s: %w", path, err)
	}
	return nil
}

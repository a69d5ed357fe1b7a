package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"tapline/broker"
	"tapline/broker/login"
	"tapline/installer/osservice"
)

// realIssuer starts an issuer that others wrote (oidc-provider on Node.js, whose versions and hashes stand in testdata) and gives its address.
func realIssuer(t *testing.T) string {
	t.Helper()
	if os.Getenv("TAPLINE_SUITE") == "quick" {
		t.Skip("needs: full suite")
	}
	for _, name := range []string{"node", "npm"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skip("needs: node")
		}
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "issuer"))); err != nil {
		t.Fatal(err)
	}
	install := exec.CommandContext(t.Context(), "npm", "ci", "--prefer-offline", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1")
	install.Dir = dir
	if out, err := install.CombinedOutput(); err != nil {
		if regexp.MustCompile(`ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|ENOTCACHED|E50\d`).Match(out) {
			t.Skip("needs: npm registry")
		}
		t.Fatalf("npm: %v\n%s", err, out)
	}
	c := exec.CommandContext(t.Context(), "node", "issuer.mjs")
	c.Dir = dir
	var said bytes.Buffer
	c.Stderr = &said
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close() // it ends with its input
		_ = c.Wait()
	})
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		_ = in.Close()
		_ = c.Wait()
		t.Fatalf("the issuer did not start: %v\n%s", err, said.String())
	}
	return strings.TrimSpace(address)
}

// browse opens a page as a browser would and fills in and submits every form that comes, as a person called name.
func browse(page, name string) error {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return err
	}
	client := &http.Client{Jar: jar, Timeout: 10 * time.Second}
	resp, err := client.Get(page)
	for range 10 {
		if err != nil {
			return err
		}
		body, readErr := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
		if err := errors.Join(readErr, resp.Body.Close()); err != nil {
			return err
		}
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("%s: %s\n%s", resp.Request.URL, resp.Status, body)
		}
		form := regexp.MustCompile(`(?s)<form[^>]*action="([^"]*)".*?</form>`).FindSubmatch(body)
		if form == nil {
			return nil // that was the last page
		}
		fields := url.Values{}
		for _, input := range regexp.MustCompile(`<input[^>]*>`).FindAllString(string(form[0]), -1) {
			if field := attributeOf(input, "name"); field != "" {
				fields.Set(field, attributeOf(input, "value"))
			}
		}
		if fields.Has("login") {
			fields.Set("login", name)
			fields.Set("password", "any")
		}
		to, parseErr := resp.Request.URL.Parse(html.UnescapeString(string(form[1])))
		if parseErr != nil {
			return parseErr
		}
		resp, err = client.PostForm(to.String(), fields)
	}
	return errors.New("the forms have no end")
}

func attributeOf(tag, name string) string {
	if m := regexp.MustCompile(name + `="([^"]*)"`).FindStringSubmatch(tag); m != nil {
		return html.UnescapeString(m[1])
	}
	return ""
}

func TestALoginAtAnIssuerThatOthersWrote(t *testing.T) {
	issuer := realIssuer(t)
	admin := houseWith(t, func(c *broker.Config) {
		c.OIDC = &login.Config{Issuer: issuer, ClientID: "tapctl", Roles: roles()}
	})
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	t.Setenv("HOME", t.TempDir())
	pin := strings.TrimSpace(good(t, "trust", "--pin", "--identity", admin))
	var browser errgroup.Group
	r := &reader{do: func(code string) {
		browser.Go(func() error { return browse(issuer+"/device?user_code="+code, "olga") })
	}}
	code, out := runBefore(t, r, "login", "--oidc", "--broker", brokerOf(t, admin), "--pin", pin)
	if err := browser.Wait(); err != nil {
		t.Error(err)
	}
	if code != osservice.OK || !strings.Contains(out, "you are olga, supervisor, until ") {
		t.Fatalf("%s\n%s\n%s", code, out, r)
	}
	if out := good(t, "whoami"); !strings.Contains(out, "role      supervisor") {
		t.Errorf("whoami:\n%s", out)
	}
}

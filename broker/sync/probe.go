package sync

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"tapline/broker/directory"
	"tapline/broker/ldap"
	"tapline/broker/vault"
)

// Probe is what asking a directory came to.
type Probe struct {
	// Lines say what is good, Faults what is not.
	Lines  []string
	Faults []error
}

// samples is how many entries a probe looks at.
const samples = 5

func (p *Probe) bad(format string, args ...any) {
	p.Faults = append(p.Faults, fmt.Errorf("ldap: "+format, args...))
}

// Ask asks every server of a configuration without faults whether it takes the account, and the first good one for base, groups and a few people. It
// changes nothing, and keeps nothing.
func Ask(ctx context.Context, c Config, now time.Time) Probe {
	var p Probe
	var session *ldap.Session
	for _, url := range c.Servers {
		one := c.Config
		one.Servers = []string{url}
		client, err := ldap.New(one)
		if err != nil {
			p.Faults = append(p.Faults, err)
			continue
		}
		s, err := client.Open(ctx)
		if err != nil {
			p.bad("%w", err)
			continue
		}
		p.Lines = append(p.Lines, fmt.Sprintf("%s: kind %s, account taken", url, s.Facts().Kind))
		if session != nil {
			s.Close()
			continue
		}
		session = s
	}
	if session == nil {
		return p
	}
	defer session.Close()
	p.changer(ctx, c)
	key := make([]byte, vault.KeySize)
	_, _ = rand.Read(key)
	v, err := vault.New(key)
	if err != nil {
		p.Faults = append(p.Faults, err)
		return p
	}
	r := &reader{session: session, now: now, mapper: mapper{cfg: c, kind: session.Facts().Kind, directory: directory.Directory{Vault: v}}}
	p.changes(r)
	p.base(ctx, r)
	p.groups(ctx, r)
	for _, w := range c.Warnings("ldap") {
		p.Lines = append(p.Lines, "warning: "+w)
	}
	return p
}

// changer asks for the account that changes passwords, if it is another one.
func (p *Probe) changer(ctx context.Context, c Config) {
	if c.ChangeBindDN == "" {
		return
	}
	client, err := ldap.New(c.Changing())
	if err != nil {
		p.Faults = append(p.Faults, err)
		return
	}
	s, err := client.Open(ctx)
	if err != nil {
		p.bad("change_bind_dn: %w", err)
		return
	}
	s.Close()
	p.Lines = append(p.Lines, "the account that changes passwords is taken")
}

func (p *Probe) changes(r *reader) {
	f := r.session.Facts()
	switch {
	case !r.delta():
		p.Lines = append(p.Lines, "the server tells no changes: everything is read each time")
	case f.Watches() && !r.mapper.cfg.NoWatch:
		p.Lines = append(p.Lines, "the server calls when something changes")
	default:
		p.Lines = append(p.Lines, "the server is asked what changed")
	}
}

// base looks at the first people, and says what is missing of them.
func (p *Probe) base(ctx context.Context, r *reader) {
	n, missing, seen := 0, map[string]bool{}, map[string]bool{}
	for _, a := range r.mapper.named() {
		missing[a] = true
	}
	_, err := r.session.Search(ctx, ldap.Query{Base: r.mapper.cfg.Base, Filter: r.mapper.filter(), Attributes: r.mapper.attributes(), Limit: samples + 1}, func(e ldap.Entry) error {
		if n++; n > samples {
			return ldap.Enough()
		}
		for a := range missing {
			if len(e.Values(a)) > 0 {
				seen[a] = true
			}
		}
		f, err := r.mapper.entry(e, r.now)
		if err != nil {
			p.bad("%w: may the account read it?", err)
			return nil
		}
		for _, fault := range f.faults {
			p.bad("%s", fault)
		}
		who := f.person.Entry
		p.Lines = append(p.Lines, fmt.Sprintf("%s: person %s, %q, badges: %d, may work: %t", e.DN, who.GetId(), who.GetDisplayName(), len(f.person.Badges), !who.GetSuspended()))
		return nil
	})
	switch {
	case errors.Is(err, ldap.ErrNoEntry):
		p.bad("there is no base %s, or the account may not see it", r.mapper.cfg.Base)
		return
	case err != nil:
		p.bad("%w", err)
		return
	case n == 0:
		p.bad("nobody below %s matches %s", r.mapper.cfg.Base, r.mapper.filter())
		return
	}
	for _, a := range r.mapper.named() {
		if !seen[a] {
			p.bad("none of the first %d people has the attribute %s", min(n, samples), a)
		}
	}
}

// named are the attributes that the configuration names and that people may be expected to have.
func (m mapper) named() []string {
	c := m.cfg.Map
	all := []string{c.ID, c.Name, c.Language, c.Roles.Attribute}
	for _, b := range c.Badges {
		all = append(all, b.Attribute)
	}
	return slices.DeleteFunc(all, func(a string) bool { return a == "" })
}

func (p *Probe) groups(ctx context.Context, r *reader) {
	for role, names := range r.mapper.cfg.Map.Roles.Groups {
		for _, dn := range names {
			_, err := r.session.Find(ctx, ldap.Query{Base: dn, Filter: "(objectClass=*)", Attributes: []string{"1.1"}, Only: true})
			if err != nil {
				p.bad("map.roles.groups: %s: %s: %w", role, strings.TrimSpace(dn), err)
			}
		}
	}
}

package sync

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"tapline/broker/ldap"
)

// maxGroups bounds how many groups are read, and maxMembers how many members they have together.
const (
	maxGroups  = 20_000
	maxMembers = 2_000_000
)

// matchingChain is the rule by which Active Directory follows members of members itself (LDAP_MATCHING_RULE_IN_CHAIN).
const matchingChain = "1.2.840.113556.1.4.1941"

// membership says which roles come to whom from groups: by key on Active Directory, by distinguished name (in the form that is compared) elsewhere.
type membership map[string][]string

// of are the roles of an entry, sorted.
func (m membership) of(kind ldap.Kind, key, dn string) []string {
	if kind != ldap.AD {
		n, err := ldap.NormalDN(dn)
		if err != nil {
			return nil
		}
		key = n
	}
	return m[key]
}

func (m membership) add(who string, roles ...string) {
	for _, r := range roles {
		if !slices.Contains(m[who], r) {
			m[who] = append(m[who], r)
			slices.Sort(m[who])
		}
	}
}

// members asks the server who is in the groups that give roles.
func (r *reader) members(ctx context.Context) (membership, error) {
	wanted := r.mapper.cfg.roleGroups()
	if len(wanted) == 0 {
		return membership{}, nil
	}
	if r.mapper.kind == ldap.AD {
		return r.chained(ctx, wanted)
	}
	return r.walked(ctx, wanted)
}

// chained lets Active Directory follow members of members.
func (r *reader) chained(ctx context.Context, wanted map[string][]string) (membership, error) {
	m := membership{}
	for dn, roles := range wanted {
		if _, err := r.session.Find(ctx, ldap.Query{Base: dn, Filter: "(objectClass=group)", Attributes: []string{"1.1"}, Only: true}); err != nil {
			return nil, groupFault(dn, err)
		}
		filter := fmt.Sprintf("(&%s(memberOf:%s:=%s))", r.mapper.filter(), matchingChain, ldap.Escape(dn))
		_, err := r.session.Search(ctx, ldap.Query{Base: r.mapper.cfg.Base, Filter: filter, Attributes: []string{r.mapper.keyAttribute()}}, func(e ldap.Entry) error {
			key, err := r.mapper.key(e)
			if err == nil {
				m.add(key.String(), roles...)
			}
			return err
		})
		if err != nil {
			return nil, groupFault(dn, err)
		}
	}
	return m, nil
}

func groupFault(dn string, err error) error {
	if errors.Is(err, ldap.ErrNoEntry) {
		return fmt.Errorf("ldap.map.roles.groups: there is no group %s", dn)
	}
	return fmt.Errorf("members of %s: %w", dn, err)
}

// walked reads all groups and follows members of members here.
func (r *reader) walked(ctx context.Context, wanted map[string][]string) (membership, error) {
	base := r.mapper.cfg.GroupBase
	if base == "" {
		base = r.session.Facts().Root
	}
	groups, count := map[string][]string{}, 0
	_, err := r.session.Search(ctx, ldap.Query{
		Base: base, Limit: maxGroups, Attributes: []string{"member", "uniqueMember"},
		Filter: "(|(objectClass=groupOfNames)(objectClass=groupOfUniqueNames)(objectClass=group)(objectClass=groupOfMembers))",
	}, func(e ldap.Entry) error {
		name, err := ldap.NormalDN(e.DN)
		if err != nil {
			return err
		}
		groups[name] = []string{}
		for _, text := range slices.Concat(e.Texts("member"), e.Texts("uniqueMember")) {
			if count++; count > maxMembers {
				return fmt.Errorf("the groups have more than %d members", maxMembers)
			}
			if member, err := ldap.NormalDN(uniqueName(text)); err == nil {
				groups[name] = append(groups[name], member)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read groups: %w", err)
	}
	for dn := range wanted {
		if groups[dn] == nil {
			return nil, groupFault(dn, ldap.ErrNoEntry)
		}
	}
	return closure(groups, wanted), nil
}

// uniqueName takes the unique identifier off a value of uniqueMember (RFC 4517, section 3.3.21): dn#'0101'B.
func uniqueName(text string) string {
	if i := strings.LastIndex(text, "#'"); i > 0 && strings.HasSuffix(text, "'B") {
		return text[:i]
	}
	return text
}

// closure gives each member of a wanted group, and of the groups in it, its roles. Groups may contain one another.
func closure(groups, wanted map[string][]string) membership {
	m := membership{}
	for start, roles := range wanted {
		seen := map[string]bool{start: true}
		for next := []string{start}; len(next) > 0; {
			name := next[len(next)-1]
			next = next[:len(next)-1]
			for _, member := range groups[name] {
				if _, group := groups[member]; group {
					if !seen[member] {
						seen[member] = true
						next = append(next, member)
					}
					continue
				}
				m.add(member, roles...)
			}
		}
	}
	return m
}

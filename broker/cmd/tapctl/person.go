package main

import (
	"bufio"
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

func personCommands(o *options) *cobra.Command {
	return noun("person", "People: put, show, list, delete, pin", `People are known by a stable ID, such as a personnel number. Records hold
the ID and never the name.`,
		personPut(o), personShow(o), personList(o), personDelete(o), personPin(o))
}

func personPut(o *options) *cobra.Command {
	p := &taplinev1.PersonEntry{}
	var certified []string
	c := &cobra.Command{
		Use: "put ID", Short: "Make a person, or change one", Args: cobra.ExactArgs(1),
		Long: "Makes a person, or changes what the flags name of one and leaves the rest.",
		Example: `  tapctl person put p-1001 --name "Anna B." --role operator --role setter
  tapctl person put p-1001 --certified crane=2027-03-31 --shift early --shift late
  tapctl person put p-1001 --suspended
  tapctl person put p-1001 --suspended=false --role operator`,
		RunE: func(c *cobra.Command, args []string) error {
			var err error
			if p.Certifications, err = readCertifications(certified, time.Local); err != nil {
				return err
			}
			return o.talk(c.Context(), func(ctx context.Context, b client) error {
				entry, err := findPerson(ctx, b, args[0])
				if err != nil {
					return err
				}
				overlay(c, entry, p)
				r, err := b.admin.PutPerson(ctx, &taplinev1.PutPersonRequest{Person: entry})
				if err != nil {
					return err
				}
				return show(c, o, r.GetPerson(), "person %s: %s", r.GetPerson().GetId(), clean(r.GetPerson().GetDisplayName()))
			})
		},
	}
	f := c.Flags()
	f.StringVar(&p.DisplayName, "name", "", "what the panel shows")
	f.StringVar(&p.Language, "language", "", "language of the panel for this person (BCP 47)")
	f.StringSliceVar(&p.Roles, "role", nil, "role, may be given more than once")
	f.BoolVar(&p.Suspended, "suspended", false, "the person may not work for now")
	f.Uint32Var(&p.Seniority, "seniority", 0, "rank for displacing others")
	f.StringSliceVar(&p.Shifts, "shift", nil, "shift by ID, may be given more than once; none means always")
	f.StringSliceVar(&certified, "certified", nil, "certification as NAME or NAME=2027-03-31, its last day; may be given more than once")
	f.StringVar(&p.Source, "source", "local", "hand the person over to a source: local, csv, ldap or scim")
	return c
}

// findPerson is the person as the broker has them, or a new one.
func findPerson(ctx context.Context, b client, id string) (*taplinev1.PersonEntry, error) {
	r, err := b.admin.GetPerson(ctx, &taplinev1.GetPersonRequest{Id: id})
	if wire.KindOf(err) == wire.NotFound {
		return &taplinev1.PersonEntry{Id: id, Source: "local"}, nil
	}
	return r.GetPerson(), err
}

// overlay takes over what the command line names.
func overlay(c *cobra.Command, to, from *taplinev1.PersonEntry) {
	for flag, take := range map[string]func(){
		"name":      func() { to.DisplayName = from.GetDisplayName() },
		"language":  func() { to.Language = from.GetLanguage() },
		"role":      func() { to.Roles = from.GetRoles() },
		"suspended": func() { to.Suspended = from.GetSuspended() },
		"seniority": func() { to.Seniority = from.GetSeniority() },
		"shift":     func() { to.Shifts = from.GetShifts() },
		"source":    func() { to.Source = from.GetSource() },
		"certified": func() { to.Certifications = from.GetCertifications() },
	} {
		if c.Flags().Changed(flag) {
			take()
		}
	}
}

func personList(o *options) *cobra.Command {
	var query string
	c := &cobra.Command{
		Use: "list", Short: "List people", Args: cobra.ExactArgs(0),
		RunE: func(c *cobra.Command, _ []string) error {
			return o.talk(c.Context(), func(ctx context.Context, b client) error {
				all, err := pages(func(token string) ([]*taplinev1.PersonEntry, string, error) {
					r, err := b.admin.ListPeople(ctx, &taplinev1.ListPeopleRequest{PageSize: pageSize, PageToken: token, Query: query})
					return r.GetPeople(), r.GetNextPageToken(), err
				})
				if err != nil {
					return err
				}
				return list(c, o, all,
					column[*taplinev1.PersonEntry]{"ID", (*taplinev1.PersonEntry).GetId},
					column[*taplinev1.PersonEntry]{"NAME", (*taplinev1.PersonEntry).GetDisplayName},
					column[*taplinev1.PersonEntry]{"ROLES", func(p *taplinev1.PersonEntry) string { return strings.Join(p.GetRoles(), ", ") }},
					column[*taplinev1.PersonEntry]{"SHIFTS", func(p *taplinev1.PersonEntry) string { return strings.Join(p.GetShifts(), ", ") }},
					column[*taplinev1.PersonEntry]{"CERTIFICATIONS", func(p *taplinev1.PersonEntry) string { return certificationsText(p, time.Now()) }},
					column[*taplinev1.PersonEntry]{"STATE", personState},
					column[*taplinev1.PersonEntry]{"SOURCE", (*taplinev1.PersonEntry).GetSource})
			})
		},
	}
	c.Flags().StringVar(&query, "query", "", "text in ID or name")
	return c
}

func personDelete(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "delete ID", Short: "Delete a person and their badges; their records stay", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return o.talk(c.Context(), func(ctx context.Context, b client) error {
				r, err := b.admin.DeletePerson(ctx, &taplinev1.DeletePersonRequest{Id: args[0]})
				if err != nil {
					return err
				}
				return show(c, o, r, "person %s deleted", args[0])
			})
		},
	}
}

func personPin(o *options) *cobra.Command {
	var erase bool
	c := &cobra.Command{
		Use: "pin ID", Short: "Set a person's PIN, read from standard input", Args: cobra.ExactArgs(1),
		Long: `Reads the PIN, 4 to 12 digits, as one line from standard input, so that it
stands in no process list and no shell history. The broker keeps only its
argon2id hash.`,
		Example: "  tapctl person pin p-1001 < pin.txt\n  tapctl person pin p-1001 --erase",
		RunE: func(c *cobra.Command, args []string) error {
			pin := ""
			if !erase {
				line, err := bufio.NewReader(o.in).ReadString('\n')
				if pin = strings.TrimSpace(line); pin == "" {
					return usage("no PIN on standard input: %v", err)
				}
			}
			return o.talk(c.Context(), func(ctx context.Context, b client) error {
				r, err := b.admin.SetPin(ctx, &taplinev1.SetPinRequest{Person: args[0], Pin: pin})
				if err != nil {
					return err
				}
				return show(c, o, r, "PIN of %s %s", args[0], map[bool]string{true: "erased", false: "set"}[erase])
			})
		},
	}
	c.Flags().BoolVar(&erase, "erase", false, "take the PIN away")
	return c
}

// must holds for mistakes that only the author of a command can make.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

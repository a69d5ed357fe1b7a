package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	taplinev1 "tapline/proto/tapline/v1"
)

// badgeState is how a badge is, in a word or two.
func badgeState(b *taplinev1.Badge, now time.Time) string {
	switch {
	case b.GetRevoked():
		return "revoked: " + b.GetReason()
	case b.GetLostAt() != nil:
		return "lost"
	case b.GetNotAfter() != nil && !now.Before(b.GetNotAfter().AsTime()):
		return "ended"
	case b.GetTemporary():
		return "lent"
	case b.GetReplaces() != "":
		return "new: replaces " + b.GetReplaces() + " when it is used"
	}
	return "active"
}

// assign gives a badge and says so.
func (f *badgeFlags) assign(c *cobra.Command, o *options, req *taplinev1.AssignBadgeRequest, says string) error {
	return o.talk(c.Context(), func(ctx context.Context, b client) error {
		r, err := b.admin.AssignBadge(ctx, req)
		if err != nil {
			return err
		}
		g := r.GetBadge()
		return show(c, o, g, says, g.GetId(), g.GetPerson(), fallback(when(g.GetNotAfter()), "its revocation"))
	})
}

func badgeTemporary(o *options) *cobra.Command {
	var f badgeFlags
	c := &cobra.Command{
		Use: "temporary PERSON", Short: "Lend a badge to a person for a time", Args: cobra.ExactArgs(1),
		Long: `Lends a badge, to a person who has forgotten theirs for instance. It ends by itself,
after 12 hours unless --for says otherwise and after 31 days at most; "tapctl badge
return" takes it back before. Its number is free for the next person then.`,
		Example: `  tapctl badge temporary p-1001 --tap K7QX2M --label "pool 4"
  tapctl badge temporary p-1001 --uid 04A1B2C3 --for 8h`,
		RunE: func(c *cobra.Command, args []string) error {
			req, err := f.request(args[0], time.Now())
			if err != nil {
				return err
			}
			req.Temporary = true
			return f.assign(c, o, req, "badge %s is lent to %s until %s")
		},
	}
	f.which(c)
	c.Flags().DurationVar(&f.lasts, "for", 12*time.Hour, "ends after this time")
	return c
}

func badgeReplace(o *options) *cobra.Command {
	var f badgeFlags
	var atOnce bool
	c := &cobra.Command{
		Use: "replace BADGE", Short: "Give a person a new badge in the place of one they have", Args: cobra.ExactArgs(1),
		Long: `Gives the person of a badge a new one. The old badge is revoked when the new one
is used for the first time, so that nobody is locked out while it is in the post,
and after 30 days at the latest; with --at-once it is revoked now.`,
		Example: `  tapctl badge replace 0193b2c4-7d1e-7a00-8000-0123456789ab --tap K7QX2M
  tapctl badge replace 0193b2c4-7d1e-7a00-8000-0123456789ab --uid 04A1B2C3 --at-once`,
		RunE: func(c *cobra.Command, args []string) error {
			req, err := f.request("", time.Now())
			if err != nil {
				return err
			}
			old, err := o.findBadge(c.Context(), args[0])
			if err != nil {
				return err
			}
			req.Person, req.Replaces, req.ReplaceAtOnce = old.GetPerson(), args[0], atOnce
			return f.assign(c, o, req, "badge %s belongs to %s until %s")
		},
	}
	f.which(c)
	c.Flags().BoolVar(&atOnce, "at-once", false, "revoke the old badge now")
	return c
}

// findBadge looks a badge up by its ID.
func (o *options) findBadge(ctx context.Context, id string) (*taplinev1.Badge, error) {
	var found *taplinev1.Badge
	err := o.talk(ctx, func(ctx context.Context, b client) error {
		all, err := pages(func(token string) ([]*taplinev1.Badge, string, error) {
			r, err := b.admin.ListBadges(ctx, &taplinev1.ListBadgesRequest{PageSize: pageSize, PageToken: token})
			return r.GetBadges(), r.GetNextPageToken(), err
		})
		for _, x := range all {
			if x.GetId() == id {
				found = x
			}
		}
		return err
	})
	if err == nil && found == nil {
		return nil, usage("there is no badge %q: list them with tapctl badge list --person ID", id)
	}
	return found, err
}

// badgeVerb is a command that changes the state of a badge.
func badgeVerb(o *options, use, short, says string, do func(context.Context, client, string) (*taplinev1.Badge, error)) *cobra.Command {
	return &cobra.Command{
		Use: use + " BADGE", Short: short, Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return o.talk(c.Context(), func(ctx context.Context, b client) error {
				r, err := do(ctx, b, args[0])
				if err != nil {
					return err
				}
				return show(c, o, r, says, r.GetId(), r.GetPerson())
			})
		},
	}
}

func badgeLost(o *options) *cobra.Command {
	c := badgeVerb(o, "lost", "Report a badge lost; it is refused everywhere until it is found", "badge %s of %s is lost",
		func(ctx context.Context, b client, id string) (*taplinev1.Badge, error) {
			r, err := b.admin.LoseBadge(ctx, &taplinev1.LoseBadgeRequest{Id: id})
			return r.GetBadge(), err
		})
	c.Long = `A lost badge is dead at every station on the line within seconds, and what its
person has open ends. "tapctl badge found" makes it good again; one that is gone
for good is revoked: tapctl badge revoke BADGE --reason stolen.`
	return c
}

func badgeFound(o *options) *cobra.Command {
	return badgeVerb(o, "found", "Make a lost badge good again", "badge %s of %s is good again",
		func(ctx context.Context, b client, id string) (*taplinev1.Badge, error) {
			r, err := b.admin.FindBadge(ctx, &taplinev1.FindBadgeRequest{Id: id})
			return r.GetBadge(), err
		})
}

func badgeReturn(o *options) *cobra.Command {
	return badgeVerb(o, "return", "Take a badge back that was lent", "badge %s of %s is returned",
		func(ctx context.Context, b client, id string) (*taplinev1.Badge, error) {
			r, err := b.admin.RevokeBadge(ctx, &taplinev1.RevokeBadgeRequest{Id: id, Reason: "returned"})
			return r.GetBadge(), err
		})
}

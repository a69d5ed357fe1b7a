package main

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	taplinev1 "tapline/proto/tapline/v1"
)

func zoneCommands(o *options) *cobra.Command {
	return noun("zone", "Zones: put, list, delete", `A zone is stations that are under the same demands, such as a paint shop. A station is
put into one with "tapctl station put --zone"; what it demands itself comes on top.`,
		zonePut(o), zoneList(o), zoneDelete(o))
}

// zoneFlags are what cannot be a field of the message.
type zoneFlags struct {
	mode                                           string
	assurance, weakBelow                           uint8
	afterIdle, everybody, essential, idle, longest time.Duration
}

func zonePut(o *options) *cobra.Command {
	z := &taplinev1.Zone{Pin: &taplinev1.PinRules{}}
	var flags zoneFlags
	c := &cobra.Command{
		Use: "put ID", Short: "Make a zone, or replace its settings", Args: cobra.ExactArgs(1),
		Long: `Makes a zone, or replaces all of its settings: what no flag names goes back to its
default. The PIN rules need the rule "pin" of the default policy, or one like it.`,
		Example: `  tapctl zone put paint --assurance 2 --pin-first-of-shift --idle 10m
  tapctl zone put boiler-safety --safety
  tapctl zone put tank-farm --mode gate --offline-everybody 8h --offline-essential 72h`,
		RunE: func(c *cobra.Command, args []string) error {
			z.Id = args[0]
			if err := flags.into(z, c.Flags().Changed); err != nil {
				return err
			}
			return o.talk(c.Context(), func(ctx context.Context, b client) error {
				r, err := b.admin.PutZone(ctx, &taplinev1.PutZoneRequest{Zone: z})
				if err != nil {
					return err
				}
				return show(c, o, r.GetZone(), "zone %s", r.GetZone().GetId())
			})
		},
	}
	f := c.Flags()
	f.StringVar(&z.Description, "description", "", "what it is")
	f.StringVar(&flags.mode, "mode", "", "the most that its stations enforce: attribute, gate, lock or signin (default: no limit)")
	f.BoolVar(&z.Safety, "safety", false, "a safety zone: its stations only attribute")
	f.Uint8Var(&flags.assurance, "assurance", 0, "weakest badge taken: 0 number, 1 chip UID, 2 reader vouches, 3 symmetric proof, 4 public-key proof")
	f.StringSliceVar(&z.RequiresCertifications, "certification", nil, "certification that a person needs")
	f.BoolVar(&z.Pin.Always, "pin-always", false, "a PIN with every tap")
	f.BoolVar(&z.Pin.FirstOfShift, "pin-first-of-shift", false, "a PIN at the first use of a station in a shift")
	f.Uint8Var(&flags.weakBelow, "pin-weak-below", 0, "a PIN with each tap of a badge weaker than this assurance")
	f.DurationVar(&flags.afterIdle, "pin-after-idle", 0, "a PIN when the person was away from the station for longer")
	f.DurationVar(&flags.everybody, "offline-everybody", 72*time.Hour, "how long everybody may work when the broker is away")
	f.DurationVar(&flags.essential, "offline-essential", 14*24*time.Hour, "how long essential roles may, with a PIN; then emergency only")
	f.DurationVar(&flags.idle, "idle", 0, "end a session after this time without input (default: the station's own)")
	f.DurationVar(&flags.longest, "longest", 0, "longest session (default: no limit)")
	return c
}

func (f zoneFlags) into(z *taplinev1.Zone, changed func(string) bool) error {
	if f.mode != "" {
		m, err := pick(taplinev1.Mode_value, "MODE_", "mode", f.mode)
		if err != nil {
			return err
		}
		z.Mode = taplinev1.Mode(m)
	}
	for name, a := range map[string]uint8{"assurance": f.assurance, "pin-weak-below": f.weakBelow} {
		if _, ok := taplinev1.Assurance_name[int32(a)]; !ok {
			return usage("--%s %d: want 0 to 4", name, a)
		}
	}
	z.RequiresAssurance, z.Pin.WeakBelow = taplinev1.Assurance(f.assurance), taplinev1.Assurance(f.weakBelow)
	if changed("offline-everybody") || changed("offline-essential") {
		z.Offline = &taplinev1.OfflineTiers{Everybody: durationpb.New(f.everybody), Essential: durationpb.New(f.essential)}
	}
	for _, d := range []struct {
		value time.Duration
		into  **durationpb.Duration
	}{{f.afterIdle, &z.Pin.AfterIdle}, {f.idle, &z.Idle}, {f.longest, &z.Longest}} {
		if d.value != 0 {
			*d.into = durationpb.New(d.value)
		}
	}
	return nil
}

func zoneList(o *options) *cobra.Command {
	var query string
	c := &cobra.Command{
		Use: "list", Short: "List zones", Args: cobra.ExactArgs(0),
		RunE: func(c *cobra.Command, _ []string) error {
			return o.talk(c.Context(), func(ctx context.Context, b client) error {
				all, err := pages(func(token string) ([]*taplinev1.Zone, string, error) {
					r, err := b.admin.ListZones(ctx, &taplinev1.ListZonesRequest{PageSize: pageSize, PageToken: token, Query: query})
					return r.GetZones(), r.GetNextPageToken(), err
				})
				if err != nil {
					return err
				}
				return list(c, o, all,
					column[*taplinev1.Zone]{"ID", (*taplinev1.Zone).GetId},
					column[*taplinev1.Zone]{"MODE", zoneMode},
					column[*taplinev1.Zone]{"BADGE", func(z *taplinev1.Zone) string { return word(z.GetRequiresAssurance(), "ASSURANCE_") }},
					column[*taplinev1.Zone]{"PIN", pinWords},
					column[*taplinev1.Zone]{"OFFLINE", offlineWords},
					column[*taplinev1.Zone]{"CERTIFICATIONS", func(z *taplinev1.Zone) string { return strings.Join(z.GetRequiresCertifications(), ", ") }},
					column[*taplinev1.Zone]{"DESCRIPTION", (*taplinev1.Zone).GetDescription})
			})
		},
	}
	c.Flags().StringVar(&query, "query", "", "text in the ID")
	return c
}

func zoneMode(z *taplinev1.Zone) string {
	if z.GetSafety() {
		return "safety"
	}
	return word(z.GetMode(), "MODE_")
}

func pinWords(z *taplinev1.Zone) string {
	var all []string
	p := z.GetPin()
	if p.GetAlways() {
		all = append(all, "always")
	}
	if p.GetFirstOfShift() {
		all = append(all, "first of shift")
	}
	if p.GetWeakBelow() > 0 {
		all = append(all, "below "+word(p.GetWeakBelow(), "ASSURANCE_"))
	}
	if p.GetAfterIdle() != nil {
		all = append(all, "after "+lasting(p.GetAfterIdle()))
	}
	return strings.Join(all, ", ")
}

func offlineWords(z *taplinev1.Zone) string {
	if z.GetOffline() == nil {
		return ""
	}
	return fallback(lasting(z.GetOffline().GetEverybody()), "0s") + " / " + fallback(lasting(z.GetOffline().GetEssential()), "0s")
}

func zoneDelete(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "delete ID", Short: "Delete a zone that no station is in", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return o.talk(c.Context(), func(ctx context.Context, b client) error {
				r, err := b.admin.DeleteZone(ctx, &taplinev1.DeleteZoneRequest{Id: args[0]})
				if err != nil {
					return err
				}
				return show(c, o, r, "zone %s deleted", args[0])
			})
		},
	}
}

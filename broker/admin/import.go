package admin

import (
	"context"
	"slices"
	"time"

	taplinev1 "tapline/proto/tapline/v1"

	"tapline/broker/roster"
	"tapline/broker/sheet"
	"tapline/broker/store"
	"tapline/proto/wire"
)

// maxChanges is how many changes an answer lists.
const maxChanges = 10_000

// ImportDirectory takes people and badges from a CSV file, all of it or nothing.
func (s *Service) ImportDirectory(ctx context.Context, req *taplinev1.ImportDirectoryRequest) (*taplinev1.ImportDirectoryResponse, error) {
	o, err := s.importOptions(req)
	if err != nil {
		return nil, err
	}
	file, err := sheet.Unpack(req.GetCsv())
	if err != nil {
		return nil, wire.E(wire.Invalid, "csv: %w", err)
	}
	listing, faults := sheet.Read(file, o)
	resp := &taplinev1.ImportDirectoryResponse{}
	for _, f := range faults {
		resp.Faults = append(resp.Faults, &taplinev1.ImportFault{Line: uint32(f.Line), Column: f.Column, Problem: f.Problem})
	}
	if len(faults) > 0 {
		return resp, nil
	}
	listing.Complete = req.GetLeavers() == taplinev1.ImportLeavers_IMPORT_LEAVERS_SUSPEND
	rules := roster.Rules{Strict: true, Force: req.GetForce(), Method: "ImportDirectory", DryRun: true}
	out, err := s.Roster.Apply(ctx, listing, rules)
	if err == nil && len(out.Conflicts) == 0 && !req.GetDryRun() {
		rules.DryRun, rules.Also = false, s.givesBadges(ctx, out)
		out, err = s.Roster.Apply(ctx, listing, rules)
	}
	if len(out.Conflicts) == 0 && err != nil {
		return nil, err
	}
	tell(resp, out)
	return resp, nil
}

// givesBadges holds the badges of a file to the rule of two people, as those that are given one by one.
func (s *Service) givesBadges(ctx context.Context, out roster.Outcome) func(*store.Tx) error {
	return func(tx *store.Tx) error {
		for _, c := range out.Changes {
			if !slices.Contains(c.What, "badge added") {
				continue
			}
			if err := s.give(ctx, tx, c.Person, store.CredentialBadge); err != nil {
				return err
			}
		}
		return nil
	}
}

func (s *Service) importOptions(req *taplinev1.ImportDirectoryRequest) (sheet.Options, error) {
	o := sheet.Options{Directory: s.Directory}
	switch sep := req.GetSeparator(); sep {
	case "":
	case ",", ";", "\t":
		o.Separator = rune(sep[0])
	default:
		return o, wire.E(wire.Invalid, "separator: want a comma, a semicolon or a tab")
	}
	if _, ok := taplinev1.ImportLeavers_name[int32(req.GetLeavers())]; !ok {
		return o, wire.E(wire.Invalid, "leavers: %d is not known", req.GetLeavers())
	}
	var err error
	if o.Zone, err = time.LoadLocation(req.GetTimeZone()); err != nil || req.GetTimeZone() == "Local" {
		return o, wire.E(wire.Invalid, "time_zone: %.64q is not known; a name such as Europe/Berlin is wanted", req.GetTimeZone())
	}
	return o, nil
}

// tell puts an outcome into an answer.
func tell(resp *taplinev1.ImportDirectoryResponse, out roster.Outcome) {
	resp.Added, resp.Changed, resp.Unchanged, resp.Left = uint32(out.Added), uint32(out.Changed), uint32(out.Unchanged), uint32(out.Left)
	resp.Held = out.Held
	for _, c := range out.Conflicts[:min(len(out.Conflicts), sheet.MaxFaults)] {
		resp.Faults = append(resp.Faults, &taplinev1.ImportFault{Line: uint32(sheet.LineOf(c)), Column: c.Field, Problem: c.What})
	}
	for _, c := range out.Changes[:min(len(out.Changes), maxChanges)] {
		resp.Changes = append(resp.Changes, &taplinev1.ImportChange{Person: string(c.Person), Kind: string(c.Kind), What: c.What})
	}
}

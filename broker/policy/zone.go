package policy

import (
	"slices"
	"time"

	taplinev1 "tapline/proto/tapline/v1"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tapline/proto/grant"
)

// Demands are what a station and its zone ask for together.
type Demands struct {
	Certifications []string // all of both, sorted
	Assurance      taplinev1.Assurance
	Mode           taplinev1.Mode // unspecified for the station's own setting
	PIN            grant.PINRule
	Safety         bool
}

// DemandsOf joins the demands of a station and its zone, which may be nil: all certifications of both, the stronger badge, the lesser mode.
func DemandsOf(station *taplinev1.Station, zone *taplinev1.Zone) Demands {
	d := Demands{
		Certifications: slices.Concat(station.GetRequiresCertifications(), zone.GetRequiresCertifications()),
		Assurance:      max(station.GetRequiresAssurance(), zone.GetRequiresAssurance()),
		Mode:           LesserMode(station.GetMode(), zone.GetMode()),
		PIN:            PINRuleOf(zone),
		Safety:         zone.GetSafety(),
	}
	slices.Sort(d.Certifications)
	d.Certifications = slices.Compact(d.Certifications)
	if d.Safety {
		d.Mode = taplinev1.Mode_MODE_ATTRIBUTE
	}
	return d
}

// LesserMode is the mode that enforces less; an unspecified one says nothing.
func LesserMode(a, b taplinev1.Mode) taplinev1.Mode {
	if a == taplinev1.Mode_MODE_UNSPECIFIED || b == taplinev1.Mode_MODE_UNSPECIFIED {
		return max(a, b)
	}
	return min(a, b)
}

// PINRuleOf is when a zone asks for a PIN, as bundles carry it.
func PINRuleOf(z *taplinev1.Zone) grant.PINRule {
	p := z.GetPin()
	return grant.PINRule{
		Always: p.GetAlways(), FirstOfShift: p.GetFirstOfShift(), WeakBelow: uint8(p.GetWeakBelow()),
		AfterIdleSeconds: int64(p.GetAfterIdle().AsDuration().Seconds()),
	}
}

func pinRulesOf(r *grant.PINRule) *taplinev1.PinRules {
	if r == nil {
		return nil
	}
	return &taplinev1.PinRules{
		Always: r.Always, FirstOfShift: r.FirstOfShift, WeakBelow: taplinev1.Assurance(r.WeakBelow),
		AfterIdle: durationpb.New(time.Duration(r.AfterIdleSeconds) * time.Second),
	}
}

// Terms is what ends a session: the station's own word before its zone's, the earliest of all ends. since is when the session began; shiftEnds is zero
// where there is no such end.
func (r Request) Terms(since, shiftEnds time.Time) *taplinev1.SessionTerms {
	t := &taplinev1.SessionTerms{}
	if own := r.Station.GetTerms(); own != nil {
		t = proto.CloneOf(own)
	}
	if t.GetIdle() == nil {
		t.Idle = r.Zone.GetIdle()
	}
	t.Mode = DemandsOf(r.Station, r.Zone).Mode
	ends := shiftEnds
	earliest := func(at time.Time) {
		if ends.IsZero() || at.Before(ends) {
			ends = at
		}
	}
	if t.GetEndsAt() != nil {
		earliest(t.GetEndsAt().AsTime())
	}
	if longest := r.Zone.GetLongest().AsDuration(); longest > 0 {
		earliest(since.Add(longest))
	}
	if !ends.IsZero() {
		t.EndsAt = timestamppb.New(ends)
	}
	return t
}

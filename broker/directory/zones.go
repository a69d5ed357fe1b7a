package directory

import (
	"time"

	taplinev1 "tapline/proto/tapline/v1"

	"google.golang.org/protobuf/types/known/durationpb"

	"tapline/proto/wire"
)

// Limits of a zone.
const (
	maxDescription = 500
	maxTier        = 90 * 24 * time.Hour
	maxSession     = 7 * 24 * time.Hour
)

// CheckZone checks an entry.
func CheckZone(z *taplinev1.Zone) error {
	if z == nil {
		return wire.E(wire.Invalid, "zone: missing")
	}
	_, mode := taplinev1.Mode_name[int32(z.GetMode())]
	_, assurance := taplinev1.Assurance_name[int32(z.GetRequiresAssurance())]
	_, weak := taplinev1.Assurance_name[int32(z.GetPin().GetWeakBelow())]
	switch {
	case z.GetId() == "" || !goodText(z.GetId(), maxWords):
		return wire.E(wire.Invalid, "zone.id: 1 to %d characters on one line", maxWords)
	case !goodText(z.GetDescription(), maxDescription):
		return wire.E(wire.Invalid, "zone.description: at most %d characters on one line", maxDescription)
	case !mode:
		return wire.E(wire.Invalid, "zone.mode: %d is not known", z.GetMode())
	case z.GetSafety() && z.GetMode() > taplinev1.Mode_MODE_ATTRIBUTE:
		return wire.E(wire.Invalid, "zone.mode: a safety zone only attributes; leave the mode out or make it no safety zone")
	case !assurance:
		return wire.E(wire.Invalid, "zone.requires_assurance: %d is not known", z.GetRequiresAssurance())
	case !weak:
		return wire.E(wire.Invalid, "zone.pin.weak_below: %d is not known", z.GetPin().GetWeakBelow())
	}
	for _, d := range []struct {
		field string
		value *durationpb.Duration
		most  time.Duration
	}{
		{"zone.pin.after_idle", z.GetPin().GetAfterIdle(), maxSession},
		{"zone.offline.everybody", z.GetOffline().GetEverybody(), maxTier},
		{"zone.offline.essential", z.GetOffline().GetEssential(), maxTier},
		{"zone.idle", z.GetIdle(), maxSession},
		{"zone.longest", z.GetLongest(), maxSession},
	} {
		if d.value != nil && (!d.value.IsValid() || d.value.AsDuration() < 0 || d.value.AsDuration() > d.most) {
			return wire.E(wire.Invalid, "%s: 0 to %s", d.field, d.most)
		}
	}
	if o := z.GetOffline(); o != nil && o.GetEssential().AsDuration() < o.GetEverybody().AsDuration() {
		return wire.E(wire.Invalid, "zone.offline.essential: less than zone.offline.everybody")
	}
	return checkWords("zone.requires_certifications", z.GetRequiresCertifications())
}

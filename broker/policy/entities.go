package policy

import (
	"strings"
	"time"

	taplinev1 "tapline/proto/tapline/v1"

	"github.com/cedar-policy/cedar-go"
)

// entities is who and where in Cedar's words. certified is the time for which certifications count.
func (r Request) entities(certified time.Time) cedar.EntityMap {
	m := cedar.EntityMap{}
	for _, p := range []*taplinev1.PersonEntry{r.Tap.Occupant, r.Tap.Holder, r.Tap.Approver, r.Person} { // the person last: what is known of them counts
		if p != nil {
			addPerson(m, p, certified)
		}
	}
	demands := DemandsOf(r.Station, r.Zone)
	zone := uid("Zone", r.Station.GetZone())
	m[zone] = cedar.Entity{UID: zone, Attributes: cedar.NewRecord(cedar.RecordMap{"safety": cedar.Boolean(demands.Safety)})}
	parents := []cedar.EntityUID{places(m, r.Station.GetId())}
	if r.Station.GetZone() != "" {
		parents = append(parents, zone)
	}
	station := uid("Station", r.Station.GetId())
	m[station] = cedar.Entity{
		UID:     station,
		Parents: cedar.NewEntityUIDSet(parents...),
		Attributes: cedar.NewRecord(cedar.RecordMap{
			"mode":                   cedar.String(ModeName(demands.Mode)),
			"account":                cedar.String(r.Station.GetAccount()),
			"requiresCertifications": words(demands.Certifications),
			"requiresAssurance":      cedar.Long(demands.Assurance),
			"zone":                   zone,
		}),
	}
	return m
}

func addPerson(m cedar.EntityMap, p *taplinev1.PersonEntry, certified time.Time) {
	person := uid("Person", p.GetId())
	m[person] = cedar.Entity{
		UID:     person,
		Parents: add(m, "Role", p.GetRoles()),
		Attributes: cedar.NewRecord(cedar.RecordMap{
			"suspended":      cedar.Boolean(p.GetSuspended()),
			"seniority":      cedar.Long(p.GetSeniority()),
			"shifts":         words(p.GetShifts()),
			"certifications": words(ValidCertifications(p, certified)),
		}),
	}
}

// places adds the levels above a station and gives the lowest.
func places(m cedar.EntityMap, station string) cedar.EntityUID {
	levels := strings.Split(station, "/")
	var lowest cedar.EntityUID
	for i := range levels[:len(levels)-1] {
		place := uid("Place", strings.Join(levels[:i+1], "/"))
		e := cedar.Entity{UID: place}
		if i > 0 {
			e.Parents = cedar.NewEntityUIDSet(lowest)
		}
		m[place], lowest = e, place
	}
	return lowest
}

// add adds entities without attributes and gives them as a set.
func add(m cedar.EntityMap, kind cedar.EntityType, ids []string) cedar.EntityUIDSet {
	all := make([]cedar.EntityUID, 0, len(ids))
	for _, id := range ids {
		u := uid(kind, id)
		m[u] = cedar.Entity{UID: u}
		all = append(all, u)
	}
	return cedar.NewEntityUIDSet(all...)
}

func uid(kind cedar.EntityType, id string) cedar.EntityUID {
	return cedar.NewEntityUID(kind, cedar.String(id))
}

func words(all []string) cedar.Set {
	values := make([]cedar.Value, 0, len(all))
	for _, w := range all {
		values = append(values, cedar.String(w))
	}
	return cedar.NewSet(values...)
}

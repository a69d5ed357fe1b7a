package main

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tapline/proto/record"
)

type emergenciesFlags struct {
	reading
	unclaimed bool
}

func newEmergencies() *cobra.Command {
	var f emergenciesFlags
	c := &cobra.Command{
		Use:   "emergencies PATH...",
		Short: "Show when stations were opened without a badge, and who answered for it",
		Long: `Emergencies lists the times in which a station was open to anybody, as the records under the paths tell: from
when to when, the word that was said with it, what ended it, and who has answered for it. Two different people
must. The evidence is checked first, and of bad evidence nothing is shown, unless told to. Times are the
station's clock, in UTC.`,
		Example: `  tapaudit emergencies ./evidence --unclaimed
  tapaudit emergencies ./evidence -o json | jq -r '.claims[] | [.time, .person, .note] | @tsv'`,
		Args: onePath,
		RunE: func(c *cobra.Command, args []string) error { return f.run(c, args) },
	}
	f.flags(c)
	c.Flags().BoolVar(&f.unclaimed, "unclaimed", false, "only those that not enough people have answered for")
	return c
}

// emergency is a time in which a station was open to anybody.
type emergency struct {
	Station   record.StationID `json:"station"`
	Emergency record.SessionID `json:"emergency"`
	Reason    record.Reason    `json:"reason,omitempty"`
	From      time.Time        `json:"from,omitzero"`      // zero: before the first record
	Until     time.Time        `json:"until,omitzero"`     // zero: not ended in the records
	Ended     record.Reason    `json:"ended_by,omitempty"` // why
	Claims    []claim          `json:"claims"`
	Missing   int              `json:"missing"` // how many people must answer for it still
	Mode      record.Mode      `json:"mode,omitempty"`
}

// claim is one person's answer for an emergency.
type claim struct {
	Person  record.PersonID `json:"person"`
	Time    time.Time       `json:"time"`
	Factors []string        `json:"factors,omitempty"`
	By      string          `json:"decided_by,omitempty"` // who named the person
	Note    string          `json:"note,omitempty"`
	Seq     record.Seq      `json:"seq"`
}

// crisis names an emergency: the name alone is one that another station could use as well.
type crisis struct {
	station record.StationID
	id      record.SessionID
}

// crises are the emergencies of evidence whose chains may come in any order.
type crises struct {
	of   map[crisis]*emergency
	ends map[crisis]record.Payload
}

func (l *crises) at(p record.Payload, id record.SessionID) *emergency {
	key := crisis{p.Station, id}
	if l.of[key] == nil {
		l.of[key] = &emergency{Station: p.Station, Emergency: id, Claims: []claim{}}
	}
	return l.of[key]
}

func (l *crises) add(p record.Payload) {
	switch {
	case p.Type == record.EmergencyOpened:
		e := l.at(p, p.Session)
		e.From, e.Reason, e.Mode = p.Time.Wall, p.Reason, p.Mode
	case p.Type == record.SessionClosed:
		l.ends[crisis{p.Station, p.Session}] = p
	case p.Type == record.EmergencyClaimed && p.Claim != nil:
		c := claim{Person: p.Person, Time: p.Time.Wall, Note: p.Claim.Note, Seq: p.Seq}
		if p.Badge != nil {
			c.Factors = p.Badge.Factors
		}
		if p.Decision != nil {
			c.By = p.Decision.By
		}
		e := l.at(p, p.Claim.Emergency)
		e.Claims = append(e.Claims, c)
	}
}

// list is all of them, by station and time. The same person answers once, whatever the records say.
func (l *crises) list() []emergency {
	rows := make([]emergency, 0, len(l.of))
	for key, e := range l.of {
		if end, ok := l.ends[key]; ok {
			e.Until, e.Ended = end.Time.Wall, end.Reason
		}
		people := map[record.PersonID]bool{}
		for _, c := range e.Claims {
			people[c.Person] = true
		}
		e.Missing = max(0, record.ClaimsNeeded-len(people))
		rows = append(rows, *e)
	}
	slices.SortFunc(rows, func(a, b emergency) int {
		return cmp.Or(cmp.Compare(a.Station, b.Station), a.From.Compare(b.From), cmp.Compare(a.Emergency, b.Emergency))
	})
	return rows
}

func (f *emergenciesFlags) run(c *cobra.Command, paths []string) error {
	all := crises{of: map[crisis]*emergency{}, ends: map[crisis]record.Payload{}}
	format, err := f.payloads(c, paths, all.add)
	if err != nil {
		return err
	}
	rows := slices.DeleteFunc(all.list(), func(e emergency) bool {
		return !f.wants(e.Station) || f.unclaimed && e.Missing == 0
	})
	return table(c.OutOrStdout(), format, "STATION\tFROM\tUNTIL\tREASON\tENDED BY\tCLAIMED BY\tMISSING", rows, func(e emergency) []string {
		return []string{
			string(e.Station), clock(e.From), clock(e.Until), orDash(string(e.Reason)), orDash(string(e.Ended)), orDash(e.claimants()), strconv.Itoa(e.Missing),
		}
	})
}

// claimants are who answered, when, and with which words.
func (e emergency) claimants() string {
	var list []string
	for _, c := range e.Claims {
		one := string(c.Person) + " " + clock(c.Time)
		if c.Note != "" {
			one += " (" + plain(c.Note) + ")"
		}
		list = append(list, one)
	}
	return strings.Join(list, ", ")
}

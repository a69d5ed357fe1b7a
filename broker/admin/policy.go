package admin

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	taplinev1 "tapline/proto/tapline/v1"

	"tapline/broker/office"
	"tapline/broker/policy"
	"tapline/broker/rulebook"
	"tapline/broker/session"
	"tapline/broker/store"
	"tapline/proto/record"
	"tapline/proto/wire"
)

// PutPolicy validates a policy set and puts it in force.
func (s *Service) PutPolicy(ctx context.Context, req *taplinev1.PutPolicyRequest) (*taplinev1.PutPolicyResponse, error) {
	if len(req.GetComment()) > office.MaxText {
		return nil, wire.E(wire.Invalid, "comment: longer than %d", office.MaxText)
	}
	set, err := policy.Load(req.GetText())
	if err != nil {
		var faults policy.Faults
		if errors.As(err, &faults) && req.GetDryRun() {
			return &taplinev1.PutPolicyResponse{Policy: &taplinev1.PolicySet{
				Version: policy.Version(req.GetText()), Text: req.GetText(), Faults: faults,
			}}, nil
		}
		return nil, wire.E(wire.Invalid, "text: %w", err)
	}
	if req.GetDryRun() {
		return &taplinev1.PutPolicyResponse{Policy: &taplinev1.PolicySet{Version: set.Version(), Text: set.Text()}}, nil
	}
	author := "unknown"
	if who, _, ok := wire.Caller(ctx); ok {
		author = who.Name
	}
	resp := &taplinev1.PutPolicyResponse{}
	err = s.Change(ctx, "PutPolicy", set.Version(), req, func(tx *store.Tx) (err error) {
		if err := rulebook.Put(tx, set, author, req.GetComment(), s.Now()); err != nil {
			return err
		}
		resp.Policy, err = tx.Policy("")
		return err
	})
	if err != nil {
		return nil, err
	}
	s.Changed()
	return resp, nil
}

// GetPolicy gives a policy set.
func (s *Service) GetPolicy(ctx context.Context, req *taplinev1.GetPolicyRequest) (*taplinev1.GetPolicyResponse, error) {
	resp := &taplinev1.GetPolicyResponse{}
	err := s.View(ctx, func(tx *store.Tx) (err error) {
		resp.Policy, err = tx.Policy(req.GetVersion())
		return err
	})
	return resp, err
}

// ExplainTap tells what would be decided, and why. It changes nothing.
func (s *Service) ExplainTap(ctx context.Context, req *taplinev1.ExplainTapRequest) (*taplinev1.ExplainTapResponse, error) {
	at := s.Now()
	if req.GetAt() != nil {
		if !req.GetAt().IsValid() {
			return nil, wire.E(wire.Invalid, "at: out of range")
		}
		at = req.GetAt().AsTime()
	}
	resp := &taplinev1.ExplainTapResponse{}
	err := s.View(ctx, func(tx *store.Tx) error {
		p, err := tx.Person(record.PersonID(req.GetPerson()))
		if err != nil {
			return err
		}
		st, err := tx.Station(record.StationID(req.GetStation()))
		if err != nil {
			return err
		}
		set, err := s.Rules.InForce(tx)
		if err != nil {
			return err
		}
		elsewhere, err := session.Elsewhere(tx, record.PersonID(p.GetId()), st.ID(), at)
		if err != nil {
			return err
		}
		d := set.Decide(policy.Request{Action: policy.OpenSession, Person: p, Station: st.Entry, Tap: policy.Tap{
			Assurance: req.GetAssurance(), Elsewhere: elsewhere, At: at,
		}})
		resp.Decision = &taplinev1.Decision{Allowed: d.Allowed, Refusal: d.Refusal, PolicyVersion: d.Version, Rules: d.Rules}
		resp.Notes = notes(p, st, d, elsewhere, at)
		return nil
	})
	return resp, err
}

// notes says in sentences what a decision rests on.
func notes(p *taplinev1.PersonEntry, st store.Station, d policy.Decision, elsewhere bool, at time.Time) []string {
	var all []string
	say := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	switch {
	case d.Allowed:
		say("Permitted by %s.", strings.Join(d.Rules, ", "))
	case len(d.Errors) > 0:
		say("The policy could not be evaluated, so the tap is refused: %s.", strings.Join(d.Errors, "; "))
	case len(d.Rules) == 0:
		say("No rule permits it.")
	default:
		say("Forbidden by %s.", strings.Join(d.Rules, ", "))
	}
	say("%s has the roles [%s] and the valid certifications [%s].", p.GetId(), strings.Join(p.GetRoles(), ", "),
		strings.Join(policy.ValidCertifications(p, at), ", "))
	if need := st.Entry.GetRequiresCertifications(); len(need) > 0 {
		say("%s asks for the certifications [%s].", st.ID(), strings.Join(need, ", "))
	}
	if elsewhere {
		say("%s has a session at another station.", p.GetId())
	}
	if st.State != taplinev1.StationState_STATION_STATE_ENROLLED {
		say("%s is not enrolled now.", st.ID())
	}
	return all
}

// ExplainCode gives the refused tap of a help code.
func (s *Service) ExplainCode(ctx context.Context, req *taplinev1.ExplainCodeRequest) (*taplinev1.ExplainCodeResponse, error) {
	if len(req.GetCode()) != session.HelpCodeLength {
		return nil, wire.E(wire.Invalid, "code: %d characters", session.HelpCodeLength)
	}
	resp := &taplinev1.ExplainCodeResponse{}
	err := s.View(ctx, func(tx *store.Tx) error {
		r, err := tx.Refusal(strings.ToUpper(req.GetCode()))
		if err != nil {
			return err
		}
		resp.Tap = &taplinev1.RefusedTap{
			Code: r.Code, Station: string(r.Station), At: office.Stamp(r.At), Refusal: r.Decision.GetRefusal(), Person: string(r.Person),
			Technology: r.Technology, Assurance: r.Assurance, Decision: r.Decision,
		}
		return nil
	})
	return resp, err
}

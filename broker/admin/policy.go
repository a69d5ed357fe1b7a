package admin

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	taplinev1 "tapline/proto/tapline/v1"

	"tapline/broker/facts"
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
				Version: policy.Version(req.GetText()), Text: req.GetText(), Faults: faults.Strings(),
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
	if _, known := taplinev1.Assurance_name[int32(req.GetAssurance())]; !known {
		return nil, wire.E(wire.Invalid, "assurance: %d is not known", req.GetAssurance())
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
		var approver *taplinev1.PersonEntry
		if id := req.GetApprover(); id != "" {
			if approver, err = tx.Person(record.PersonID(id)); err != nil {
				return err
			}
		}
		set, err := s.Rules.InForce(tx)
		if err != nil {
			return err
		}
		known, err := facts.Collect(tx, s.Rules, facts.Tap{
			Action: policy.OpenSession, Person: p, Station: st.Entry, Account: record.AccountID(st.Entry.GetAccount()), Assurance: req.GetAssurance(),
			PIN: req.GetPin(), Approver: approver, At: at,
		})
		if err != nil {
			return err
		}
		known.Tap.Approved = known.Tap.Approved || req.GetApproved()
		e := set.Explain(known.Request)
		resp.Decision, resp.Notes, resp.Remedies = message(e.Decision), e.Notes, e.Remedies
		if e.Allowed {
			resp.Terms = known.Terms(at)
		}
		if st.State != taplinev1.StationState_STATION_STATE_ENROLLED {
			resp.Notes = append(resp.Notes, fmt.Sprintf("%s is not enrolled now.", st.ID()))
		}
		return nil
	})
	return resp, err
}

// ListPolicies lists what was ever in force, newest first, without texts.
func (s *Service) ListPolicies(ctx context.Context, req *taplinev1.ListPoliciesRequest) (*taplinev1.ListPoliciesResponse, error) {
	p, err := office.PageOf(req)
	if err != nil {
		return nil, err
	}
	resp := &taplinev1.ListPoliciesResponse{}
	err = s.View(ctx, func(tx *store.Tx) error {
		found, err := tx.Policies(p)
		if err != nil {
			return err
		}
		found, resp.NextPageToken = office.Cut(p, found, func(e store.PutPolicySet) string { return strconv.FormatUint(e.Number, 10) })
		for _, e := range found {
			e.Policy.Text = ""
			resp.Policies = append(resp.Policies, e.Policy)
		}
		return nil
	})
	return resp, err
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
		resp.Tap = refusedTap(r)
		return nil
	})
	return resp, err
}

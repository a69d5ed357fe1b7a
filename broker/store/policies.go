package store

import (
	"fmt"
	"strconv"
	"time"

	taplinev1 "tapline/proto/tapline/v1"

	"google.golang.org/protobuf/types/known/timestamppb"
)

func scanPolicy(r scanner) (*taplinev1.PolicySet, error) {
	p := &taplinev1.PolicySet{}
	var since int64
	err := r.Scan(&p.Version, &p.Text, &since, &p.Author, &p.Comment)
	p.Since = timestamppb.New(at(since))
	return p, err
}

// Policy reads the policy set of a version, as it was put in force last; the one in force for an empty version.
func (tx *Tx) Policy(version string) (*taplinev1.PolicySet, error) {
	found, err := all(tx, scanPolicy, `SELECT version, text, since, author, comment FROM policies WHERE ? = '' OR version = ?
		ORDER BY number DESC LIMIT 1`, version, version)
	if err == nil && len(found) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("policy %s: %w", version, err)
	}
	return found[0], nil
}

// PolicyVersion reads which policy set is in force.
func (tx *Tx) PolicyVersion() (string, error) {
	var version string
	if err := tx.one(policyInForce, nil, &version); err != nil {
		return "", fmt.Errorf("policy in force: %w", err)
	}
	return version, nil
}

// AddPolicy puts a policy set in force.
func (tx *Tx) AddPolicy(p *taplinev1.PolicySet, now time.Time) error {
	number, err := tx.Next("policies", 1)
	if err != nil {
		return err
	}
	_, err = tx.exec(`INSERT INTO policies (number, version, text, since, author, comment) VALUES (?, ?, ?, ?, ?, ?)`,
		int64(number), p.GetVersion(), p.GetText(), micro(now), p.GetAuthor(), p.GetComment())
	if err != nil {
		return fmt.Errorf("add policy %s: %w", p.GetVersion(), err)
	}
	return nil
}

// PutPolicySet is a policy set, and the number under which it was put in force.
type PutPolicySet struct {
	Number uint64
	Policy *taplinev1.PolicySet
}

// Policies lists what was ever put in force, newest first. After is the number where the page before ended.
func (tx *Tx) Policies(p Page) ([]PutPolicySet, error) {
	before := int64(1) << 62
	if p.After != "" {
		n, err := strconv.ParseInt(p.After, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("list policies: page %q: %w", p.After, ErrNotFound)
		}
		before = n
	}
	found, err := all(tx, func(r scanner) (PutPolicySet, error) {
		var number int64
		set, err := scanPolicy(also{r, &number})
		return PutPolicySet{uint64(number), set}, err
	}, `SELECT version, text, since, author, comment, number FROM policies WHERE number < ? ORDER BY number DESC LIMIT ?`, before, p.Size)
	if err != nil {
		return nil, fmt.Errorf("list policies: %w", err)
	}
	return found, nil
}

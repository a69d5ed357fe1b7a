package localapi

import (
	"context"

	"google.golang.org/protobuf/proto"

	taplinev1 "tapline/proto/tapline/v1"
)

// What a browser is told of a person is what the page shows: the name, and the language to say it in. The ID, the roles and the account stay with
// programs that the kernel vouches for. Nothing here ever holds a badge number or a reference of one.

func presenceFor(ctx context.Context, p *taplinev1.Presence) *taplinev1.Presence {
	if classOf(ctx) != browser {
		return p
	}
	out := proto.CloneOf(p)
	if out == nil {
		return nil
	}
	out.Person, out.Account = personForPage(p.GetPerson()), ""
	return out
}

func personForPage(p *taplinev1.Person) *taplinev1.Person {
	if p == nil {
		return nil
	}
	return &taplinev1.Person{DisplayName: p.GetDisplayName(), Language: p.GetLanguage()}
}

func changeFor(ctx context.Context, c *taplinev1.WatchPresenceResponse) *taplinev1.WatchPresenceResponse {
	if classOf(ctx) != browser {
		return c
	}
	notice := proto.CloneOf(c.GetNotice())
	if notice.GetPerson() != nil {
		notice.Person = personForPage(notice.GetPerson())
	}
	return &taplinev1.WatchPresenceResponse{Presence: presenceFor(ctx, c.GetPresence()), Notice: notice}
}

// statusFor leaves out, for all but the owner, what tells an attacker where to look: names of brokers, places of keys, troubles, the certificate.
func statusFor(ctx context.Context, s *taplinev1.GetStatusResponse) *taplinev1.GetStatusResponse {
	if classOf(ctx) == owner {
		return s
	}
	out := &taplinev1.GetStatusResponse{
		Build: s.GetBuild(), Station: s.GetStation(), Presence: presenceFor(ctx, s.GetPresence()), StartedAt: s.GetStartedAt(), Limited: true,
		Broker:  &taplinev1.BrokerStatus{Connected: s.GetBroker().GetConnected(), Since: s.GetBroker().GetSince()},
		Journal: &taplinev1.JournalStatus{Degraded: s.GetJournal().GetDegraded(), Low: s.GetJournal().GetLow()},
		Bundle:  &taplinev1.BundleStatus{IssuedAt: s.GetBundle().GetIssuedAt(), NotAfter: s.GetBundle().GetNotAfter(), Tier: s.GetBundle().GetTier()},
	}
	for _, r := range s.GetReaders() {
		out.Readers = append(out.Readers, &taplinev1.ReaderStatus{Name: r.GetName(), Attached: r.GetAttached(), LastTapAt: r.GetLastTapAt()})
	}
	return out
}

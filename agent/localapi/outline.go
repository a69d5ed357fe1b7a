package localapi

import (
	"context"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	taplinev1 "tapline/proto/tapline/v1"
)

// What a browser is told of a person is what the page shows: the name, and the language to say it in. The ID, the roles and the account stay with
// programs that the kernel vouches for. Nothing here ever holds a badge number or a reference of one.

func presenceFor(ctx context.Context, p *taplinev1.Presence) *taplinev1.Presence {
	return forPage(ctx, p)
}

func changeFor(ctx context.Context, c *taplinev1.WatchPresenceResponse) *taplinev1.WatchPresenceResponse {
	return forPage(ctx, c)
}

// forPage is a message as a page may see it, however deep in it a person stands.
func forPage[M proto.Message](ctx context.Context, m M) M {
	if classOf(ctx) != browser || !m.ProtoReflect().IsValid() {
		return m
	}
	out := proto.CloneOf(m)
	trim(out.ProtoReflect())
	return out
}

func trim(m protoreflect.Message) {
	switch m := m.Interface().(type) {
	case *taplinev1.Person:
		name, language := m.GetDisplayName(), m.GetLanguage()
		proto.Reset(m)
		m.DisplayName, m.Language = name, language
		return
	case *taplinev1.Presence:
		m.Account = ""
	}
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.Message() == nil || f.IsMap():
		case f.IsList():
			for i := range v.List().Len() {
				trim(v.List().Get(i).Message())
			}
		default:
			trim(v.Message())
		}
		return true
	})
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
	out.Mode = s.GetMode()
	for _, r := range s.GetReaders() {
		out.Readers = append(out.Readers, &taplinev1.ReaderStatus{Name: r.GetName(), Attached: r.GetAttached(), LastTapAt: r.GetLastTapAt()})
	}
	return out
}

package record_test

import "tapline/proto/record"

// What happens in the golden evidence. Each record is a minute after the one before.

func decided(by string) *record.Decision {
	return &record.Decision{By: by, Policy: "2026-11-20.3", Rules: []string{"packing-operators"}}
}

func badge(ref record.BadgeRef) *record.Badge {
	return &record.Badge{Ref: ref, Technology: "mifare-desfire", Assurance: 3, Factors: []string{"badge", "pin"}}
}

const (
	anna     record.PersonID = "p-1001"
	bo       record.PersonID = "p-1002"
	annaCard record.BadgeRef = "3f1c0a5e9b7d24f60811c2d3e4f5a697"
	boCard   record.BadgeRef = "a5b4c3d2e1f00f1e2d3c4b5a69788796"
)

func session(n string) record.SessionID {
	return record.SessionID("0198c2f0-0000-7000-8000-00000000000" + n)
}

func started() record.Payload {
	return record.Payload{Type: record.StationStarted, Mode: record.ModeGate, Start: &record.Start{Build: "v0.1.0", Stopped: true, KeyStore: "file"}}
}

func controlRecords() []record.Payload {
	return []record.Payload{{
		Type:  record.AdminAct,
		Admin: &record.Admin{Method: "/tapline.v1.AdminService/AddPerson", Actor: "admin", Digest: record.HashOf([]byte("request")), Target: string(anna)},
	}}
}

func beforeRecords() []record.Payload {
	return []record.Payload{
		started(),
		{Type: record.StationHeartbeat, Beat: &record.Beat{Interval: 60, State: "idle"}},
		{Type: record.StationHeartbeat, Beat: &record.Beat{Interval: 60, Acked: 2, Uptime: 120, State: "idle"}},
		{Type: record.StationStopped},
	}
}

func lineRecords() []record.Payload {
	return []record.Payload{
		started(),
		{Type: record.ReaderAttached, Reader: "pcsc: Example Reader 00 00"},
		{
			Type: record.SessionOpened, Mode: record.ModeGate, Session: session("1"), Person: anna, Account: "operator",
			Badge: badge(annaCard), Reader: "pcsc: Example Reader 00 00", Decision: decided("broker"),
			Lease: &record.Lease{ID: "l-1", Fence: 17}, Latency: &record.Latency{Read: 8200, Decide: 1400},
		},
		{
			Type: record.SessionHandedOver, Mode: record.ModeGate, Session: session("2"), Person: bo, Account: "operator",
			From: &record.From{Session: session("1"), Person: anna}, Badge: badge(boCard), Decision: decided("broker"),
			Lease: &record.Lease{ID: "l-2", Fence: 18},
		},
		{Type: record.TapRefused, Mode: record.ModeGate, Badge: &record.Badge{Technology: "em4100"}, Decision: decided("broker"), Reason: "unknown-badge"},
		{Type: record.EpochSealed}, // 6
		{
			Type: record.OperatorAction, Mode: record.ModeGate, Session: session("2"), Person: bo,
			Action: &record.Action{Application: "mes", Name: "release-batch", Meaning: "reviewed <and> approved – 4 711 ✓", Digest: record.HashOf([]byte("batch 4711"))},
		},
		{Type: record.SessionExtended, Session: session("2"), Person: bo},
		{Type: record.SessionClosed, Mode: record.ModeGate, Session: session("2"), Person: bo, Reason: "tap-out"},
		{Type: record.EmergencyOpened, Mode: record.ModeGate, Session: session("3"), Decision: &record.Decision{By: "emergency"}},
		{Type: record.EmergencyClaimed, Person: anna, Claim: &record.Claim{Emergency: session("3"), Note: "jam at the infeed"}},
		{Type: record.SessionClosed, Session: session("3"), Reason: "idle"},
		{Type: record.EpochSealed}, // 13
		{Type: record.StationHeartbeat, Beat: &record.Beat{Interval: 60, Acked: 12, Uptime: 800, State: "idle"}},
		{Type: record.EpochSealed}, // 15
		{Type: record.EpochSealed}, // 16, of an epoch without other records
		{Type: record.StationStopped},
	}
}

func secondRecords() []record.Payload {
	return []record.Payload{
		started(),
		{Type: record.ClockStepped},
		{Type: record.ModeChanged, Mode: record.ModeAttribute, Reason: "policy"},
		{Type: record.UnattributedBegan, Mode: record.ModeAttribute, Reason: "broker-away"},
		{Type: record.UnattributedEnded, Mode: record.ModeAttribute},
		{
			Type: record.SessionOpened, Mode: record.ModeAttribute, Session: session("4"), Person: bo, Badge: badge(boCard),
			Second:   &record.Second{Person: anna, Part: record.Approver, Badge: badge(annaCard)},
			Decision: &record.Decision{By: "bundle", Bundle: 12, Policy: "2026-11-20.3", Tier: "normal"},
		},
		{Type: record.VisitEvent, Session: session("4"), Visit: &record.Visit{ID: "v-9", Event: "arrived", Escort: bo}},
		{Type: record.SecretReleased, Session: session("4"), Account: "operator"},
		{Type: record.SecretRotated, Account: "operator"},
		{Type: record.JournalDegraded, Journal: &record.Journal{Fault: "full", Dropped: 2}},
		{Type: record.JournalRecovered, Journal: &record.Journal{Fault: "full", Dropped: 2}},
		{Type: record.SessionClosed, Session: session("4"), Reason: "shift-end"},
		{Type: record.ReaderDetached, Reader: "serial: /dev/ttyS0"},
	}
}

package identity

import "tapline/agent/brokertest"

func setApproved(s *brokertest.Station) { s.Approved = true }

func setRevoked(s *brokertest.Station) { s.Revoked = true }

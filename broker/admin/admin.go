// Package admin is the administrator's service: people, badges, accounts, stations, tokens, policies, leases and alarms.
//
// tapctl calls it over gRPC; the interceptor has made sure that the caller has an administrator's certificate. Each call that changes something is one
// update of the store that also writes the record of the act, so that neither is ever there alone. After it, those who must hear of it are told:
// stations on the line get a new bundle, sessions of a revoked badge end, a revoked station is cut off.
//
// The service shows no badge number, PIN or secret; a token's secret is in the one answer that makes it. Visits and auditors' certificates are not in this
// version.
package admin

import (
	"time"

	taplinev1 "tapline/proto/tapline/v1"

	"tapline/broker/claim"
	"tapline/broker/directory"
	"tapline/broker/identity"
	"tapline/broker/office"
	"tapline/broker/roster"
	"tapline/broker/rulebook"
	"tapline/broker/secret"
	"tapline/broker/switchboard"
	"tapline/broker/sync"
	"tapline/proto/pin"
)

// Service is the AdminService.
type Service struct {
	taplinev1.UnimplementedAdminServiceServer
	office.Office
	Directory directory.Directory
	Roster    roster.Writer
	Claims    *claim.Desk
	Rules     *rulebook.Book
	Registrar *identity.Registrar
	PINs      *pin.Checker
	Board     *switchboard.Board
	// Sync keeps people as an LDAP directory has them; nil where there is none.
	Sync    *sync.Syncer
	Secrets *secret.Keeper
	// Changed is called after something changed that a bundle may depend on.
	Changed func()
	Build   string
	Started time.Time
	// TwoPerson is whom the rule of two people binds; empty for TwoPersonStaff.
	TwoPerson string
	// Conditions is what needs somebody's eye now.
	Conditions func() []string
}

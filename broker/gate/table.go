package gate

import (
	"maps"
	"slices"
	"strings"

	taplinev1 "tapline/proto/tapline/v1"

	"tapline/proto/wire"
)

// callers is a set of roles.
type callers []wire.Role

// String is the set in words.
func (c callers) String() string {
	words := make([]string, len(c))
	for i, r := range c {
		words[i] = string(r)
	}
	return strings.Join(words, ", ")
}

// Sets of roles. Every set of people begins with the administrator, who may do everything that people do.
func station() callers   { return callers{wire.RoleStation} }
func admins() callers    { return callers{wire.RoleAdmin} }
func security() callers  { return callers{wire.RoleAdmin, wire.RoleSecurity} }
func reviewers() callers { return callers{wire.RoleAdmin, wire.RoleSecurity, wire.RoleAuditor} }
func floor() callers     { return callers{wire.RoleAdmin, wire.RoleSupervisor} }
func desk() callers      { return callers{wire.RoleAdmin, wire.RoleSupervisor, wire.RoleHelpdesk} }
func watch() callers     { return callers{wire.RoleAdmin, wire.RoleSecurity, wire.RoleSupervisor} }
func helpers() callers {
	return callers{wire.RoleAdmin, wire.RoleSecurity, wire.RoleSupervisor, wire.RoleHelpdesk}
}

func lookers() callers {
	return callers{wire.RoleAdmin, wire.RoleSecurity, wire.RoleSupervisor, wire.RoleAuditor}
}
func people() callers   { return wire.OfficerRoles() }
func everyone() callers { return append(callers{wire.RoleStation, wire.RoleBroker}, people()...) }

// nobody's row: no certificate has to be shown.
func open() callers { return nil }

// The one table of who may call what. A method that is not in it is for administrators alone, or, in the services of stations and auditors, for
// those; a test names it.
var table = map[string]func() callers{
	// Before there is a certificate.
	taplinev1.StationService_Enrol_FullMethodName:        open,
	taplinev1.StationService_GetChallenge_FullMethodName: open,
	taplinev1.StationService_Recover_FullMethodName:      open,
	taplinev1.OfficerService_GetLogin_FullMethodName:     open,
	taplinev1.OfficerService_Login_FullMethodName:        open,

	// Stations.
	taplinev1.StationService_Renew_FullMethodName:          station,
	taplinev1.StationService_OpenSession_FullMethodName:    station,
	taplinev1.StationService_ExtendSession_FullMethodName:  station,
	taplinev1.StationService_CloseSession_FullMethodName:   station,
	taplinev1.StationService_StreamRecords_FullMethodName:  station,
	taplinev1.StationService_FetchBundle_FullMethodName:    station,
	taplinev1.StationService_StreamCommands_FullMethodName: station,
	taplinev1.StationService_RequestBadge_FullMethodName:   station,
	taplinev1.StationService_NameBadge_FullMethodName:      station,
	taplinev1.StationService_VerifyPin_FullMethodName:      station,
	taplinev1.StationService_ReleaseSecret_FullMethodName:  station,
	taplinev1.StationService_ReportRotation_FullMethodName: station,
	taplinev1.StationService_TakeRotation_FullMethodName:   station,

	// People and what they carry.
	taplinev1.AdminService_PutPerson_FullMethodName:       admins,
	taplinev1.AdminService_ListPeople_FullMethodName:      people,
	taplinev1.AdminService_DeletePerson_FullMethodName:    admins,
	taplinev1.AdminService_AssignBadge_FullMethodName:     desk,
	taplinev1.AdminService_ListBadges_FullMethodName:      people,
	taplinev1.AdminService_RevokeBadge_FullMethodName:     helpers,
	taplinev1.AdminService_SetPin_FullMethodName:          desk,
	taplinev1.AdminService_ImportDirectory_FullMethodName: admins,

	taplinev1.AdminService_GetPerson_FullMethodName:          people,
	taplinev1.AdminService_LoseBadge_FullMethodName:          helpers,
	taplinev1.AdminService_FindBadge_FullMethodName:          desk,
	taplinev1.AdminService_ListRefusedTaps_FullMethodName:    people,
	taplinev1.AdminService_ListBadgeRequests_FullMethodName:  desk,
	taplinev1.AdminService_DecideBadgeRequest_FullMethodName: floor,
	taplinev1.AdminService_PutShift_FullMethodName:           admins,
	taplinev1.AdminService_ListShifts_FullMethodName:         people,
	taplinev1.AdminService_DeleteShift_FullMethodName:        admins,
	taplinev1.AdminService_GetSync_FullMethodName:            people,
	taplinev1.AdminService_RunSync_FullMethodName:            admins,
	taplinev1.AdminService_AcceptSync_FullMethodName:         admins,
	taplinev1.AdminService_CreateScimToken_FullMethodName:    admins,
	taplinev1.AdminService_ListScimTokens_FullMethodName:     reviewers,
	taplinev1.AdminService_RevokeScimToken_FullMethodName:    security,

	// Accounts, stations and the tokens that enrol them.
	taplinev1.AdminService_PutAccount_FullMethodName:    admins,
	taplinev1.AdminService_ListAccounts_FullMethodName:  people,
	taplinev1.AdminService_DeleteAccount_FullMethodName: admins,
	taplinev1.AdminService_PutStation_FullMethodName:    admins,

	taplinev1.AdminService_SetAccountSecret_FullMethodName:    security,
	taplinev1.AdminService_RotateAccountSecret_FullMethodName: security,
	taplinev1.AdminService_ListAccountSecrets_FullMethodName:  lookers,

	taplinev1.AdminService_ListStations_FullMethodName:   people,
	taplinev1.AdminService_DeleteStation_FullMethodName:  admins,
	taplinev1.AdminService_RevokeStation_FullMethodName:  security,
	taplinev1.AdminService_ReleaseStation_FullMethodName: security,
	taplinev1.AdminService_CreateToken_FullMethodName:    admins,
	taplinev1.AdminService_ListTokens_FullMethodName:     reviewers,
	taplinev1.AdminService_RevokeToken_FullMethodName:    security,

	taplinev1.AdminService_GetStation_FullMethodName:      people,
	taplinev1.AdminService_ApproveRecovery_FullMethodName: security,
	taplinev1.AdminService_GetAuthority_FullMethodName:    reviewers,
	taplinev1.AdminService_RotateAuthority_FullMethodName: security,

	// Policy and what it decides.
	taplinev1.AdminService_PutZone_FullMethodName:      security,
	taplinev1.AdminService_ListZones_FullMethodName:    people,
	taplinev1.AdminService_DeleteZone_FullMethodName:   security,
	taplinev1.AdminService_ListPolicies_FullMethodName: lookers,
	taplinev1.AdminService_ReplayTaps_FullMethodName:   lookers,
	taplinev1.AdminService_PutPolicy_FullMethodName:    security,
	taplinev1.AdminService_GetPolicy_FullMethodName:    lookers,
	taplinev1.AdminService_ExplainTap_FullMethodName:   people,
	taplinev1.AdminService_ExplainCode_FullMethodName:  people,

	// What goes on.
	taplinev1.AdminService_ListLeases_FullMethodName:  people,
	taplinev1.AdminService_EndLease_FullMethodName:    watch,
	taplinev1.AdminService_PutVisit_FullMethodName:    floor,
	taplinev1.AdminService_ListVisits_FullMethodName:  people,
	taplinev1.AdminService_DeleteVisit_FullMethodName: floor,
	taplinev1.AdminService_DecideVisit_FullMethodName: floor,
	taplinev1.AdminService_ListAlarms_FullMethodName:  people,
	taplinev1.AdminService_CloseAlarm_FullMethodName:  watch,
	taplinev1.AdminService_GetHealth_FullMethodName:   people,

	// Officers. Who may give which role is the officer service's to say.
	taplinev1.OfficerService_WhoAmI_FullMethodName:         people,
	taplinev1.OfficerService_RenewOfficer_FullMethodName:   people,
	taplinev1.OfficerService_InviteOfficer_FullMethodName:  security,
	taplinev1.OfficerService_ListOfficers_FullMethodName:   reviewers,
	taplinev1.OfficerService_RevokeOfficer_FullMethodName:  security,
	taplinev1.OfficerService_ReadmitOfficer_FullMethodName: security,

	// Evidence.
	taplinev1.AuditService_QueryRecords_FullMethodName:     reviewers,
	taplinev1.AuditService_WatchRecords_FullMethodName:     reviewers,
	taplinev1.AuditService_WhoWasAt_FullMethodName:         lookers,
	taplinev1.AuditService_ListSessions_FullMethodName:     lookers,
	taplinev1.AuditService_ListEmergencies_FullMethodName:  lookers,
	taplinev1.AuditService_Export_FullMethodName:           reviewers,
	taplinev1.AuditService_GetTrust_FullMethodName:         people,
	taplinev1.AuditService_GetCheckpoint_FullMethodName:    lookers,
	taplinev1.AuditService_ProveInclusion_FullMethodName:   lookers,
	taplinev1.AuditService_ProveConsistency_FullMethodName: lookers,
	taplinev1.AuditService_GetTile_FullMethodName:          reviewers, // a bundle of entries is whole records

	// Of gRPC itself.
	"/grpc.health.v1.Health/Check":                                   everyone,
	"/grpc.health.v1.Health/Watch":                                   everyone,
	"/grpc.health.v1.Health/List":                                    everyone,
	"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo":      admins,
	"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": admins,
}

// Listed reports whether the table has a row for a method.
func Listed(method string) bool {
	_, ok := table[method]
	return ok
}

// Open reports whether a method needs no certificate.
func Open(method string) bool {
	row, ok := table[method]
	return ok && len(row()) == 0
}

// Opens are the methods of our services that a role opens, sorted.
func Opens(role wire.Role) []string {
	var all []string
	for _, method := range slices.Sorted(maps.Keys(table)) {
		if strings.HasPrefix(method, "/tapline.") && slices.Contains(table[method](), role) {
			all = append(all, method)
		}
	}
	return all
}

// rolesOf are the roles that may call a method; open says that nobody has to show a certificate.
func rolesOf(method string) (roles callers, open bool) {
	if row, ok := table[method]; ok {
		roles = row()
		return roles, len(roles) == 0
	}
	service, _, _ := strings.Cut(strings.TrimPrefix(method, "/"), "/")
	switch service {
	case taplinev1.StationService_ServiceDesc.ServiceName:
		return station(), false
	case taplinev1.AuditService_ServiceDesc.ServiceName:
		return reviewers(), false
	}
	return admins(), false
}

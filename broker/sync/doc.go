// Package sync keeps people and badges as an LDAP directory has them: who joins, changes, moves and leaves there does so here.
//
// The broker runs one Syncer when its configuration has the key "ldap". A full synchronisation reads everybody below the base in pages. Between
// two of those a delta asks the server what changed (DirSync of Active Directory, RFC 4533 elsewhere) and reads only that anew; where the server
// calls when something changes, it is asked at once, so that a leaver's badge is dead within seconds. What the server tells of changes is only a
// hint: what is true is always read by the same search and the same mapping. A cookie that is lost, or too many changes, end in a full one.
//
// An entry is known by its objectGUID or entryUUID, so that a new name or place makes nobody a stranger. Differences are written by package roster:
// all of one synchronisation or nothing, with its safety brake, each as a record with the actor "ldap", and in the same transaction as the cookie.
//
// The package changes nothing in the outside directory, follows no referral, and never logs a badge number.
package sync

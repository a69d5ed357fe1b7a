// Package ldap talks to a directory server over LDAP: Active Directory, Samba, OpenLDAP and others that keep to RFC 4511.
//
// Package sync reads people and groups through it, and the driver of shared accounts changes their passwords. A Client knows the servers and
// the account that it binds with; Open gives a Session on the first server that answers, over LDAPS or StartTLS. A session searches in pages,
// says what changed since a cookie (DirSync of Active Directory, RFC 4533 elsewhere), and is for one goroutine. Every wait has an end: the
// context's, and the configured time limit.
//
// It never follows a referral, never speaks without TLS unless the configuration says so by name, never logs a password, and knows nothing of
// badges, roles or people.
package ldap

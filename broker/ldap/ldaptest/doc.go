// Package ldaptest runs real directory servers for tests: OpenLDAP's slapd, and Samba as an Active Directory domain controller.
//
// Tests of packages ldap and sync, and of the driver of shared accounts, start one with StartSlapd or StartSamba. Each lives in the test's temporary
// folder with a certificate authority of its own, on ports or a loopback address of its own, and ends with the test. It touches nothing of the
// machine's configuration. Where the program is not installed the test is skipped and says which package it needs.
package ldaptest

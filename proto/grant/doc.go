// Package grant is what a station may decide alone: the grant bundle, the keyed hash by which it knows a badge, and the tiers that
// shrink what it grants the longer the broker is away.
//
// The broker issues bundles and signs them as DSSE statements with its evidence key; the agent opens them and looks badges up. The
// package is pure: it takes bytes and a time, and returns values. It never holds a badge number, only hashes under the
// station's own key, so that a bundle that is stolen names nobody's badge at another station.
package grant

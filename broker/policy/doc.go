// Package policy decides who may work at which station, by a set of Cedar policies.
//
// The session service asks it for each tap, the bundle service for each person when it makes a grant bundle, the administrator to explain a tap:
// all get the same answer, because it is pure: a request with its time in, a decision out. Time of day, valid certifications and presence
// elsewhere are worked out by the caller and put into the request, since Cedar has neither clocks nor loops.
//
// It fails closed. A set is loaded only if every policy validates against the schema; if any policy errs in evaluation, be it one that
// would have forbidden, the tap is refused and the caller is told so that it can raise an alarm. It reads no store and knows no badge.
//
// It is the home of cedar-go.
package policy

// Package signin answers the operating system's own sign-in and its screen lockers: may this account be used now? On Linux their PAM module (pam_tapline.so)
// asks over a Unix socket of its own, in one line each way, because a module in every program that signs people in must be small.
//
//	authorize ACCOUNT SERVICE
//	allowed | refused | ignore | unavailable
//
// The agent runs it and decides. It knows no session, hands out no secret and names nobody; only root, and an account that asks about itself, is answered.
package signin

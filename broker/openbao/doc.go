// Package openbao keeps secrets of shared accounts in OpenBao or HashiCorp Vault, in a KV engine of version 2.
//
// The broker's keeper of secrets (package secret) uses a Client as its outside vault; the broker runs Run, shows Conditions, and "tapbroker check" calls
// Ask. Each version of a secret has a path of its own, which is written with check-and-set 0 and never over: whoever comes first has it.
//
// A vault that is sealed, slow or dead costs one call its time limit; until it is well again, which Run finds out, every other call fails at once. No
// error and no log line holds anything of what the server answered but its status, and nothing of what was sent: bodies of both may hold secrets.
package openbao

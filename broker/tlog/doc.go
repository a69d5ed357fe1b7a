// Package tlog keeps the Merkle log over all records and publishes its signed heads.
//
// A record's place in the log is the cursor that it got in the transaction that stored it, less one; so the log's content is settled before this
// package sees it, and all that is done here can be done again. The broker runs Log.Run as a task. Of several brokers on one store each runs it, and
// the leader alone extends the log: in one transaction, fenced by its epoch, it writes the tiles and commits to size and root, of which the store has
// one for each size. Only then it signs; only when the signed checkpoint lies in the file DATA/checkpoint does the store publish it. A crash
// between any two of these steps leaves a head that is signed later, as it is, or nothing.
//
// A store that was put back from an older copy would let the log grow a second time, differently. So a broker does not start on a store
// that is behind its file (Check), and a log that is found to go back or to fork while it runs is never signed again by that process.
//
// Any broker answers for proofs and tiles (Log.Prove...), leader or not. The package never reads what is in a record.
package tlog

// Package fleet is many stations in one process, against one broker or several: the load of benchmarks and of fault runs.
//
// Each station enrols with a token, keeps a line with the agent's own uplink and identity, writes a chain of signed records of its own and taps
// people in. What is left out of an agent is the machine around it: no reader, no panel, no disk. Its journal lies in memory (beside the disk, where Config says so) and keeps every record
// and the newest receipt, so that Audit can hold the broker to what it has acknowledged.
//
// It is no test of the agent, and a station here never waits longer than an agent would: what it cannot ask the broker in time it decides alone.
package fleet

// Package offlinelaw holds a station that decides alone to what the broker would have decided: it is the one place that may import both sides.
//
// The suite runs it as any test. Each world has random people, badges, shifts, zones and rules; the broker's parts make a bundle, the agent's parts
// read it, and both are asked about the same taps. It starts no program and uses no network.
package offlinelaw

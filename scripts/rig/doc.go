//go:build linux

// Package rig runs a small plant from the real programs: a broker, agents, and a PC/SC service with virtual readers that badges are laid
// on. The demo, the benchmarks and the end-to-end tests drive it.
//
// What it shows is what a user would see: it speaks to the programs through their command lines, configuration files and
// local sockets only, and can start, stop and kill each of them. It belongs in namespaces of its own (see reader/vcard/vpcd.Isolate), where nothing
// of it meets the machine's own services. It never reaches into a program's memory or files to make something happen.
package rig

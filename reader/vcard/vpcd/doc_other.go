//go:build !linux

// Package vpcd runs a private PC/SC service with virtual readers. It works on Linux only; elsewhere it is empty.
package vpcd

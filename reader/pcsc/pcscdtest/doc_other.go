//go:build !unix

// Package pcscdtest is a PC/SC service made for tests. It works on Unix only; elsewhere it is empty.
package pcscdtest

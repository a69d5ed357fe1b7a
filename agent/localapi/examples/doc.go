// Package examples holds clients of the local API in three languages, for whoever writes an application that asks who is here: go, python and curl, one
// folder each. Each does the same with the same words and needs nothing beyond its language. The test beside this file runs them against a real agent;
// nothing calls the package, and it never does more than that.
package examples

package main

// becomeOwner does nothing: the folder's access list lets administrators and the service alike in.
func becomeOwner(string) error { return nil }

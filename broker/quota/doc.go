// Package quota keeps one caller, or many at once, from taking the broker away from the people at the machines.
//
// Package broker puts it before every call: a bucket of calls for each caller and class of methods, for each address where no certificate is needed,
// and one for failures there, so that guessing is slow while a hundred stations that enrol through one address are not. Records of a
// station are counted as they come. What is over a limit is answered RESOURCE_EXHAUSTED with the time to come back in, and which key of
// the configuration says so.
//
// Uploads are let in by how many records are being stored at that moment; while somebody waits for the answer to a tap, and a moment after a slow
// one, by far fewer. A tap itself never waits here. The package counts connections too, and never looks at what a message says.
package quota

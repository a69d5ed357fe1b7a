package tlog

// Witness is somebody outside who cosigns checkpoints.
type Witness struct{}

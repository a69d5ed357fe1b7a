package sync

import "context"

// Once does one synchronisation of the loop.
func (s *Syncer) Once(ctx context.Context) (Report, error) { return s.do(ctx, how{}) }

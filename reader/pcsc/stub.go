//go:build !cgo && !windows

package pcsc

import (
	"context"

	"tapline/reader"
)

// Source has no readers in this build.
type Source struct{}

// New returns ErrNotBuilt.
func New(Config) (*Source, error) { return nil, ErrNotBuilt }

// Run returns ErrNotBuilt; it is here so that callers compile in every build.
func (*Source) Run(context.Context, func(reader.Event)) error { return ErrNotBuilt }

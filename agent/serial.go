package agent

import (
	"errors"

	"go.uber.org/zap"

	"tapline/reader"
)

// serialSources makes the readers on serial lines.
func (a *Agent) serialSources() []reader.Source {
	for _, s := range a.cfg.Readers.Serial {
		a.log.Error("serial reader not used", zap.String("device", s.Device), zap.Error(errors.New("not in this build")))
	}
	return nil
}

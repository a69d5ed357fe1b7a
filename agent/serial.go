package agent

import (
	"errors"

	"go.uber.org/zap"

	"tapline/reader"
	"tapline/reader/serial"
)

// source makes the reader; it touches nothing until it runs.
func (s Serial) source(log *zap.Logger) (reader.Source, error) {
	if s.Device == "" {
		return nil, errors.New("device is missing")
	}
	return serial.New(serial.Config{
		Port: s.Device, Name: reader.Name(s.Name), Baud: s.Baud, DataBits: s.DataBits, Parity: s.Parity, StopBits: s.StopBits,
		Format: serial.Format(s.Format), Pattern: s.Pattern, MaxLength: s.MaxLength, IdleFrame: s.IdleFrame, Log: log,
	})
}

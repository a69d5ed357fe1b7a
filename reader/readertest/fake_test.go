package readertest

import (
	"testing"

	"tapline/reader"
)

const desk reader.Name = "Desk"

// fakeHarness drives a Fake.
type fakeHarness struct{ fake *Fake }

func (h fakeHarness) Source() reader.Source { return h.fake }
func (h fakeHarness) Reader() reader.Name   { return desk }
func (h fakeHarness) Presence() bool        { return !h.fake.NoPresence }
func (h fakeHarness) Number(badge int) reader.Number {
	return reader.NewNumber("uid", []byte{4, 0xA1, 0xB2, byte(badge)}, 0)
}

func (h fakeHarness) Tap(badge int) error {
	h.fake.Tap(desk, h.Number(badge))
	return nil
}

func (h fakeHarness) Remove() error {
	h.fake.Leave(desk)
	return nil
}

func (h fakeHarness) Spoil() (reader.Reason, error) {
	h.fake.Unreadable(desk, reader.Mute)
	return reader.Mute, nil
}

func (h fakeHarness) Detach() error {
	h.fake.Detach(desk, reader.ReaderGone)
	return nil
}

func (h fakeHarness) Attach() error {
	h.fake.Attach(desk)
	return nil
}

func TestTheFakeKeepsTheContract(t *testing.T) {
	Run(t, func(*testing.T) Harness { return fakeHarness{NewFake(desk)} })
}

func TestTheFakeWithoutPresenceKeepsTheContract(t *testing.T) {
	Run(t, func(*testing.T) Harness {
		f := NewFake(desk)
		f.NoPresence = true
		return fakeHarness{f}
	})
}

func TestANewBadgeOnTheReaderTakesThePlaceOfTheOld(t *testing.T) {
	h := fakeHarness{NewFake(desk)}
	s := Start(t, h.fake)
	s.Want(reader.Attached, desk)
	h.fake.Tap(desk, h.Number(0))
	h.fake.Tap(desk, h.Number(1))
	s.WantTap(desk, h.Number(0))
	s.Want(reader.Left, desk)
	s.WantTap(desk, h.Number(1))
}

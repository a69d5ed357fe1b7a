package serial

import "strings"

// framer cuts a stream of bytes into frames. It is pure; the zero framer is not usable.
type framer struct {
	terminator string
	longest    int
	pending    []byte
	overlong   bool // the frame is too long: its bytes are dropped up to its end
}

// frame is what was between two terminators. An overlong one has no text.
type frame struct {
	text     string
	overlong bool
}

// feed takes bytes and returns the frames that they complete. Empty frames are none: CR LF is one end.
func (f *framer) feed(data []byte) []frame {
	var frames []frame
	for _, b := range data {
		switch {
		case strings.IndexByte(f.terminator, b) >= 0:
			frames = append(frames, f.end()...)
		case f.overlong:
		case len(f.pending) == f.longest:
			f.pending, f.overlong = f.pending[:0], true
		default:
			f.pending = append(f.pending, b)
		}
	}
	return frames
}

// end completes the frame that has begun, if one has.
func (f *framer) end() []frame {
	done := frame{text: string(f.pending), overlong: f.overlong}
	f.pending, f.overlong = f.pending[:0], false
	if done.text == "" && !done.overlong {
		return nil
	}
	return []frame{done}
}

// begun reports whether a frame has begun and not ended.
func (f *framer) begun() bool { return len(f.pending) > 0 || f.overlong }

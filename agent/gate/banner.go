package gate

import (
	"slices"

	"github.com/jezek/xgb"
	"github.com/jezek/xgb/xproto"
)

// banner is the window that says why nothing can be operated. It stands above all others at an edge, is no larger than its words, and is drawn in
// rectangles alone, so that no font, depth or picture format of the server matters.
type banner struct {
	conn   *xgb.Conn
	root   xproto.Window
	window xproto.Window
	pens   map[ink]xproto.Gcontext
	screen struct{ width, height uint16 }

	words string // what is shown; empty while it is hidden
	order order  // of which that was drawn
	drawn int    // progress that was drawn, in pixels; -1 for nothing
	plan  plan
}

// ink is a colour of the banner.
type ink int

const (
	ground ink = iota
	letters
	alarm
	filled
)

// colours are red, green and blue in 16 bits; each pair has a contrast above 4.5.
func colours() map[ink][3]uint16 {
	return map[ink][3]uint16{
		ground: {0x1000, 0x2400, 0x3e00}, letters: {0xffff, 0xffff, 0xffff}, alarm: {0xb000, 0x1c00, 0x1c00}, filled: {0x5000, 0x0800, 0x0800},
	}
}

func newBanner(conn *xgb.Conn, screen *xproto.ScreenInfo) (*banner, error) {
	b := &banner{conn: conn, root: screen.Root, pens: map[ink]xproto.Gcontext{}, drawn: -1}
	b.screen.width, b.screen.height = screen.WidthInPixels, screen.HeightInPixels
	var back uint32
	for name, c := range colours() {
		got, err := xproto.AllocColor(conn, screen.DefaultColormap, c[0], c[1], c[2]).Reply()
		if err != nil {
			return nil, err
		}
		pen, err := xproto.NewGcontextId(conn)
		if err != nil {
			return nil, err
		}
		if err := xproto.CreateGCChecked(conn, pen, xproto.Drawable(screen.Root), xproto.GcForeground, []uint32{got.Pixel}).Check(); err != nil {
			return nil, err
		}
		b.pens[name] = pen
		if name == ground {
			back = got.Pixel
		}
	}
	id, err := xproto.NewWindowId(conn)
	if err != nil {
		return nil, err
	}
	b.window = id
	err = xproto.CreateWindowChecked(conn, screen.RootDepth, id, screen.Root, 0, 0, 1, 1, 0, xproto.WindowClassInputOutput, screen.RootVisual,
		xproto.CwBackPixel|xproto.CwOverrideRedirect|xproto.CwEventMask,
		[]uint32{back, 1, xproto.EventMaskExposure | xproto.EventMaskVisibilityChange}).Check()
	if err != nil {
		return nil, err
	}
	return b, xproto.ChangeWindowAttributesChecked(conn, screen.Root, xproto.CwEventMask, []uint32{xproto.EventMaskStructureNotify}).Check()
}

// show puts the banner on the screen, with the button filled that far.
func (b *banner) show(o order, progress float64) error {
	mapped := b.words != ""
	if fresh := o.words + "\n" + o.emergency + "\n" + o.edge; fresh != b.words {
		b.words, b.order, b.drawn = fresh, o, -1
		b.plan = lay(o, int(b.screen.width), int(b.screen.height))
		p := b.plan
		xproto.ConfigureWindow(b.conn, b.window, xproto.ConfigWindowX|xproto.ConfigWindowY|xproto.ConfigWindowWidth|xproto.ConfigWindowHeight|xproto.ConfigWindowStackMode,
			[]uint32{uint32(p.x), uint32(p.y), uint32(p.width), uint32(p.height), xproto.StackModeAbove}) //nolint:gosec // within the screen
	}
	if !mapped {
		xproto.MapWindow(b.conn, b.window)
		b.raise()
	}
	if fill := int(progress * float64(b.plan.button.Width)); fill != b.drawn {
		b.draw(fill)
	}
	return b.settled()
}

// draw draws all of it.
func (b *banner) draw(fill int) {
	b.drawn = fill
	p := b.plan
	done := p.button
	done.Width = uint16(fill)                                                           //nolint:gosec // within the button
	b.paint(ground, xproto.Rectangle{Width: uint16(p.width), Height: uint16(p.height)}) //nolint:gosec // within the screen
	b.paint(letters, p.words...)
	b.paint(alarm, p.button)
	if fill > 0 {
		b.paint(filled, done)
	}
	b.paint(letters, p.alarm...)
}

// most is how many rectangles go into one request.
const most = 4000

func (b *banner) paint(with ink, list ...xproto.Rectangle) {
	for part := range slices.Chunk(list, most) {
		xproto.PolyFillRectangle(b.conn, xproto.Drawable(b.window), b.pens[with], part)
	}
}

func (b *banner) hide() error {
	if b.words != "" {
		xproto.UnmapWindow(b.conn, b.window)
		b.words, b.drawn = "", -1
	}
	return b.settled()
}

// settled waits until the server has done what it was asked.
func (b *banner) settled() error {
	_, err := xproto.GetInputFocus(b.conn).Reply()
	return err
}

func (b *banner) raise() {
	xproto.ConfigureWindow(b.conn, b.window, xproto.ConfigWindowStackMode, []uint32{xproto.StackModeAbove})
}

// stale has it drawn again at the next look.
func (b *banner) stale() { b.drawn = -1 }

// resize takes in that the screen has another size.
func (b *banner) resize(width, height uint16) {
	if width == b.screen.width && height == b.screen.height {
		return
	}
	b.screen.width, b.screen.height = width, height
	if b.words != "" {
		b.words += "\n" // lays it out anew, and stays mapped
	}
}

// onButton reports whether a place of the screen is on the emergency button.
func (b *banner) onButton(x, y int16) bool {
	if b.words == "" {
		return false
	}
	r := b.plan.button
	left, top := b.plan.x+int(r.X), b.plan.y+int(r.Y)
	return int(x) >= left && int(x) < left+int(r.Width) && int(y) >= top && int(y) < top+int(r.Height)
}

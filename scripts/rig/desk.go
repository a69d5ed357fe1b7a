//go:build linux

package rig

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jezek/xgb"
	"github.com/jezek/xgb/xproto"
	"github.com/jezek/xgb/xtest"
)

// Desk is the screen of a station: an X server, on it the view of a machine that somebody watches and types into, and a witness that looks, many times a
// second, whether the view can be seen.
type Desk struct {
	Display string

	server *Process
	looks  atomic.Int64 // at the view
	hidden atomic.Int64 // of them those that did not see it
	typed  atomic.Int64 // keys that reached the view

	stop    context.CancelFunc
	witness sync.WaitGroup
}

// lookEvery is how often the witness looks.
const lookEvery = 25 * time.Millisecond

// NewDesk starts an X server and the view on it. Logs go to dir.
func NewDesk(ctx context.Context, dir string) (*Desk, error) {
	xgb.Logger.SetOutput(io.Discard) // a server that goes away is what some faults are about
	number := filepath.Join(dir, "display")
	d := &Desk{}
	// The server writes its number where it is told to; with -noreset it stays when its last client goes.
	d.server = newProcess("xvfb", dir, nil, "sh", "-c",
		`exec Xvfb -displayfd 3 -screen 0 800x480x24 -nolisten tcp -noreset -ac $DESK 3>"`+number+`.new"`)
	if err := d.serve(ctx, number); err != nil {
		return nil, err
	}
	watching, stop := context.WithCancel(context.Background())
	d.stop = stop
	d.witness.Go(func() { d.watch(watching) })
	return d, d.until(ctx, "the view is there", func() bool { return d.looks.Load() > 0 })
}

// serve starts the server, on the display that it had if it had one.
func (d *Desk) serve(ctx context.Context, number string) error {
	_ = os.Remove(number + ".new")
	if d.Display != "" {
		d.server.env = []string{"DESK=" + d.Display}
	}
	if err := d.server.Start(); err != nil {
		return err
	}
	return d.until(ctx, "the X server is there", func() bool {
		b, err := os.ReadFile(number + ".new")
		if err != nil || !strings.HasSuffix(string(b), "\n") {
			return false
		}
		d.Display = ":" + strings.TrimSpace(string(b))
		return true
	})
}

// Restart kills the X server and starts it again on the same display. The view comes back by itself.
func (d *Desk) Restart(ctx context.Context) error {
	if err := d.server.Kill(); err != nil {
		return err
	}
	_ = os.Remove("/tmp/.X" + d.Display[1:] + "-lock") // a killed server leaves it, and the next one may not take the display
	_ = os.Remove("/tmp/.X11-unix/X" + d.Display[1:])
	seen := d.looks.Load()
	if err := d.serve(ctx, filepath.Join(filepath.Dir(d.server.log), "display")); err != nil {
		return err
	}
	return d.until(ctx, "the view is back", func() bool { return d.looks.Load() > seen+2 })
}

// Close ends the view and the server.
func (d *Desk) Close() error {
	d.stop()
	d.witness.Wait()
	return d.server.Kill()
}

// Looks is how often the witness looked so far, and how often it did not see the view.
func (d *Desk) Looks() (all, hidden int64) { return d.looks.Load(), d.hidden.Load() }

// Usable types until a key reaches the view, or the time is over. Now and then it types Return, as somebody does who is asked for a password.
func (d *Desk) Usable(ctx context.Context, within time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	before, n := d.typed.Load(), 0
	return d.until(ctx, "a key reaches the view", func() bool {
		key := keyA
		if n++; n%10 == 0 {
			key = keyReturn
		}
		_ = d.press(key) // a server that is away takes none
		return d.typed.Load() > before
	}) == nil
}

// Shut reports whether keys do not reach the view, once they have stopped to.
func (d *Desk) Shut(ctx context.Context, within time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	return d.until(ctx, "keys do not reach the view", func() bool {
		for range 3 { // keys, each of which the view has had time to take
			before, looks := d.typed.Load(), d.looks.Load()
			if d.press(keyA) != nil {
				return false
			}
			for d.looks.Load() < looks+3 && ctx.Err() == nil {
				pause(ctx, lookEvery)
			}
			if d.typed.Load() != before || ctx.Err() != nil {
				return false
			}
		}
		return true
	}) == nil
}

// Keys, as an X server numbers them.
const (
	keyA      byte = 38
	keyReturn byte = 36
)

// press presses a key and lets it go, as a keyboard does.
func (d *Desk) press(key byte) error {
	conn, err := xgb.NewConnDisplay(d.Display)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := xtest.Init(conn); err != nil {
		return err
	}
	root := xproto.Setup(conn).DefaultScreen(conn).Root
	return errors.Join(
		xtest.FakeInputChecked(conn, xproto.KeyPress, key, 0, root, 0, 0, 0).Check(),
		xtest.FakeInputChecked(conn, xproto.KeyRelease, key, 0, root, 0, 0, 0).Check())
}

// watch keeps the view on the screen, and looks at it, until ctx ends. A server that goes away is waited for.
func (d *Desk) watch(ctx context.Context) {
	for ctx.Err() == nil {
		_ = d.look(ctx) // ends with the server, or with ctx
		pause(ctx, lookEvery)
	}
}

func (d *Desk) look(ctx context.Context) error {
	conn, err := xgb.NewConnDisplay(d.Display)
	if err != nil {
		return err
	}
	defer conn.Close()
	screen := xproto.Setup(conn).DefaultScreen(conn)
	v, err := newView(conn, screen)
	if err != nil {
		return err
	}
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for colour := uint32(0x204060); ctx.Err() == nil; colour = (colour + 0x010203) & 0xffffff {
		seen, err := v.shows(colour)
		if err != nil {
			return err
		}
		for e, err := conn.PollForEvent(); e != nil || err != nil; e, err = conn.PollForEvent() {
			if _, ok := e.(xproto.KeyPressEvent); ok {
				d.typed.Add(1)
			}
		}
		d.looks.Add(1)
		if !seen {
			d.hidden.Add(1)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
	return nil
}

// view is a window over the whole screen.
type view struct {
	conn   *xgb.Conn
	screen *xproto.ScreenInfo
	window xproto.Window
	brush  xproto.Gcontext
}

func newView(conn *xgb.Conn, screen *xproto.ScreenInfo) (*view, error) {
	window, err := xproto.NewWindowId(conn)
	if err != nil {
		return nil, err
	}
	brush, err := xproto.NewGcontextId(conn)
	if err != nil {
		return nil, err
	}
	v := &view{conn, screen, window, brush}
	return v, errors.Join(
		xproto.CreateWindowChecked(conn, screen.RootDepth, window, screen.Root, 0, 0, screen.WidthInPixels, screen.HeightInPixels, 0,
			xproto.WindowClassInputOutput, screen.RootVisual, xproto.CwEventMask, []uint32{xproto.EventMaskKeyPress}).Check(),
		xproto.CreateGCChecked(conn, brush, xproto.Drawable(window), 0, nil).Check(),
		xproto.MapWindowChecked(conn, window).Check(),
		xproto.SetInputFocusChecked(conn, xproto.InputFocusPointerRoot, window, xproto.TimeCurrentTime).Check())
}

// shows paints the view and reports whether the middle of the screen has its colour: the server does one after the other.
func (v *view) shows(colour uint32) (bool, error) {
	w, h := v.screen.WidthInPixels, v.screen.HeightInPixels
	xproto.ChangeGC(v.conn, v.brush, xproto.GcForeground, []uint32{colour})
	xproto.PolyFillRectangle(v.conn, xproto.Drawable(v.window), v.brush, []xproto.Rectangle{{Width: w, Height: h}})
	middle, err := xproto.GetImage(v.conn, xproto.ImageFormatZPixmap, xproto.Drawable(v.screen.Root), int16(w/2), int16(h/2), 1, 1, 0xffffffff).Reply()
	if err != nil {
		return false, err
	}
	p := middle.Data
	return len(p) >= 3 && uint32(p[0])|uint32(p[1])<<8|uint32(p[2])<<16 == colour, nil
}

// until waits until something is so, or ctx ends.
func (d *Desk) until(ctx context.Context, what string, so func() bool) error {
	for !so() {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("waited in vain: %s: %w", what, err)
		}
		pause(ctx, lookEvery)
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

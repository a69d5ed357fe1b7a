package gate

import (
	"sync"
	"time"

	"github.com/jezek/xgb"
	"github.com/jezek/xgb/xproto"
)

type waiter = sync.WaitGroup

// refusedAfter is how long a grab may be refused before that is told: a menu that is open holds the input for as long.
const refusedAfter = 1500 * time.Millisecond

// carryOut does what the newest order says, or keeps doing it, and says how things stand.
func (d *display) carryOut() error {
	if d.held && d.progress() >= 1 {
		d.emergency()
	}
	o := d.shared.current()
	if o.shut != d.carry.shut || !o.shut {
		d.byHand = false
	}
	if o.number != d.carry.number || !o.shut {
		d.refuse = time.Time{}
	}
	d.carry = o
	var err error
	switch {
	case o.shut && !d.byHand:
		err = d.hold(o)
	default:
		err = d.release()
	}
	if err != nil {
		return err
	}
	if d.looked = false; o.look && !d.held {
		if d.looked, err = d.look(); err != nil {
			return err
		}
	}
	d.shared.stand(d.standing())
	return nil
}

func (d *display) standing() standing {
	now := standing{order: d.carry.number, shut: d.held, heldByOther: d.looked}
	switch {
	case d.byHand:
		now.reason = reasonByHand
	case d.carry.shut && !d.held && time.Since(d.refuse) >= refusedAfter:
		now.reason = reasonRefused
	case d.carry.shut && !d.held:
		now.order-- // not done yet
	}
	return now
}

// hold grabs keyboard and pointer, both or neither. A grab that is had is asked for again, which the server allows: that is how its loss is seen.
func (d *display) hold(o order) error {
	keys, err := d.grabKeyboard()
	if err != nil {
		return err
	}
	pointer, err := xproto.GrabPointer(d.conn, false, d.screen.Root, xproto.EventMaskButtonPress|xproto.EventMaskButtonRelease|xproto.EventMaskButtonMotion,
		xproto.GrabModeAsync, xproto.GrabModeAsync, xproto.WindowNone, xproto.CursorNone, xproto.TimeCurrentTime).Reply()
	if err != nil {
		return err
	}
	if keys && pointer.Status == xproto.GrabStatusSuccess {
		d.held, d.refuse = true, time.Time{}
		return d.banner.show(o, d.progress())
	}
	if d.refuse.IsZero() {
		d.refuse = time.Now()
	}
	return d.ungrab()
}

func (d *display) grabKeyboard() (bool, error) {
	r, err := xproto.GrabKeyboard(d.conn, false, d.screen.Root, xproto.TimeCurrentTime, xproto.GrabModeAsync, xproto.GrabModeAsync).Reply()
	if err != nil {
		return false, err
	}
	return r.Status == xproto.GrabStatusSuccess, nil
}

// release lets go, and has seen the server do it.
func (d *display) release() error {
	if !d.held && d.banner.words == "" {
		return nil
	}
	return d.ungrab()
}

func (d *display) ungrab() error {
	d.held, d.down = false, time.Time{}
	xproto.UngrabPointer(d.conn, xproto.TimeCurrentTime)
	xproto.UngrabKeyboard(d.conn, xproto.TimeCurrentTime)
	return d.banner.hide()
}

// look reports whether another program holds the keyboard: then it cannot be grabbed.
func (d *display) look() (bool, error) {
	free, err := d.grabKeyboard()
	if err != nil || !free {
		return !free, err
	}
	return false, xproto.UngrabKeyboardChecked(d.conn, xproto.TimeCurrentTime).Check()
}

// progress is how far the button is held, from 0 to 1.
func (d *display) progress() float64 {
	if d.down.IsZero() {
		return 0
	}
	return min(1, float64(time.Since(d.down))/float64(holdFor))
}

// event takes what the server says. While the pointer is grabbed, its events come with the place on the screen.
func (d *display) event(e xgb.Event) {
	switch e := e.(type) {
	case xproto.ButtonPressEvent:
		if e.Detail == xproto.ButtonIndex1 && d.banner.onButton(e.RootX, e.RootY) {
			d.down = time.Now()
		}
	case xproto.ButtonReleaseEvent:
		if e.Detail == xproto.ButtonIndex1 {
			d.lift()
		}
	case xproto.MotionNotifyEvent:
		if !d.banner.onButton(e.RootX, e.RootY) {
			d.down = time.Time{}
		}
	case xproto.VisibilityNotifyEvent:
		if e.State != xproto.VisibilityUnobscured && d.raises < raiseMost {
			d.raises++
			d.banner.raise()
		}
	case xproto.ExposeEvent:
		d.banner.stale()
	case xproto.ConfigureNotifyEvent:
		if e.Window == d.screen.Root {
			d.banner.resize(e.Width, e.Height)
		}
	}
}

// lift is the end of a press, that may have been long enough between two looks.
func (d *display) lift() {
	if d.held && d.progress() >= 1 {
		d.emergency()
	}
	d.down = time.Time{}
}

// emergency opens the station and then says so.
func (d *display) emergency() {
	d.byHand = true
	_ = d.ungrab() // a fault ends the connection, which lets go as well
	d.conn.Sync()
	d.shared.press()
}

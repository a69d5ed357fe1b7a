package gate

import (
	"context"
	"errors"
	"time"

	"github.com/jezek/xgb"
	"github.com/jezek/xgb/screensaver"
	"github.com/jezek/xgb/xproto"
	"go.uber.org/zap"
)

const (
	againAfter  = 500 * time.Millisecond // a display that is away
	retryEvery  = 100 * time.Millisecond // a grab that was refused
	verifyEvery = time.Second            // a grab that is had, and whether somebody uses the station
	holdFor     = 2 * time.Second        // the emergency button
	raiseMost   = 20                     // times a second that the banner is raised: two windows that both want to be on top would never end
)

// errTaken says that another helper serves the display.
var errTaken = errors.New("another \"tapagent gate\" serves this display")

// display is the half of a helper that is a client of the X server. All its fields are owned by run.
type display struct {
	cfg    Config
	shared *shared

	conn   *xgb.Conn
	screen *xproto.ScreenInfo
	idle   bool // the server tells how long nobody used it
	banner *banner
	held   bool
	byHand bool      // the emergency button let go; until another order
	refuse time.Time // since when the grab is refused; zero when it is not
	looked bool      // another program holds the keyboard
	down   time.Time // since when the button is held; zero when it is not
	raises int
	carry  order // that is being carried out
}

// run serves the display until ctx ends. A display that goes away is waited for, for ever.
func (d *display) run(ctx context.Context) error {
	for ctx.Err() == nil {
		err := d.serve(ctx)
		if errors.Is(err, errTaken) {
			d.shared.taken()
			d.beat()
		} else if ctx.Err() == nil {
			d.cfg.Log.Debug("display away", zap.Error(err))
			d.shared.stand(standing{order: d.shared.current().number, reason: reasonNoDisplay})
			d.beat()
		}
		if !wait(ctx, againAfter) {
			return nil
		}
	}
	return nil
}

func (d *display) beat() {
	if d.cfg.Beat != nil {
		d.cfg.Beat()
	}
}

// serve is one connection. When it ends, the server takes back what was grabbed.
func (d *display) serve(ctx context.Context) error {
	conn, err := xgb.NewConnDisplay(d.cfg.Display)
	if err != nil {
		return err
	}
	defer conn.Close()
	*d = display{cfg: d.cfg, shared: d.shared, conn: conn, screen: xproto.Setup(conn).DefaultScreen(conn)}
	if err := d.claim(); err != nil {
		return err
	}
	d.idle = screensaver.Init(conn) == nil
	if d.banner, err = newBanner(conn, d.screen); err != nil {
		return err
	}
	events := make(chan xgb.Event, 64)
	reading, stop := context.WithCancel(ctx)
	pump := pumping(reading, conn, events)
	defer func() { stop(); conn.Close(); pump.Wait() }()
	return d.loop(ctx, events)
}

// claim makes this helper the only one of the display: a selection has one owner, and loses it when the owner's connection ends.
func (d *display) claim() error {
	atom, err := xproto.InternAtom(d.conn, false, uint16(len(selection)), selection).Reply()
	if err != nil {
		return err
	}
	owner, err := xproto.GetSelectionOwner(d.conn, atom.Atom).Reply()
	if err != nil {
		return err
	}
	if owner.Owner != xproto.WindowNone {
		return errTaken
	}
	id, err := xproto.NewWindowId(d.conn)
	if err != nil {
		return err
	}
	err = xproto.CreateWindowChecked(d.conn, 0, id, d.screen.Root, -1, -1, 1, 1, 0, xproto.WindowClassInputOnly, xproto.WindowClassCopyFromParent,
		xproto.CwOverrideRedirect, []uint32{1}).Check()
	if err != nil {
		return err
	}
	return xproto.SetSelectionOwnerChecked(d.conn, id, atom.Atom, xproto.TimeCurrentTime).Check()
}

const selection = "_TAPLINE_GATE"

// loop carries out orders until the connection or ctx ends.
func (d *display) loop(ctx context.Context, events <-chan xgb.Event) error {
	last := time.Now()
	for {
		if err := d.carryOut(); err != nil {
			return err
		}
		d.beat()
		timer := time.NewTimer(d.next())
		select {
		case <-ctx.Done():
			timer.Stop()
			return d.release()
		case e, ok := <-events:
			timer.Stop()
			if !ok {
				return errors.New("the X server has ended the connection")
			}
			d.event(e)
			continue
		case <-d.shared.orders:
			timer.Stop()
			continue
		case <-timer.C:
		}
		d.raises = 0
		if now := time.Now(); now.Sub(last) >= verifyEvery {
			d.lookForUse(now.Sub(last))
			last = now
		}
	}
}

// next is how long nothing has to be done.
func (d *display) next() time.Duration {
	if !d.down.IsZero() || d.carry.shut && !d.held && !d.byHand {
		return retryEvery
	}
	return verifyEvery
}

// lookForUse asks the server whether somebody used it within the last while. What comes in while the input is held is nobody's work.
func (d *display) lookForUse(while time.Duration) {
	if !d.idle || d.held {
		return
	}
	info, err := screensaver.QueryInfo(d.conn, xproto.Drawable(d.screen.Root)).Reply()
	if err == nil && time.Duration(info.MsSinceUserInput)*time.Millisecond < while {
		d.shared.touched()
	}
}

// pumping hands on the events of a connection until it ends.
func pumping(ctx context.Context, conn *xgb.Conn, events chan<- xgb.Event) *waiter {
	w := &waiter{}
	w.Go(func() {
		defer close(events)
		for {
			e, err := conn.WaitForEvent()
			if e == nil && err == nil {
				return
			}
			if e == nil {
				continue // the error of a request that nobody waits for
			}
			select {
			case events <- e:
			case <-ctx.Done():
				return
			}
		}
	})
	return w
}

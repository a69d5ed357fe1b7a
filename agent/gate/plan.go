package gate

import (
	"image"
	"image/color"

	"github.com/jezek/xgb/xproto"
	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
)

// plan is where everything of a banner is: the window on the screen, in it the button, and the rectangles that make the words.
type plan struct {
	x, y, width, height int
	words, alarm        []xproto.Rectangle
	button              xproto.Rectangle
}

const (
	leastHeight = 80 // pixels: some 20 mm on the usual small panel
	mostHeight  = 160
)

// lay lays a banner out on a screen. Words that have no room are drawn smaller.
func lay(o order, width, height int) plan {
	tall := min(max(height/12, leastHeight), mostHeight, height)
	margin := tall / 5
	var p plan
	for size := tall / 3; ; size = size * 4 / 5 {
		words, alarm := set(o.words, size), set(o.emergency, size)
		card := badge(tall)
		least := margin + card.width + margin + words.width + margin + alarm.width + 2*margin
		if least > width && size > 8 {
			continue
		}
		p = plan{width: min(least, width), height: tall}
		p.words = append(card.at(margin, (tall-card.height)/2), words.at(2*margin+card.width, (tall-words.height)/2)...)
		left := p.width - alarm.width - 2*margin
		p.button = box(left, 0, p.width-left, tall)
		p.alarm = alarm.at(left+margin, (tall-alarm.height)/2)
		break
	}
	p.x = (width - p.width) / 2
	if o.edge == "bottom" {
		p.y = height - tall
	}
	return p
}

// shape is something drawn in rectangles, from its own corner.
type shape struct {
	width, height int
	parts         []image.Rectangle
}

func (s shape) at(x, y int) []xproto.Rectangle {
	list := make([]xproto.Rectangle, 0, len(s.parts))
	for _, r := range s.parts {
		list = append(list, box(x+r.Min.X, y+r.Min.Y, r.Dx(), r.Dy()))
	}
	return list
}

func box(x, y, width, height int) xproto.Rectangle {
	return xproto.Rectangle{X: int16(x), Y: int16(y), Width: uint16(max(0, width)), Height: uint16(max(0, height))} //nolint:gosec // within a screen
}

// badge is a card with a clip, for those who do not read the words.
func badge(tall int) shape {
	unit := tall / 16
	r := func(x, y, w, h int) image.Rectangle { return image.Rect(x*unit, y*unit, (x+w)*unit, (y+h)*unit) }
	return shape{width: 8 * unit, height: 12 * unit, parts: []image.Rectangle{
		r(3, 0, 2, 2),
		r(0, 2, 8, 1), r(0, 11, 8, 1), r(0, 3, 1, 8), r(7, 3, 1, 8),
		r(3, 4, 2, 2), r(2, 6, 4, 2), r(2, 9, 4, 1),
	}}
}

// set sets a text in type of that size. What the font has no letter for is drawn as its box.
func set(text string, size int) shape {
	parsed, err := opentype.Parse(gobold.TTF)
	if err != nil {
		return shape{}
	}
	face, err := opentype.NewFace(parsed, &opentype.FaceOptions{Size: float64(size), DPI: 72, Hinting: font.HintingFull})
	if err != nil {
		return shape{}
	}
	defer face.Close()
	m := face.Metrics()
	s := shape{width: font.MeasureString(face, text).Ceil(), height: (m.Ascent + m.Descent).Ceil()}
	page := image.NewAlpha(image.Rect(0, 0, s.width+1, s.height+1))
	d := font.Drawer{Dst: page, Src: image.NewUniform(color.Opaque), Face: face, Dot: fixed.Point26_6{Y: m.Ascent}}
	d.DrawString(text)
	s.parts = runs(page)
	return s
}

// runs are the dark places of a page, row by row.
func runs(page *image.Alpha) []image.Rectangle {
	var list []image.Rectangle
	b := page.Bounds()
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			from := x
			for x < b.Max.X && page.AlphaAt(x, y).A >= 0x80 {
				x++
			}
			if x > from {
				list = append(list, image.Rect(from, y, x, y+1))
			}
		}
	}
	return list
}

package checkpoint

import (
	"fmt"
	"strconv"
	"strings"
)

// A tile has up to 256 hashes of 8 levels of the tree (C2SP tlog-tiles).
const (
	tileHeight = 8
	TileWidth  = 1 << tileHeight
)

// Tile names a tile of hashes or a bundle of entries.
type Tile struct {
	Entries bool   // leaves' data, not hashes
	Level   int    // 0 for bundles
	Index   uint64 // counts from the left of its level
	Width   int    // how many hashes or entries; TileWidth when full
}

// Path is the tile's path below the log, such as "tile/0/x001/234.p/5" or "tile/entries/067".
func (t Tile) Path() string {
	level := strconv.Itoa(t.Level)
	if t.Entries {
		level = "entries"
	}
	n := fmt.Sprintf("%03d", t.Index%1000)
	for rest := t.Index / 1000; rest > 0; rest /= 1000 {
		n = fmt.Sprintf("x%03d/%s", rest%1000, n)
	}
	path := "tile/" + level + "/" + n
	if t.Width < TileWidth {
		path += ".p/" + strconv.Itoa(t.Width)
	}
	return path
}

// ParseTile reads what Path writes, and nothing else.
func ParseTile(path string) (Tile, error) {
	bad := func() (Tile, error) {
		return Tile{}, malformed("%.80q: want tile/LEVEL/NUMBER or tile/entries/NUMBER, with .p/WIDTH behind it if it is not full", path)
	}
	parts := strings.Split(path, "/")
	if len(parts) < 3 || len(parts) > 12 || parts[0] != "tile" {
		return bad()
	}
	t := Tile{Entries: parts[1] == "entries", Width: TileWidth}
	if !t.Entries {
		level, err := strconv.ParseUint(parts[1], 10, 8)
		if err != nil || level > 63 {
			return bad()
		}
		t.Level = int(level)
	}
	number := parts[2:]
	if last := len(number) - 2; last >= 0 && strings.HasSuffix(number[last], ".p") {
		width, err := strconv.ParseUint(number[last+1], 10, 8)
		if err != nil || width == 0 {
			return bad()
		}
		t.Width = int(width)
		number = append(number[:last:last], strings.TrimSuffix(number[last], ".p"))
	}
	for _, three := range number {
		n, err := strconv.ParseUint(strings.TrimPrefix(three, "x"), 10, 64)
		if err != nil || n > 999 || t.Index > MaxSize/1000 {
			return bad()
		}
		t.Index = t.Index*1000 + n
	}
	if t.Path() != path {
		return bad()
	}
	return t, nil
}

// First is the first leaf below the tile.
func (t Tile) First() uint64 { return t.Index << (tileHeight * (t.Level + 1)) }

// In reports whether a log of a size has the tile at this width.
func (t Tile) In(size uint64) bool {
	if tileHeight*(t.Level+1) > 62 || t.Index > MaxSize>>(tileHeight*(t.Level+1)) {
		return false
	}
	hashes := size >> (tileHeight * t.Level)
	return t.Index*TileWidth+uint64(t.Width) <= hashes
}

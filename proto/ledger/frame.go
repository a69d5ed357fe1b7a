package ledger

import (
	"encoding/binary"
	"hash/crc32"
)

// A frame is an entry in a segment file. All numbers are little endian; a frame starts at a multiple of 8 bytes.
//
//	 0  length  uint32  bytes of data, at least 1; 0 = nothing was written from here on
//	 4  crc     uint32  CRC-32C of the length, then of all bytes from 8 to the end of the padding
//	 8  index   uint64  of the entry
//	16  back    uint32  how many entries of the same write come before this one
//	20  more    uint32  how many entries of the same Append call come after this one
//	24  data, then zeros up to a multiple of 8
//
// The index is in the frame so that a frame in the wrong place is seen. `more` lets recovery keep calls whole. `back` tells an
// unfinished write from damage: the sectors of one write reach the disk in any order, so a good frame may follow a bad one of the
// same write; but a write only starts after the one before it was flushed, so a good frame of a later write proves that
// the bad one was good once.
const (
	frameHead  = 24
	frameAlign = 8
	minFrame   = frameHead + frameAlign
)

type frame struct {
	index      Index
	back, more uint32
	data       []byte // aliases the parsed buffer
	size       int64  // of the whole frame with padding
}

// start is the index of the first entry of the write that the frame belongs to.
func (f frame) start() Index { return f.index - Index(f.back) }

// castagnoli is the polynomial of iSCSI and ext4, for which CPUs have an instruction. The hash package makes the table once.
func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// frameSize is the size in a segment of an entry of n bytes.
func frameSize(n int) int64 { return (frameHead + int64(n) + frameAlign - 1) &^ (frameAlign - 1) }

func appendFrame(b []byte, index Index, back, more uint32, data []byte) []byte {
	at := len(b)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(data)))
	b = append(b, 0, 0, 0, 0)
	b = binary.LittleEndian.AppendUint64(b, uint64(index))
	b = binary.LittleEndian.AppendUint32(b, back)
	b = binary.LittleEndian.AppendUint32(b, more)
	b = append(b, data...)
	for (len(b)-at)%frameAlign != 0 {
		b = append(b, 0)
	}
	binary.LittleEndian.PutUint32(b[at+4:], frameSum(b[at:]))
	return b
}

func frameSum(f []byte) uint32 {
	return crc32.Update(crc32.Update(0, castagnoli(), f[:4]), castagnoli(), f[8:])
}

// frameLen reads the size of the frame that b begins with, without checking more than that it could be one.
// 0 means that there is none.
func frameLen(b []byte) int64 {
	if len(b) < minFrame {
		return 0
	}
	n := binary.LittleEndian.Uint32(b)
	if n == 0 || n > maxSegment {
		return 0
	}
	return frameSize(int(n))
}

// frameIndex reads the index of the frame that b begins with, unchecked.
func frameIndex(b []byte) Index { return Index(binary.LittleEndian.Uint64(b[8:])) }

// parseFrame reads the frame that b begins with; ok only if it is whole and its checksum holds.
func parseFrame(b []byte) (f frame, ok bool) {
	size := frameLen(b)
	if size == 0 || size > int64(len(b)) {
		return frame{}, false
	}
	if binary.LittleEndian.Uint32(b[4:]) != frameSum(b[:size]) {
		return frame{}, false
	}
	n := frameHead + int(binary.LittleEndian.Uint32(b))
	if lastByte(b[n:size]) > 0 {
		return frame{}, false
	}
	f = frame{
		index: frameIndex(b),
		back:  binary.LittleEndian.Uint32(b[16:]),
		more:  binary.LittleEndian.Uint32(b[20:]),
		data:  b[frameHead:n:n],
		size:  size,
	}
	return f, f.index > Index(f.back)
}

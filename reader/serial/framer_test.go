package serial

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tapline/reader"
)

func TestFramesAreCutAsReadersSendThem(t *testing.T) {
	for _, tt := range []struct {
		sentence string
		chunks   []string
		want     []frame
	}{
		{"a line ends with CR", []string{"04A1\r"}, []frame{{text: "04A1"}}},
		{"CR LF is one end", []string{"04A1\r\n04A2\r\n"}, []frame{{text: "04A1"}, {text: "04A2"}}},
		{"a line comes in pieces", []string{"04", "A", "1\r"}, []frame{{text: "04A1"}}},
		{"a line without an end is no frame yet", []string{"04A1"}, nil},
		{"a line that is too long is told once and dropped", []string{"0123456789\rAB\r"}, []frame{{overlong: true}, {text: "AB"}}},
	} {
		t.Run(tt.sentence, func(t *testing.T) {
			f := framer{terminator: defaultTerminator, longest: 8}
			var got []frame
			for _, c := range tt.chunks {
				got = append(got, f.feed([]byte(c))...)
			}
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(frame{})); diff != "" {
				t.Errorf("frames (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFramesDecodeByTheConfiguredFormat(t *testing.T) {
	hexNumber := reader.NewNumber("hex", []byte{0x04, 0xA1, 0xB2}, 0)
	for _, tt := range []struct {
		sentence string
		cfg      Config
		text     string
		want     reader.Number // zero: not a badge
	}{
		{"hex in capitals", Config{}, "04A1B2", hexNumber},
		{"hex in small letters with colons", Config{}, "04:a1:b2", hexNumber},
		{"hex between STX and blanks", Config{}, "\x02 04A1B2 ", hexNumber},
		{"half a byte of hex is no badge", Config{}, "04A1B", reader.Number{}},
		{"other letters are no hex", Config{}, "04A1XY", reader.Number{}},
		{"a pattern takes what surrounds the number", Config{Pattern: `^UID=([0-9A-F]+);`}, "UID=04A1B2;ok", hexNumber},
		{"what the pattern does not find is no badge", Config{Pattern: `^UID=([0-9A-F]+);`}, "ERR 04A1B2", reader.Number{}},
		{"decimal drops leading zeros", Config{Format: Decimal}, "0001234", reader.NewNumber("decimal", []byte("1234"), 0)},
		{"only zeros are no badge", Config{Format: Decimal}, "0000", reader.Number{}},
		{"text stays as it is", Config{Format: Text}, "Müller-7", reader.NewNumber("text", []byte("Müller-7"), 0)},
		{"broken text is no badge", Config{Format: Text}, "a\xff", reader.Number{}},
	} {
		t.Run(tt.sentence, func(t *testing.T) {
			tt.cfg.Port = "test"
			s, err := New(tt.cfg)
			if err != nil {
				t.Fatal(err)
			}
			got, ok := s.dec.badge(frame{text: tt.text})
			if ok == tt.want.IsZero() {
				t.Fatalf("is a badge: %t", ok)
			}
			if ok && !got.Number.Equal(tt.want) {
				t.Error("it decodes to another number")
			}
		})
	}
}

func TestAWrongConfigurationNamesEveryFault(t *testing.T) {
	_, err := New(Config{Parity: "strange", DataBits: 9, StopBits: 3, Format: "bcd", Pattern: "x"})
	if err == nil {
		t.Fatal("it is accepted")
	}
	for _, want := range []string{"port", "parity", "data bits", "stop bits", "format", "pattern"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not name %s: %v", want, err)
		}
	}
}

// The law: however a stream is split into reads, the frames are the same, none is empty, overlong with text, or longer than allowed.
func FuzzFramer(f *testing.F) {
	f.Add([]byte("04A1\r\n04A2\r"), uint8(3))
	f.Add([]byte("0123456789012345\r\x03AB\n"), uint8(1))
	f.Fuzz(func(t *testing.T, data []byte, split uint8) {
		const longest = 8
		whole := framer{terminator: defaultTerminator, longest: longest}
		want := whole.feed(data)
		parts := framer{terminator: defaultTerminator, longest: longest}
		var got []frame
		step := int(split)%7 + 1
		for rest := data; len(rest) > 0; {
			n := min(step, len(rest))
			got = append(got, parts.feed(rest[:n])...)
			rest = rest[n:]
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(frame{})); diff != "" {
			t.Fatalf("frames differ by split:\n%s", diff)
		}
		for _, fr := range got {
			if (fr.text == "") != fr.overlong || len(fr.text) > longest || strings.ContainsAny(fr.text, defaultTerminator) {
				t.Fatalf("bad frame %+v", fr)
			}
		}
	})
}

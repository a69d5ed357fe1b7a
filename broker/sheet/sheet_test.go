package sheet_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"strings"
	"testing"
	"time"

	"tapline/broker/directory"
	"tapline/broker/roster"
	"tapline/broker/sheet"
	"tapline/broker/vault"
)

func options(t testing.TB) sheet.Options {
	t.Helper()
	v, err := vault.New(make([]byte, vault.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	return sheet.Options{Directory: directory.Directory{Vault: v}, Zone: zone}
}

// said is a listing in words.
func said(l roster.Listing) string {
	var b strings.Builder
	for _, p := range l.People {
		e := p.Entry
		fmt.Fprintf(&b, "%s %q %s", e.GetId(), e.GetDisplayName(), strings.Join(e.GetRoles(), "+"))
		for _, c := range e.GetCertifications() {
			fmt.Fprintf(&b, " cert %s", c.GetName())
			if c.GetNotAfter() != nil {
				fmt.Fprintf(&b, " until %s", c.GetNotAfter().AsTime().Format("2006-01-02T15:04"))
			}
		}
		if e.GetSuspended() {
			b.WriteString(" suspended")
		}
		for _, x := range p.Badges {
			fmt.Fprintf(&b, " badge %s/%d %q", x.Technology, x.Assurance, x.Label)
		}
		b.WriteString("\n")
	}
	return b.String()
}

func TestFilesAsSpreadsheetsWriteThem(t *testing.T) {
	two := "p-1 \"Anna B.\" operator+setter badge iso14443a/1 \"\"\np-2 \"Ben, C.\" operator\n"
	for says, row := range map[string]struct{ file, want string }{
		"commas":                   {"id,display_name,roles,badge\np-1,Anna B.,operator|setter,04A1B2C3\np-2,\"Ben, C.\",operator,\n", two},
		"semicolons":               {"id;display_name;roles;badge\r\np-1;Anna B.;operator|setter;04A1B2C3\r\np-2;Ben, C.;operator;\r\n", two},
		"tabs":                     {"id\tdisplay_name\troles\tbadge\np-1\tAnna B.\toperator|setter\t04A1B2C3\np-2\tBen, C.\toperator\t", two},
		"a byte order mark":        {"\ufeffid,display_name,roles,badge\np-1,Anna B.,operator|setter,04A1B2C3\np-2,\"Ben, C.\",operator,\n", two},
		"Excel's own line":         {"sep=;\r\nid;display_name;roles;badge\r\np-1;Anna B.;operator|setter;04A1B2C3\r\np-2;Ben, C.;operator;\r\n", two},
		"headers with blanks":      {"ID,Display Name,Roles,Badge\np-1,Anna B.,operator | setter,04 A1 B2 C3\np-2,\"Ben, C.\",operator,\n", two},
		"blank lines":              {"id,display_name,roles,badge\n\np-1,Anna B.,operator|setter,04A1B2C3\n,,,\np-2,\"Ben, C.\",operator,\n,,,\n", two},
		"several badges":           {"id,badge,badge_label\np-1,04A1B2C3,blue\np-1,h10301:12:345,white\n", "p-1 \"\"  badge iso14443a/1 \"blue\" badge wiegand/0 \"white\"\n"},
		"a badge's format":         {"id,badge_format,badge\np-1,h10301,12:345\n", "p-1 \"\"  badge wiegand/0 \"\"\n"},
		"what a reader would say":  {"id,badge,badge_technology,badge_assurance\np-1,04A1B2C3,desfire,3\n", "p-1 \"\"  badge desfire/3 \"\"\n"},
		"a day ends in its zone":   {"id,certifications\np-1,crane=2027-03-31|press\n", "p-1 \"\"  cert crane until 2027-03-31T22:00 cert press\n"},
		"a time is as it is":       {"id,certifications\np-1,crane=2027-03-31T14:00:00+02:00\n", "p-1 \"\"  cert crane until 2027-03-31T12:00\n"},
		"somebody suspended":       {"id,suspended\np-1,Yes\np-2,no\n", "p-1 \"\"  suspended\np-2 \"\" \n"},
		"a line break in a cell":   {"id,display_name\np-1,\"Anna\"\n", "p-1 \"Anna\" \n"},
		"no line but the header":   {"id,display_name\n", ""},
		"one person on more lines": {"id,display_name,badge\np-1,Anna,04A1B2C3\np-2,Ben,\np-1,,04A1B2C4\n", "p-1 \"Anna\"  badge iso14443a/1 \"\" badge iso14443a/1 \"\"\np-2 \"Ben\" \n"},
	} {
		t.Run(says, func(t *testing.T) {
			l, faults := sheet.Read([]byte(row.file), options(t))
			if len(faults) > 0 || said(l) != row.want {
				t.Errorf("got %v\n%s\nwant\n%s", faults, said(l), row.want)
			}
		})
	}
}

func TestFaultsHaveLineAndColumn(t *testing.T) {
	for says, row := range map[string]struct {
		file, column, problem string
		line                  int
	}{
		"nothing":                    {"", "", "empty", 1},
		"UTF-16":                     {"\xff\xfei\x00d\x00", "", "UTF-16", 1},
		"another encoding":           {"id,display_name\np-1,Anna\np-2,J\xfcrgen\n", "", "not UTF-8", 3},
		"no ID":                      {"display_name\nAnna\n", "id", "missing", 1},
		"a column nobody knows":      {"id,phone\np-1,12\n", "phone", "no such column", 1},
		"a PIN":                      {"id,pin\np-1,1234\n", "pin", "never taken", 1},
		"a column twice":             {"id,roles,roles\np-1,a,b\n", "roles", "twice", 1},
		"a label without a badge":    {"id,badge_label\np-1,blue\n", "badge_label", "without a column badge", 1},
		"an empty ID":                {"id,roles\n,operator\n", "id", "empty", 2},
		"an ID that is none":         {"id\np 1\n", "id", "letters", 2},
		"a cell too many":            {"id,roles\np-1,a,b\n", "", "3 columns", 2},
		"a cell too few":             {"id,roles\np-1,a\np-2\n", "", "1 columns", 3},
		"a date in another form":     {"id,certifications\np-1,crane=31.3.2027\n", "certifications", "2027-03-31", 2},
		"a rank that is none":        {"id,seniority\np-1,high\n", "seniority", "whole number", 2},
		"a yes that is none":         {"id,suspended\np-1,maybe\n", "suspended", "yes or no", 2},
		"a badge that is none":       {"id,badge\np-1,04A1\n", "badge", "4 to 32 bytes", 2},
		"an assurance nobody knows":  {"id,badge,badge_assurance\np-1,04A1B2C3,9\n", "badge", "assurance", 2},
		"another name further on":    {"id,display_name,badge\np-1,Anna,04A1B2C3\np-1,Ben,04A1B2C4\n", "display_name", "differs from line 2", 3},
		"the person again":           {"id,display_name\np-1,Anna\np-1,Anna\n", "id", "on line 2 already", 3},
		"a quote that stays open":    {"id,display_name\np-1,\"Anna\np-2,Ben\n", "", "quotes", 2},
		"after a cell of many lines": {"id,display_name\np-1,\"An\nna\"\np-2,x\n,y\n", "display_name", "one line", 2},
		"after Excel's own line":     {"sep=;\nid;roles\n;a\n", "id", "empty", 3},
	} {
		t.Run(says, func(t *testing.T) {
			_, faults := sheet.Read([]byte(row.file), options(t))
			if len(faults) == 0 {
				t.Fatal("no fault")
			}
			f := faults[0]
			if f.Line != row.line || f.Column != row.column || !strings.Contains(f.Problem, row.problem) {
				t.Errorf("got line %d, %s: %s; want line %d, %s: %s", f.Line, f.Column, f.Problem, row.line, row.column, row.problem)
			}
		})
	}
}

func TestEveryFaultIsNamedUpToABound(t *testing.T) {
	_, faults := sheet.Read([]byte("id,seniority,suspended\np-1,x,maybe\np-2,1,no\np-3,y,no\n"), options(t))
	if len(faults) != 3 || faults[2].Line != 4 {
		t.Errorf("got %v", faults)
	}
	_, faults = sheet.Read([]byte("id\n"+strings.Repeat("p 1\n", 5000)), options(t))
	if len(faults) != sheet.MaxFaults {
		t.Errorf("%d faults", len(faults))
	}
}

// TestTheLargestFileIsReadQuickly also bounds what a file may cost: 100,000 lines within ten seconds on a busy machine.
func TestTheLargestFileIsReadQuickly(t *testing.T) {
	var b bytes.Buffer
	b.WriteString("id,display_name,roles,badge\n")
	for i := range sheet.MaxLines {
		fmt.Fprintf(&b, "p-%d,Person %d,operator|setter,04%012X\n", i, i, i)
	}
	began := time.Now()
	l, faults := sheet.Read(b.Bytes(), options(t))
	if len(faults) > 0 || len(l.People) != sheet.MaxLines {
		t.Fatalf("%d people, %v", len(l.People), faults)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
	b.WriteString("one,too,many,\n")
	if _, faults := sheet.Read(b.Bytes(), options(t)); len(faults) == 0 || !strings.Contains(faults[0].Problem, "more than 100000 lines") {
		t.Errorf("got %v", faults)
	}
}

func TestAPackedFileThatGrowsTooLargeIsRefused(t *testing.T) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	for range sheet.MaxBytes>>20 + 1 {
		if _, err := z.Write(make([]byte, 1<<20)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := sheet.Unpack(b.Bytes()); err == nil || !strings.Contains(err.Error(), "larger than 16 MiB") {
		t.Errorf("got %v", err)
	}
	if _, err := sheet.Unpack([]byte{0x1f, 0x8b, 1}); err == nil {
		t.Error("a broken file was unpacked")
	}
}

// The law: a file either has a fault with a line that is in it, or every person of its listing is one that the directory takes; and no fault shows a badge
// number.
func FuzzRead(f *testing.F) {
	f.Add([]byte("id,display_name,roles,badge\np-1,Anna,operator,04A1B2C3D4\n"))
	f.Add([]byte("sep=;\r\nid;certifications;badge_not_after;badge\r\np-1;a=2027-01-01;2027-01-01;text:04A1B2C3D4\r\n"))
	f.Add([]byte("\ufeffid\tsuspended\n\"p\n-1\"\tyes\n"))
	f.Fuzz(func(t *testing.T, file []byte) {
		l, faults := sheet.Read(file, options(t))
		lines := bytes.Count(file, []byte("\n")) + 1
		for _, fault := range faults {
			if fault.Line < 1 || fault.Line > lines || fault.Problem == "" {
				t.Errorf("line %d of %d: %q", fault.Line, lines, fault.Problem)
			}
			if bytes.Contains(file, []byte("04A1B2C3D4")) && strings.Contains(fault.Problem, "04A1B2C3D4") && fault.Column == "badge" {
				t.Errorf("a fault shows the number: %s", fault.Problem)
			}
		}
		if len(faults) > 0 {
			return
		}
		for _, p := range l.People {
			if err := directory.CheckPerson(p.Entry); err != nil {
				t.Errorf("%s: %v", p.At, err)
			}
		}
	})
}

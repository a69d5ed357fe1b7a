package ldap

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-ldap/ldap/v3"
	"github.com/google/uuid"
)

// Escape makes a text safe within a filter (RFC 4515, section 3).
func Escape(text string) string { return ldap.EscapeFilter(text) }

// EscapeBytes makes any bytes safe within a filter: each as \xx.
func EscapeBytes(b []byte) string {
	var out strings.Builder
	for _, c := range b {
		fmt.Fprintf(&out, `\%02x`, c)
	}
	return out.String()
}

// CheckFilter says what is wrong with a filter.
func CheckFilter(filter string) error {
	if len(filter) > 4096 || strings.Count(filter, "(") > 128 {
		return errors.New("longer or deeper than any filter needs to be")
	}
	_, err := ldap.CompileFilter(filter)
	return err
}

// NormalDN is a DN in the one form that is compared; DNs name the same entry if these are equal. Values are compared without regard to case, as
// nearly all are in nearly every schema.
func NormalDN(dn string) (string, error) {
	if len(dn) > maxDN || !utf8.ValidString(dn) { // bytes that are no text would all be read as the same mark
		return "", fmt.Errorf("a DN of more than %d bytes, or not in UTF-8", maxDN)
	}
	parsed, err := ldap.ParseDN(dn)
	if err != nil {
		return "", fmt.Errorf("not a DN: %q", dn[:min(len(dn), maxSaid)])
	}
	for _, rdn := range parsed.RDNs {
		for _, part := range rdn.Attributes {
			if !utf8.ValidString(part.Type) || !utf8.ValidString(part.Value) {
				return "", fmt.Errorf("a DN that is not in UTF-8: %q", dn[:min(len(dn), maxSaid)])
			}
			part.Type, part.Value = strings.ToLower(part.Type), strings.ToLower(part.Value)
		}
	}
	return parsed.String(), nil
}

// maxDN bounds a DN: comparing two takes time with the square of their parts.
const maxDN = 4096

// Below reports whether dn is base or lies below it.
func Below(dn, base string) bool {
	if len(dn) > maxDN || len(base) > maxDN {
		return false
	}
	d, err := ldap.ParseDN(dn)
	if err != nil {
		return false
	}
	b, err := ldap.ParseDN(base)
	return err == nil && (b.EqualFold(d) || b.AncestorOfFold(d))
}

// GUID reads an objectGUID as Active Directory stores it: the first three fields have their bytes turned round.
func GUID(b []byte) (uuid.UUID, error) {
	if len(b) != len(uuid.UUID{}) {
		return uuid.UUID{}, fmt.Errorf("a GUID has 16 bytes, this one %d", len(b))
	}
	return turned(b), nil
}

// GUIDBytes is GUID the other way, for filters.
func GUIDBytes(id uuid.UUID) []byte {
	b := turned(id[:])
	return b[:]
}

func turned(b []byte) (id uuid.UUID) {
	binary.BigEndian.PutUint32(id[0:], binary.LittleEndian.Uint32(b[0:]))
	binary.BigEndian.PutUint16(id[4:], binary.LittleEndian.Uint16(b[4:]))
	binary.BigEndian.PutUint16(id[6:], binary.LittleEndian.Uint16(b[6:]))
	copy(id[8:], b[8:])
	return id
}

// SID reads a security identifier (MS-DTYP, section 2.4.2.2) as S-1-5-21-...
func SID(b []byte) (string, error) {
	if len(b) < 8 || len(b) != 8+4*int(b[1]) || b[1] > 15 || b[0] != 1 {
		return "", errors.New("not a security identifier")
	}
	authority := uint64(binary.BigEndian.Uint16(b[2:]))<<32 | uint64(binary.BigEndian.Uint32(b[4:]))
	out := "S-1-" + strconv.FormatUint(authority, 10)
	for at := 8; at < len(b); at += 4 {
		out += "-" + strconv.FormatUint(uint64(binary.LittleEndian.Uint32(b[at:])), 10)
	}
	return out, nil
}

// FileTime reads a time as Active Directory writes it: tenths of microseconds since 1601. Zero, and the greatest number, are never.
func FileTime(text string) (time.Time, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	switch {
	case err != nil || n < 0:
		return time.Time{}, fmt.Errorf("not a time: %q", text[:min(len(text), 40)])
	case n == 0 || n == math.MaxInt64:
		return time.Time{}, nil
	}
	const toUnix, second = 11_644_473_600, 10_000_000
	return time.Unix(n/second-toUnix, n%second*100).UTC(), nil
}

// GeneralizedTime reads a time of X.680, as RFC 4517 section 3.3.13 has it: YYYYMMDDHH[MM[SS]][.fraction](Z | +hhmm).
func GeneralizedTime(text string) (time.Time, error) {
	bad := fmt.Errorf("not a time: %q", text[:min(len(text), 40)])
	whole, zone := text, ""
	if i := strings.IndexAny(text, "Z+-"); i >= 0 {
		whole, zone = text[:i], text[i:]
	}
	whole, fraction, fractional := strings.Cut(strings.ReplaceAll(whole, ",", "."), ".")
	layout, unit := "", time.Duration(0)
	switch len(whole) {
	case 10:
		layout, unit = "2006010215", time.Hour
	case 12:
		layout, unit = "200601021504", time.Minute
	case 14:
		layout, unit = "20060102150405", time.Second
	default:
		return time.Time{}, bad
	}
	if zone == "" || zone != "Z" && len(zone) != 3 && len(zone) != 5 {
		return time.Time{}, bad
	}
	zoneLayout := map[int]string{1: "Z0700", 3: "-07", 5: "-0700"}[len(zone)]
	t, err := time.Parse(layout+zoneLayout, whole+zone)
	if err != nil {
		return time.Time{}, bad
	}
	if fractional {
		if fraction == "" || len(fraction) > 18 || strings.Trim(fraction, "0123456789") != "" {
			return time.Time{}, bad
		}
		f, err := strconv.ParseFloat("0."+fraction, 64)
		if err != nil {
			return time.Time{}, bad
		}
		t = t.Add(time.Duration(f * float64(unit)))
	}
	return t.UTC(), nil
}

// Common is the lowest entry that both DNs lie below or are; empty if there is none.
func Common(one, other string) string {
	a, err := ldap.ParseDN(one)
	if err != nil {
		return ""
	}
	b, err := ldap.ParseDN(other)
	if err != nil {
		return ""
	}
	n := 0
	for n < len(a.RDNs) && n < len(b.RDNs) && a.RDNs[len(a.RDNs)-1-n].EqualFold(b.RDNs[len(b.RDNs)-1-n]) {
		n++
	}
	return (&ldap.DN{RDNs: a.RDNs[len(a.RDNs)-n:]}).String()
}

package grant

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"tapline/proto/record"
)

// KeySize is the length of a site's and a station's badge key, in bytes.
const KeySize = 32

// refSize is how many bytes of the HMAC a reference keeps: enough that no two badges of a plant meet by chance.
const refSize = 16

// StationKey derives a station's badge key from the site's (HKDF-SHA256, RFC 5869). A station gets its own and never the site's.
func StationKey(site []byte, station record.StationID) ([]byte, error) {
	key, err := hkdf.Key(sha256.New, site, nil, "tapline badge key v1\x00"+string(station), KeySize)
	if err != nil {
		return nil, fmt.Errorf("derive badge key of %s: %w", station, err)
	}
	return key, nil
}

// Ref is the keyed hash of a badge number in canonical form: HMAC-SHA256 under the station's key, its first 16 bytes in hex.
func Ref(stationKey, canonical []byte) record.BadgeRef {
	h := hmac.New(sha256.New, stationKey)
	h.Write(canonical)
	return record.BadgeRef(hex.EncodeToString(h.Sum(nil)[:refSize]))
}

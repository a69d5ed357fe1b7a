// Package alarm names what somebody must look at, and says for each kind what to do.
//
// The broker's parts raise alarms inside the update that found the trouble, so that there is no trouble without its alarm. Of one kind and
// station at most one is open: a flood is counted, not listed. Alarms are for people; nothing in the broker acts on one, and closing one
// changes nothing but the alarm.
package alarm

import (
	"fmt"
	"time"

	"github.com/google/uuid"

	"tapline/broker/store"
	"tapline/proto/record"
)

// Kind is a short stable word for a sort of trouble.
type Kind string

// The kinds of alarm.
const (
	Clone          Kind = "clone"           // two copies of one station
	Away           Kind = "away"            // a station was away for so long that its return needs approval
	StoreBehind    Kind = "store-behind"    // a station knows more than the store: it was restored from a backup
	BadRecord      Kind = "bad-record"      // records that do not verify
	Fork           Kind = "fork"            // two histories of one chain
	Gap            Kind = "gap"             // records are missing that the station says it sent
	HeadBack       Kind = "head-back"       // a station's journal is shorter than what it sent
	PolicyError    Kind = "policy-error"    // a policy could not be evaluated; the tap was denied
	LeaseConflict  Kind = "lease-conflict"  // an account was used offline while somebody else held it
	RotationStuck  Kind = "rotation-stuck"  // the secret of a shared account could not be changed
	SetSecret      Kind = "set-secret"      // a person must set the secret of a shared account
	Session        Kind = "session"         // records of a session that do not fit one another
	LogFork        Kind = "log-fork"        // the Merkle log is not the one that was published
	LogLate        Kind = "log-late"        // records wait for a checkpoint of the Merkle log
	StoreUnwritten Kind = "store-unwritten" // the store took no writes for a while: its disk was full, or failed
	VaultAway      Kind = "vault-away"      // the outside vault that keeps secrets of shared accounts cannot be used
	SyncFailed     Kind = "sync-failed"     // people are not as the outside directory has them
	SyncHeld       Kind = "sync-held"       // by the outside directory too many people would lose their access at once
	SyncEntry      Kind = "sync-entry"      // entries of the outside directory that cannot be taken as they are
	// EmergencyUnclaimed: not enough people have answered for an emergency in time.
	EmergencyUnclaimed Kind = "emergency-unclaimed"
)

func (k Kind) hint() string {
	switch k {
	case Clone:
		return "tapctl station show tells the copies; find out which one is real, then tapctl station release it"
	case Away:
		return "if the machine is the one you know, tapctl station approve it; it then comes back by itself"
	case StoreBehind:
		return "was the store restored from a backup? Look through what changed since: revocations and badges may have to be made again"
	case BadRecord:
		return "export the station's records and run tapaudit on them; keep the station's disk"
	case Fork:
		return "the station's disk was restored from a copy, or somebody rewrote its journal: keep the disk, then enrol the station anew"
	case Gap:
		return "was the broker restored from a backup? The records may still be in the station's journal: keep its disk"
	case HeadBack:
		return "the station's journal was cut or its disk restored from a copy: keep the disk, then enrol the station anew"
	case PolicyError:
		return "correct the policy; tapctl tells which rule failed"
	case LeaseConflict:
		return "somebody worked offline under an account that was held elsewhere: ask both people"
	case RotationStuck:
		return "see tapctl account secret status; the broker goes on trying. If the account has another secret than it thinks: tapctl account secret set"
	case SetSecret:
		return "set a new secret where it counts, then tell the broker: tapctl account secret set ACCOUNT"
	case Session:
		return "see the station's records around that time"
	case LogFork:
		return "stop every broker on the store; it was put back from an older copy, or changed: put back one that is not older than DATA/checkpoint"
	case LogLate:
		return "the broker's log says why; tapbroker log verify finds damage"
	case StoreUnwritten:
		return "make room, or see to the disk: stations decided alone meanwhile, and send what they wrote"
	case VaultAway:
		return "unseal or start it; tapbroker check asks it and says what is wrong. The alarm goes when it is back"
	case SyncFailed:
		return "tapctl sync status; tapbroker check asks the directory and says what is wrong"
	case SyncHeld:
		return "tapctl sync run --dry-run says who; if that is meant, tapctl sync accept"
	case EmergencyUnclaimed:
		return "tapctl emergency list; two people answer for it by a tap at the station, after \"I take responsibility\" there or tapagent emergency claim"
	case SyncEntry:
		return "tapctl sync status lists them; correct them in the directory"
	}
	return ""
}

// Raise raises an alarm at a station; an empty station means the broker itself.
func Raise(tx *store.Tx, kind Kind, station record.StationID, now time.Time, format string, args ...any) error {
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("name alarm: %w", err)
	}
	return tx.Raise(store.Alarm{
		ID: id.String(), Kind: string(kind), Station: station, At: now, What: fmt.Sprintf(format, args...), Hint: kind.hint(),
	})
}

// Over closes the open alarms of a kind at a station whose cause the broker itself sees gone.
func Over(tx *store.Tx, kind Kind, station record.StationID, now time.Time, note string) error {
	open, err := tx.Alarms(true, store.Page{Size: 10_000})
	if err != nil {
		return err
	}
	for _, a := range open {
		if a.Kind == string(kind) && a.Station == station {
			if _, err := tx.CloseAlarm(a.ID, "broker", note, now); err != nil {
				return err
			}
		}
	}
	return nil
}

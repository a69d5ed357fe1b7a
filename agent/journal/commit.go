package journal

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"

	"go.uber.org/zap"

	"tapline/proto/ledger"
	"tapline/proto/record"
)

// maxBatch is how many records are appended at once: 256 records of the largest size still fit into one segment.
const maxBatch = 128

// commit signs and appends batch, in order, and answers its writers. On an error the records from the first unanswered on are not written
// and the chain stands where it stood before them.
func (j *Journal) commit(batch []*request, reserved bool) error {
	for len(batch) > 0 {
		n := min(len(batch), maxBatch)
		if err := j.commitSome(batch[:n], reserved); err != nil {
			return err
		}
		batch = batch[n:]
	}
	return nil
}

// commitSome is one append. What was not durable must leave no trace, so the chain is put back to where it stood.
func (j *Journal) commitSome(batch []*request, reserved bool) error {
	before, key, retired := j.chain.Head(), j.key, len(j.retired)
	envelopes, err := j.sign(batch)
	if err == nil && len(envelopes) > 0 {
		err = j.append(before.Seq+1, envelopes, reserved)
	}
	if err != nil {
		j.retired = j.retired[:retired]
		j.key = key
		chain, resume := record.ResumeChain(j.statement, before)
		j.chain = chain
		return errors.Join(err, resume)
	}
	if &key[0] != &j.key[0] {
		clear(key)
	}
	j.publish()
	for _, r := range batch {
		r.answer(r.seq, nil)
	}
	j.destroyRetired()
	return nil
}

// sign gives the envelopes of batch with the seals that fall due between them. A statement that can be no record is answered here and left out.
func (j *Journal) sign(batch []*request) ([][]byte, error) {
	var envelopes [][]byte
	for _, r := range batch {
		if j.chain.SealDue(r.payload.Time.Wall) {
			seal, err := j.seal(r.payload.Time)
			switch {
			case err == nil:
				envelopes = append(envelopes, seal.Bytes())
			case errors.Is(err, errKeyStore) && !j.overdue(r):
				j.log.Warn("epoch not sealed, trying again with the next record", zap.Error(err))
			default:
				return nil, err
			}
		}
		e, err := j.chain.Next(r.payload, j.key)
		if err != nil {
			j.log.Error("record refused", zap.String("type", string(r.payload.Type)), zap.Error(err))
			r.answer(0, err)
			continue
		}
		if err := j.chain.Commit(e); err != nil {
			return nil, err
		}
		r.seq = j.chain.Head().Seq
		envelopes = append(envelopes, e.Bytes())
	}
	return envelopes, nil
}

// overdue reports whether the epoch is past its last limit, so that nothing but a seal fits any more.
func (j *Journal) overdue(r *request) bool {
	_, err := j.chain.Next(r.payload, j.key)
	return errors.Is(err, record.ErrSealDue)
}

// append makes the records durable. It never waits for a place in line: this goroutine is the ledger's only writer.
func (j *Journal) append(first record.Seq, envelopes [][]byte, reserved bool) error {
	add := j.ledger.Append
	if reserved {
		add = j.ledger.AppendReserved
	}
	index, err := add(context.Background(), envelopes...)
	if err == nil && index != ledger.Index(first) {
		err = fmt.Errorf("%w: record %d became entry %d", ErrDamaged, first, index)
	}
	return err
}

// publish shows the new head to Status and to the beats.
func (j *Journal) publish() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.head = j.chain.Head()
}

// sealIfDue seals an epoch in which nothing is written: empty epochs are sealed too.
func (j *Journal) sealIfDue() {
	if j.trouble != nil {
		return
	}
	if !j.chain.SealDue(j.cfg.Clock.Wall()) {
		return
	}
	before, key := j.chain.Head(), j.key
	seal, err := j.seal(j.cfg.Clock.Stamp())
	if err == nil {
		err = j.append(before.Seq+1, [][]byte{seal.Bytes()}, false)
	}
	if err != nil {
		j.key, j.retired = key, nil
		j.chain, _ = record.ResumeChain(j.statement, before) // the same head as it had
		j.degrade(err)
		return
	}
	clear(key)
	j.publish()
	j.destroyRetired()
}

// seal ends the epoch: the next key is in the key store before the seal that names it is written.
func (j *Journal) seal(now record.Time) (record.Envelope, error) {
	epoch := j.chain.Head().Epoch
	next, err := j.nextKey(epoch + 1)
	if err != nil {
		return record.Envelope{}, fmt.Errorf("%w: %w", errKeyStore, err)
	}
	e, err := j.chain.Seal(record.Payload{Time: now}, j.key, record.PublicKeyOf(next))
	if err == nil {
		err = j.chain.Commit(e)
	}
	if err != nil {
		return record.Envelope{}, fmt.Errorf("seal epoch %d: %w", epoch, err)
	}
	j.key = next
	j.retired = append(j.retired, epoch)
	return e, nil
}

var errKeyStore = errors.New("key store")

// nextKey makes the key of an epoch, or takes the one that an attempt before left: it was never used, and may be the one that a seal on the disk names.
func (j *Journal) nextKey(epoch record.Epoch) (ed25519.PrivateKey, error) {
	if key, err := readKey(j.cfg.Keys, epoch); err == nil {
		return key, nil
	}
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, err
	}
	if err := j.cfg.Keys.Put(KeyName(epoch), key.Seed()); err != nil {
		return nil, fmt.Errorf("store the key of epoch %d: %w", epoch, err)
	}
	return key, nil
}

// destroyRetired destroys the keys of sealed epochs. One that cannot be destroyed now is tried again with the next record, and at the next start.
func (j *Journal) destroyRetired() {
	for len(j.retired) > 0 {
		if err := j.cfg.Keys.Delete(KeyName(j.retired[0])); err != nil {
			j.log.Warn("old record key not destroyed", zap.Uint64("epoch", uint64(j.retired[0])), zap.Error(err))
			return
		}
		j.retired = j.retired[1:]
	}
}

func readKey(keys Keys, epoch record.Epoch) (ed25519.PrivateKey, error) {
	b, err := keys.Get(KeyName(epoch))
	if err != nil {
		return nil, err
	}
	if len(b) != ed25519.SeedSize {
		return nil, fmt.Errorf("key of epoch %d has %d bytes", epoch, len(b))
	}
	return ed25519.NewKeyFromSeed(b), nil
}

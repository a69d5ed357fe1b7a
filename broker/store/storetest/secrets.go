package storetest

import (
	"errors"
	"fmt"
	"testing"

	"tapline/broker/store"
)

func (e Engine) secrets(t *testing.T) {
	t.Run("the vault's root key is there under each master key until the others are dropped", func(t *testing.T) {
		do(t, e.fresh(t), func(tx *store.Tx) error {
			var errs []error
			for _, k := range []store.VaultKey{
				{Master: "m1", Wrapped: []byte("a"), MadeAt: begin()},
				{Master: "m2", Wrapped: []byte("b"), MadeAt: begin()},
				{Master: "m2", Wrapped: []byte("c"), MadeAt: begin()},
			} {
				errs = append(errs, tx.PutVaultKey(k))
			}
			keys, err := tx.VaultKeys()
			if len(keys) != 2 || string(keys[1].Wrapped) != "c" || !keys[0].MadeAt.Equal(begin()) {
				errs = append(errs, fmt.Errorf("read back: %+v", keys))
			}
			n, err2 := tx.DropVaultKeys("m2")
			keys, err3 := tx.VaultKeys()
			if n != 1 || len(keys) != 1 || keys[0].Master != "m2" {
				errs = append(errs, fmt.Errorf("dropped %d, left %+v", n, keys))
			}
			return errors.Join(append(errs, err, err2, err3)...)
		})
	})
}

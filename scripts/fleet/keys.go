package fleet

import (
	"fmt"
	"sync"

	"tapline/agent/keystore"
)

// keys is a keystore in memory.
type keys struct {
	mu   sync.Mutex // guards what follows
	kept map[string][]byte
}

// Get implements keystore.Store.
func (k *keys) Get(name string) ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	secret, ok := k.kept[name]
	if !ok {
		return nil, fmt.Errorf("key %s: %w", name, keystore.ErrNotFound)
	}
	return secret, nil
}

// Put implements keystore.Store.
func (k *keys) Put(name string, secret []byte) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.kept == nil {
		k.kept = map[string][]byte{}
	}
	k.kept[name] = append([]byte(nil), secret...)
	return nil
}

// Delete implements keystore.Store.
func (k *keys) Delete(name string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.kept, name)
	return nil
}

// Where implements keystore.Store.
func (k *keys) Where() string { return "memory" }

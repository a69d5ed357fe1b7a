package tlog

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"tapline/proto/checkpoint"
)

// FileName is the published checkpoint's name in the data folder.
const FileName = "checkpoint"

// ReadFile reads the checkpoint in the data folder: the newest that this broker has seen published. ok is false if there is none.
func ReadFile(data string) (signed []byte, c checkpoint.Checkpoint, ok bool, err error) {
	path := filepath.Join(data, FileName)
	signed, err = os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, c, false, nil
	}
	if err != nil {
		return nil, c, false, fmt.Errorf("read published checkpoint: %w", err)
	}
	if c, err = checkpoint.Read(signed); err != nil {
		return nil, c, false, fmt.Errorf("published checkpoint %s: %w", path, err)
	}
	return signed, c, true, nil
}

// writeFile puts a checkpoint in the place of an older one, whole or not at all: create, write, fsync, rename, fsync of the folder.
func writeFile(data string, signed []byte) error {
	f, err := os.CreateTemp(data, FileName+".new-*")
	if err != nil {
		return fmt.Errorf("write checkpoint: %w", err)
	}
	_, err = f.Write(signed)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), filepath.Join(data, FileName))
	}
	if err == nil {
		err = syncFolder(data)
	}
	if err != nil {
		_ = os.Remove(f.Name()) // gone already when the rename was done
		return fmt.Errorf("write checkpoint: %w", err)
	}
	return nil
}

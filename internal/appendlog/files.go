package appendlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"syscall"
)

// lockFile opens a file and locks it for this process, until it is closed or the process ends.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the append log: %w", err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return f, nil
	}
	f.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, fmt.Errorf("%w in %s; give each server a data directory of its own, or stop the other one", ErrLocked, filepath.Dir(path))
	}
	return nil, fmt.Errorf("lock the append log: %w", err)
}

// replaceFile puts a file in place, whole or not at all, and on the disk.
func replaceFile(path string, content []byte) error {
	temporary := path + ".new"
	f, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(temporary, path); err != nil {
		return err
	}
	return syncDirectory(filepath.Dir(path))
}

func syncDirectory(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// cut shortens a file, and syncs it.
func cut(f *os.File, size int64) error {
	if err := f.Truncate(size); err != nil {
		return err
	}
	return f.Sync()
}

// rewrite makes a file hold the content alone, and syncs it.
func rewrite(f *os.File, content []byte) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	if _, err := f.WriteAt(content, 0); err != nil {
		return err
	}
	return f.Sync()
}

const (
	checkpointMagic = "HWC1"
	checkpointSize  = 16
)

// writeCheckpoint keeps the number of the first record that was not delivered.
func writeCheckpoint(path string, next int64) error {
	b := append(make([]byte, 0, checkpointSize), checkpointMagic...)
	b = binary.BigEndian.AppendUint64(b, uint64(next))
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	if err := replaceFile(path, b); err != nil {
		return fmt.Errorf("write the append log's checkpoint: %w", err)
	}
	return nil
}

// readCheckpoint returns 0 when there is none.
func readCheckpoint(path string) (int64, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read the append log's checkpoint: %w", err)
	}
	if len(b) != checkpointSize || string(b[:4]) != checkpointMagic ||
		crc32.Checksum(b[:12], castagnoli) != binary.BigEndian.Uint32(b[12:]) {
		return 0, &DamageError{File: path, Found: fmt.Sprintf("found %d bytes that are not a checkpoint", len(b))}
	}
	return int64(binary.BigEndian.Uint64(b[4:])), nil
}

package localserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/headwaterhq/headwater/internal/fault"
)

// How long a server may take to go after its owner was killed.
const orphanGrace = 30 * time.Second

// lock is the exclusive right to a data directory. The file holds the pids of the owner and of the server, and is given to
// the server as an open file, so that the lock lasts as long as either of them lives.
type lock struct {
	file *os.File
}

// acquire takes the lock of dir, waiting only for a server whose owner is dead. It refuses, as FAILED_PRECONDITION, while
// a living owner has it.
func acquire(ctx context.Context, dir string) (*lock, error) {
	path := filepath.Join(dir, "lock")
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fault.New(fault.FailedPrecondition,
			"cannot open the lock of data directory %s; check that it can be written", dir).Because(err)
	}
	l := &lock{file: file}
	deadline := time.Now().Add(orphanGrace)
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			if err := l.record(0); err != nil {
				file.Close()
				return nil, err
			}
			return l, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			file.Close()
			return nil, fault.New(fault.FailedPrecondition,
				"cannot lock data directory %s; choose one on a local file system", dir).Because(err)
		}
		owner, server := l.pids()
		if owner == 0 || alive(owner) || time.Now().After(deadline) {
			file.Close()
			return nil, inUse(dir, owner)
		}
		if server > 0 {
			// The lock is still held and its owner is not: this pid cannot have been given to another process yet. It is
			// SIGQUIT because that ends Postgres with all its processes at once, and Redis too.
			_ = syscall.Kill(server, syscall.SIGQUIT)
		}
		select {
		case <-ctx.Done():
			file.Close()
			return nil, ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func inUse(dir string, owner int) error {
	who := "another process"
	if owner > 0 {
		who = fmt.Sprintf("process %d", owner)
	}
	return fault.New(fault.FailedPrecondition,
		"data directory %s is in use by %s; stop that one first, or choose another directory", dir, who)
}

// record writes the pids of this process and of the server, 0 for none.
func (l *lock) record(server int) error {
	if err := l.file.Truncate(0); err != nil {
		return fmt.Errorf("record the owner in %s: %w", l.file.Name(), err)
	}
	if _, err := l.file.WriteAt(fmt.Appendf(nil, "%d %d\n", os.Getpid(), server), 0); err != nil {
		return fmt.Errorf("record the owner in %s: %w", l.file.Name(), err)
	}
	return nil
}

// pids are those recorded by the lock's owner, 0 where there are none to be read.
func (l *lock) pids() (owner, server int) {
	text := make([]byte, 64)
	n, err := l.file.ReadAt(text, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, 0
	}
	if _, err := fmt.Sscanf(string(text[:n]), "%d %d\n", &owner, &server); err != nil {
		return 0, 0
	}
	return owner, server
}

// release gives up this process's hold.
func (l *lock) release() { l.file.Close() }

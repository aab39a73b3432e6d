package testenv

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/headwaterhq/headwater/internal/localserver"
)

const (
	folderPrefix = "headwater-test-"
	// Long enough for a folder to have been locked since it was made.
	sweepAfter = time.Hour
	// memory is a file system without a disk, and memoryRoom what is to be free there: databases of tests that run beside each other, and a log of a gigabyte.
	memory     = "/dev/shm"
	memoryRoom = 6 << 30
)

// tempDir is where the folder is made: in memory where there is room, unless TMPDIR says where. Databases of hundreds of files each are made and dropped by the
// thousand, and ext4 without a journal looks at all files that it deleted in the last seconds for each that it makes.
func tempDir() string {
	var fs syscall.Statfs_t
	if os.Getenv("TMPDIR") == "" && syscall.Statfs(memory, &fs) == nil && fs.Bavail*uint64(fs.Bsize) >= memoryRoom {
		return memory
	}
	return os.TempDir()
}

// Servers are a Postgres and a Redis in a temporary folder, each started when first asked for. The zero value is ready.
type Servers struct {
	mu          sync.Mutex
	folder      *os.File
	postgres    *localserver.Postgres
	postgresErr error
	redis       *localserver.Redis
	redisErr    error
}

// PostgresURL is the URL of an empty database of a server that forgets.
func (s *Servers) PostgresURL(ctx context.Context) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.postgres == nil && s.postgresErr == nil {
		s.postgresErr = s.makeFolder()
		if s.postgresErr == nil {
			s.postgres, s.postgresErr = localserver.StartPostgres(ctx,
				localserver.PostgresConfig{Dir: filepath.Join(s.folder.Name(), "postgres")})
		}
	}
	if s.postgresErr != nil {
		return "", s.postgresErr
	}
	return s.postgres.URL(), nil
}

// RedisURL is the URL of a server that keeps nothing.
func (s *Servers) RedisURL(ctx context.Context) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.redis == nil && s.redisErr == nil {
		s.redisErr = s.makeFolder()
		if s.redisErr == nil {
			s.redis, s.redisErr = localserver.StartRedis(ctx,
				localserver.RedisConfig{Dir: filepath.Join(s.folder.Name(), "redis")})
		}
	}
	if s.redisErr != nil {
		return "", s.redisErr
	}
	return s.redis.URL(), nil
}

// makeFolder makes the temporary folder, and removes those that killed processes left.
func (s *Servers) makeFolder() error {
	if s.folder != nil {
		return nil
	}
	sweep()
	path, err := os.MkdirTemp(tempDir(), folderPrefix)
	if err != nil {
		return fmt.Errorf("make a folder for the test servers: %w", err)
	}
	folder, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open the folder for the test servers: %w", err)
	}
	s.folder = folder
	// Held for as long as this process lives: it keeps the folder from being swept by another.
	if err := syscall.Flock(int(folder.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return fmt.Errorf("lock %s: %w", path, err)
	}
	// Others may pass through it, because Postgres may have to run as another user.
	return folder.Chmod(0o711)
}

// sweep removes the folders of processes that are gone. A folder that cannot be judged or removed stays.
func sweep() {
	var left []string
	for _, dir := range []string{os.TempDir(), memory} {
		// The pattern is a constant below a folder; at worst nothing matches.
		found, _ := filepath.Glob(filepath.Join(dir, folderPrefix+"*"))
		left = append(left, found...)
	}
	for _, path := range left {
		info, err := os.Stat(path)
		if err != nil || time.Since(info.ModTime()) < sweepAfter {
			continue
		}
		folder, err := os.Open(path)
		if err != nil {
			continue
		}
		if syscall.Flock(int(folder.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
			_ = os.RemoveAll(path)
		}
		folder.Close()
	}
}

// Stop stops what was started and removes the folder.
func (s *Servers) Stop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	if s.postgres != nil {
		errs = append(errs, s.postgres.Stop())
	}
	if s.redis != nil {
		errs = append(errs, s.redis.Stop())
	}
	if s.folder != nil {
		errs = append(errs, os.RemoveAll(s.folder.Name()), s.folder.Close())
	}
	return errors.Join(errs...)
}

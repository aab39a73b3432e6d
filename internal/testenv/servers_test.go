package testenv

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

func TestSweepTakesOnlyWhatNobodyHolds(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	old := time.Now().Add(-2 * sweepAfter)
	made := func(name string, changed time.Time) string {
		path := filepath.Join(temp, name)
		if err := os.MkdirAll(filepath.Join(path, "postgres"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, changed, changed); err != nil {
			t.Fatal(err)
		}
		return path
	}
	left := made(folderPrefix+"left", old)
	held := made(folderPrefix+"held", old)
	fresh := made(folderPrefix+"fresh", time.Now())
	other := made("other", old)
	holder, err := os.Open(held)
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Close()
	if err := syscall.Flock(int(holder.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	sweep()
	for path, want := range map[string]bool{left: false, held: true, fresh: true, other: true} {
		if _, err := os.Stat(path); (err == nil) != want {
			t.Errorf("%s is there: %v, want %v", filepath.Base(path), err == nil, want)
		}
	}
}

// Logical databases are given back, so that a server with few of them serves any number of tests.
func TestRedisDatabasesComeBack(t *testing.T) {
	var key string
	t.Run("taken", func(t *testing.T) {
		key = claimKey(Redis(t).Options().DB)
		if got := owner(t, key); got != strconv.Itoa(os.Getpid()) {
			t.Errorf("%s is held by process %q, not by this one", key, got)
		}
	})
	// Another process on a given server may have it by now.
	if got := owner(t, key); got == strconv.Itoa(os.Getpid()) {
		t.Errorf("%s is still held by this process", key)
	}
}

func owner(t *testing.T, key string) string {
	t.Helper()
	server := os.Getenv(RedisVariable)
	if server == "" {
		var err error
		if server, err = own.RedisURL(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	client, err := claims(server)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	pid, err := client.Get(t.Context(), key).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		t.Fatal(err)
	}
	return pid
}

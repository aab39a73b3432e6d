package testenv

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/headwaterhq/headwater/internal/localserver"
)

// PostgresVariable and RedisVariable name the environment variables with the connection URLs of given servers.
const (
	PostgresVariable = "HEADWATER_TEST_POSTGRES_URL"
	RedisVariable    = "HEADWATER_TEST_REDIS_URL"
)

var underMain atomic.Bool

// Main runs a package's tests, stops the servers that were started for them, fails when a goroutine was left behind, and
// exits.
func Main(m *testing.M, options ...goleak.Option) {
	underMain.Store(true)
	code := m.Run()
	if err := own.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, "testenv:", err)
		code = max(code, 1)
	}
	if code == 0 {
		if err := goleak.Find(options...); err != nil {
			fmt.Fprintln(os.Stderr, "testenv: goroutines were left behind:", err)
			code = 1
		}
	}
	os.Exit(code)
}

func requireMain(t testing.TB) {
	t.Helper()
	if !underMain.Load() {
		t.Fatal("testenv: this package needs `func TestMain(m *testing.M) { testenv.Main(m) }`, which stops the servers")
	}
}

// own are the servers of this process.
var own Servers

// Servers are a Postgres and a Redis in a temporary folder, each started when first asked for. The zero value is ready.
type Servers struct {
	mu          sync.Mutex
	folder      string
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
				localserver.PostgresConfig{Dir: filepath.Join(s.folder, "postgres")})
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
				localserver.RedisConfig{Dir: filepath.Join(s.folder, "redis")})
		}
	}
	if s.redisErr != nil {
		return "", s.redisErr
	}
	return s.redis.URL(), nil
}

// makeFolder makes the temporary folder. Others may pass through it, because Postgres may have to run as another user.
func (s *Servers) makeFolder() error {
	if s.folder != "" {
		return nil
	}
	folder, err := os.MkdirTemp("", "headwater-test-")
	if err != nil {
		return fmt.Errorf("make a folder for the test servers: %w", err)
	}
	s.folder = folder
	return os.Chmod(folder, 0o711)
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
	if s.folder != "" {
		errs = append(errs, os.RemoveAll(s.folder))
	}
	return errors.Join(errs...)
}

package testenv

import (
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
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
		// When a client of go-redis that could not connect is closed, this looks at that once a second.
		options = append(options, goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"))
		if err := leaked(options...); err != nil {
			fmt.Fprintln(os.Stderr, "testenv: goroutines were left behind:", err)
			code = 1
		}
	}
	os.Exit(code)
}

// leakPatience is how long goroutines may take to end after the tests. goleak waits half a second, which is little for a machine with much to do.
const leakPatience = 10 * time.Second

// leaked is nil when no goroutine is left, or none is any more before patience ends.
func leaked(options ...goleak.Option) error {
	for deadline := time.Now().Add(leakPatience); ; {
		if err := goleak.Find(options...); err == nil || time.Now().After(deadline) {
			return err
		}
	}
}

func requireMain(t testing.TB) {
	t.Helper()
	if !underMain.Load() {
		t.Fatal("testenv: this package needs `func TestMain(m *testing.M) { testenv.Main(m) }`, which stops the servers")
	}
}

// own are the servers of this process.
var own Servers

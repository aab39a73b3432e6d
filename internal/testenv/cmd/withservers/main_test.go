package main

import (
	"testing"

	"github.com/headwaterhq/headwater/internal/testenv"
)

func TestStatusIsTheCommands(t *testing.T) {
	t.Setenv(testenv.PostgresVariable, "postgres://given")
	t.Setenv(testenv.RedisVariable, "redis://given")
	for script, want := range map[string]int{
		"exit 0":        0,
		"exit 7":        7,
		"kill -KILL $$": 128 + 9,
		`test "$` + testenv.PostgresVariable + `" = postgres://given && test "$` + testenv.RedisVariable + `" = redis://given`: 0,
	} {
		if got := run("sh", "-c", script); got != want {
			t.Errorf("%s: status %d, want %d", script, got, want)
		}
	}
	if got := run("/nonexistent/command"); got != notStarted {
		t.Errorf("a command that is not there: status %d, want %d", got, notStarted)
	}
}

func TestServersAreThere(t *testing.T) {
	t.Setenv(testenv.PostgresVariable, "")
	t.Setenv(testenv.RedisVariable, "")
	script := `case $` + testenv.PostgresVariable + ` in postgres://*@127.0.0.1:*) ;; *) exit 3 ;; esac
		case $` + testenv.RedisVariable + ` in redis://*@127.0.0.1:*) ;; *) exit 4 ;; esac`
	if got := run("sh", "-c", script); got != 0 {
		t.Errorf("status %d, want 0", got)
	}
}

func TestServersThatDoNotStart(t *testing.T) {
	t.Setenv(testenv.PostgresVariable, "")
	t.Setenv(testenv.RedisVariable, "redis://given")
	t.Setenv("HEADWATER_PG_BIN", t.TempDir())
	if got := run("sh", "-c", "exit 0"); got != notStarted {
		t.Errorf("status %d, want %d", got, notStarted)
	}
}

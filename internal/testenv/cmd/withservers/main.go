// Command withservers runs a command with a Postgres and a Redis to test on, and stops both after it:
//
//	withservers go test ./...
//
// The command finds their URLs in HEADWATER_TEST_POSTGRES_URL and HEADWATER_TEST_REDIS_URL. A variable that is set already
// is left alone, and no server started for it. The exit status is the command's; 128 plus the signal when one ended it; 127
// when a server or the command did not start.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/headwaterhq/headwater/internal/testenv"
)

const notStarted = 127

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: withservers COMMAND [ARGUMENT…]")
		os.Exit(2)
	}
	os.Exit(run(os.Args[1], os.Args[2:]...))
}

func run(name string, args ...string) (status int) {
	// Taken before anything is started, so that no signal leaves servers behind.
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var servers testenv.Servers
	defer func() {
		if err := servers.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, "withservers:", err)
			status = max(status, 1)
		}
	}()
	for variable, start := range map[string]func(context.Context) (string, error){
		testenv.PostgresVariable: servers.PostgresURL,
		testenv.RedisVariable:    servers.RedisURL,
	} {
		if os.Getenv(variable) != "" {
			continue
		}
		url, err := start(ctx)
		if err == nil {
			err = os.Setenv(variable, url)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "withservers:", err)
			return notStarted
		}
	}
	return runCommand(signals, name, args...)
}

// runCommand runs the command to its end, passing signals on.
func runCommand(signals <-chan os.Signal, name string, args ...string) int {
	cmd := exec.Command(name, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "withservers:", err)
		return notStarted
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case s := <-signals:
			// It may have ended just now.
			_ = cmd.Process.Signal(s)
		case err := <-ended:
			return exitStatus(err)
		}
	}
}

func exitStatus(err error) int {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case !errors.As(err, &exit):
		fmt.Fprintln(os.Stderr, "withservers:", err)
		return notStarted
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return exit.ExitCode()
}

// Package servers starts what the benchmarks drive: a durable Postgres, a Redis, and the product's server as a process of its
// own, whose memory can be read. It may be imported by the commands below bench alone.
package servers

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/headwaterhq/headwater/internal/localserver"
)

// Servers are what is measured.
type Servers struct {
	// Folder is where all that they have is.
	Folder   string
	Postgres *localserver.Postgres
	Redis    *localserver.Redis
	// Address is where the product's server answers, Token that of its administrator.
	Address, Token string
	server         *exec.Cmd
	program        string
	environment    []string
	keep           bool
}

// Config says what to start.
type Config struct {
	// Program is the product's.
	Program string
	// Folder keeps what they have, and is used again as it is. Empty: one of their own, gone when they stop.
	Folder string
	// Environment is added to that of the product's server.
	Environment []string
}

// Start starts them.
func Start(ctx context.Context, config Config) (_ *Servers, err error) {
	s := &Servers{Folder: config.Folder, keep: config.Folder != ""}
	if s.keep {
		err = os.MkdirAll(s.Folder, 0o711)
	} else {
		s.Folder, err = os.MkdirTemp("", "headwater-bench-")
	}
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Stop())
		}
	}()
	// Postgres may have to run as another user, who passes through.
	if err := os.Chmod(s.Folder, 0o711); err != nil {
		return nil, err
	}
	s.Postgres, err = localserver.StartPostgres(ctx, localserver.PostgresConfig{Dir: filepath.Join(s.Folder, "postgres"), Durable: true})
	if err != nil {
		return nil, err
	}
	if s.Redis, err = localserver.StartRedis(ctx, localserver.RedisConfig{Dir: filepath.Join(s.Folder, "redis")}); err != nil {
		return nil, err
	}
	if s.Address, err = freeAddress(); err != nil {
		return nil, err
	}
	s.program = config.Program
	s.environment = append(append(os.Environ(), config.Environment...), "HEADWATER_POSTGRES_URL="+s.Postgres.URL(),
		"HEADWATER_REDIS_URL="+s.Redis.URL(), "HEADWATER_LISTEN="+s.Address, "HEADWATER_AUDIT_DIR="+filepath.Join(s.Folder, "audit"))
	tokenFile := filepath.Join(s.Folder, "token")
	arguments := []string{"migrate"}
	if _, err := os.Stat(tokenFile); err != nil {
		arguments = append(arguments, "--admin-token-file", tokenFile)
	}
	migrate := exec.CommandContext(ctx, config.Program, arguments...)
	migrate.Env = s.environment
	if out, err := migrate.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%s migrate: %w\n%s", config.Program, err, out)
	}
	token, err := os.ReadFile(tokenFile)
	if err != nil {
		return nil, err
	}
	s.Token = strings.TrimSpace(string(token))
	return s, s.serve(ctx)
}

// Restart ends the product's server and starts it again, with environment added to its own.
func (s *Servers) Restart(ctx context.Context, environment ...string) error {
	if err := s.server.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	// Its status after a signal says nothing.
	_ = s.server.Wait()
	s.server = nil
	s.environment = append(s.environment, environment...)
	return s.serve(ctx)
}

func (s *Servers) serve(ctx context.Context) error {
	log, err := os.OpenFile(filepath.Join(s.Folder, "server.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	server := exec.Command(s.program, "serve")
	server.Env, server.Stderr, server.Stdout = s.environment, log, log
	if err := server.Start(); err != nil {
		return err
	}
	s.server = server
	return s.await(ctx)
}

// await returns when the server takes connections.
func (s *Servers) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	var dialer net.Dialer
	for {
		conn, err := dialer.DialContext(ctx, "tcp", s.Address)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-ctx.Done():
			text, _ := os.ReadFile(filepath.Join(s.Folder, "server.log"))
			return fmt.Errorf("the server does not answer on %s: %w\n%s", s.Address, err, text)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// PeakMemory is the most that the server's process ever had in memory, in MB of 2^20 bytes.
func (s *Servers) PeakMemory() (float64, error) {
	file, err := os.Open(fmt.Sprintf("/proc/%d/status", s.server.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("the server's peak memory is read where there is a /proc: %w", err)
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if rest, ok := strings.CutPrefix(lines.Text(), "VmHWM:"); ok {
			kb, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 64)
			return kb / 1024, err
		}
	}
	return 0, errors.Join(errors.New("found no VmHWM in the status of the server's process"), lines.Err())
}

// CPU is the processor time that the product's server has used so far, and that of Postgres in sessions that have ended.
func (s *Servers) CPU() (server, postgres time.Duration, err error) {
	if server, err = processTime(s.server.Process.Pid, false); err != nil {
		return 0, 0, err
	}
	// The first line of the file is the process's number.
	text, err := os.ReadFile(filepath.Join(s.Folder, "postgres", "data", "postmaster.pid"))
	if err != nil {
		return 0, 0, err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		return 0, 0, err
	}
	postgres, err = processTime(pid, true)
	return server, postgres, err
}

// processTime is a process's time in user and kernel mode, with that of its children that have ended. Linux counts in hundredths.
func processTime(pid int, children bool) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("processor time is read where there is a /proc: %w", err)
	}
	// The name of the program, in brackets, may hold anything.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	const userTime, kinds = 11, 4
	if len(fields) < userTime+kinds {
		return 0, fmt.Errorf("found %d fields in the status of process %d, expected more", len(fields), pid)
	}
	var ticks int64
	for i, field := range fields[userTime : userTime+kinds] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, err
		}
		if i < 2 || children {
			ticks += n
		}
	}
	return time.Duration(ticks) * 10 * time.Millisecond, nil
}

// Stop ends all of them, and removes what they kept unless the folder was given.
func (s *Servers) Stop() error {
	var errs []error
	if s.server != nil {
		errs = append(errs, s.server.Process.Signal(syscall.SIGTERM))
		// Its status after a signal says nothing.
		_ = s.server.Wait()
	}
	if s.Redis != nil {
		errs = append(errs, s.Redis.Stop())
	}
	if s.Postgres != nil {
		errs = append(errs, s.Postgres.Stop())
	}
	if !s.keep {
		errs = append(errs, os.RemoveAll(s.Folder))
	}
	return errors.Join(errs...)
}

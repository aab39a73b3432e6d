package main

import (
	"bufio"
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

// servers are what is measured: a Postgres that is durable, a Redis, and the product's server as a process of its own.
type servers struct {
	folder         string
	postgres       *localserver.Postgres
	redis          *localserver.Redis
	address, token string
	server         *exec.Cmd
}

func startServers(ctx context.Context, program string) (_ *servers, err error) {
	s := &servers{}
	if s.folder, err = os.MkdirTemp("", "headwater-bench-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.stop())
		}
	}()
	// Postgres may have to run as another user, who passes through.
	if err := os.Chmod(s.folder, 0o711); err != nil {
		return nil, err
	}
	s.postgres, err = localserver.StartPostgres(ctx, localserver.PostgresConfig{Dir: filepath.Join(s.folder, "postgres"), Durable: true})
	if err != nil {
		return nil, err
	}
	if s.redis, err = localserver.StartRedis(ctx, localserver.RedisConfig{Dir: filepath.Join(s.folder, "redis")}); err != nil {
		return nil, err
	}
	if s.address, err = freeAddress(); err != nil {
		return nil, err
	}
	environment := append(os.Environ(), "HEADWATER_POSTGRES_URL="+s.postgres.URL(), "HEADWATER_REDIS_URL="+s.redis.URL(),
		"HEADWATER_LISTEN="+s.address, "HEADWATER_AUDIT_DIR="+filepath.Join(s.folder, "audit"))
	tokenFile := filepath.Join(s.folder, "token")
	migrate := exec.CommandContext(ctx, program, "migrate", "--admin-token-file", tokenFile)
	migrate.Env = environment
	if out, err := migrate.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%s migrate: %w\n%s", program, err, out)
	}
	token, err := os.ReadFile(tokenFile)
	if err != nil {
		return nil, err
	}
	s.token = strings.TrimSpace(string(token))
	log, err := os.Create(filepath.Join(s.folder, "server.log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	server := exec.Command(program, "serve")
	server.Env, server.Stderr, server.Stdout = environment, log, log
	if err := server.Start(); err != nil {
		return nil, err
	}
	s.server = server
	return s, s.await(ctx)
}

// await returns when the server takes connections.
func (s *servers) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	var dialer net.Dialer
	for {
		conn, err := dialer.DialContext(ctx, "tcp", s.address)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-ctx.Done():
			text, _ := os.ReadFile(filepath.Join(s.folder, "server.log"))
			return fmt.Errorf("the server does not answer on %s: %w\n%s", s.address, err, text)
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

// peakMemory is the most that the server's process ever had in memory, in MB of 2^20 bytes.
func (s *servers) peakMemory() (float64, error) {
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

func (s *servers) stop() error {
	var errs []error
	if s.server != nil {
		errs = append(errs, s.server.Process.Signal(syscall.SIGTERM))
		// Its status after a signal says nothing.
		_ = s.server.Wait()
	}
	if s.redis != nil {
		errs = append(errs, s.redis.Stop())
	}
	if s.postgres != nil {
		errs = append(errs, s.postgres.Stop())
	}
	return errors.Join(append(errs, os.RemoveAll(s.folder))...)
}

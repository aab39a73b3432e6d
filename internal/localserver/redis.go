package localserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/headwaterhq/headwater/internal/fault"
)

// Long enough to load a large append-only file.
const redisStartLimit = 2 * time.Minute

// RedisConfig says where a Redis keeps its data, if it does.
type RedisConfig struct {
	// Dir is made when missing. Only its owner can look into it: Redis leaves its files open to all.
	Dir string
	// Durable servers keep an append-only file, synced every second. Others keep nothing, and have 1024 logical databases
	// instead of 16, so that as many tests can have one each.
	Durable bool
	// Port is the one to listen on. 0: a free one, another at each start.
	Port int
}

// Redis is a running server.
type Redis struct {
	url     string
	process *process
	lock    *lock
	once    sync.Once
	err     error
}

// StartRedis starts a server, and returns when it answers. It returns a FAILED_PRECONDITION fault when the directory is in
// use, and REDIS_UNAVAILABLE when there is no redis-server or it does not start. ctx limits the start alone.
func StartRedis(ctx context.Context, config RedisConfig) (*Redis, error) {
	dir, err := absolute(config.Dir)
	if err != nil {
		return nil, fault.New(fault.FailedPrecondition,
			"cannot make data directory %s; check that its parent can be written", config.Dir).Because(err)
	}
	l, err := acquire(ctx, dir)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		l.release()
		return nil, fault.New(fault.FailedPrecondition,
			"cannot keep data directory %s from other users; check that it is yours", config.Dir).Because(err)
	}
	s := &redisStart{dir: dir, durable: config.Durable, port: config.Port, lock: l}
	r, err := s.start(ctx)
	if err != nil {
		l.release()
		return nil, err
	}
	return r, nil
}

// URL is a connection URL for logical database 0, password included.
func (r *Redis) URL() string { return r.url }

// Done is closed when the server has ended, for whatever reason.
func (r *Redis) Done() <-chan struct{} { return r.process.done }

// Stop shuts down, flushing the append-only file when durable, and returns when the server has gone. Further calls return
// what the first did.
func (r *Redis) Stop() error {
	r.once.Do(func() {
		r.err = r.process.stop(30*time.Second, syscall.SIGTERM, syscall.SIGKILL)
		r.lock.release()
	})
	return r.err
}

// redisStart is what one start needs to know.
type redisStart struct {
	dir      string
	durable  bool
	port     int
	lock     *lock
	program  string
	password string
}

func (s *redisStart) log() string    { return filepath.Join(s.dir, "redis.log") }
func (s *redisStart) config() string { return filepath.Join(s.dir, "redis.conf") }

func (s *redisStart) start(ctx context.Context) (*Redis, error) {
	var err error
	if s.program, err = findRedis(); err != nil {
		return nil, err
	}
	if s.password, err = password(filepath.Join(s.dir, "password")); err != nil {
		return nil, err
	}
	for attempt := 1; ; attempt++ {
		r, err := s.launch(ctx)
		if err == nil || attempt == startAttempts || !portTaken(logTail(s.log())) {
			return r, err
		}
	}
}

func (s *redisStart) launch(ctx context.Context) (*Redis, error) {
	port := s.port
	if port == 0 {
		var err error
		if port, err = freePort(); err != nil {
			return nil, err
		}
	}
	// A file, because arguments are for every user of the machine to see.
	if err := os.WriteFile(s.config(), []byte(s.settings(port)), 0o600); err != nil {
		return nil, fmt.Errorf("write the configuration of Redis: %w", err)
	}
	log, err := os.OpenFile(s.log(), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the log of Redis: %w", err)
	}
	defer log.Close()
	cmd := exec.Command(s.program, s.config())
	cmd.Dir = s.dir
	cmd.Stdout, cmd.Stderr = log, log
	process, err := start(cmd, s.lock, syscall.SIGTERM)
	if err != nil {
		return nil, s.failed(ctx, err)
	}
	u := url.URL{
		Scheme: "redis", User: url.UserPassword("", s.password), Host: "127.0.0.1:" + strconv.Itoa(port), Path: "/0",
	}
	r := &Redis{url: u.String(), process: process, lock: s.lock}
	err = s.lock.record(process.pid)
	if err == nil {
		err = s.awaitReady(ctx, process, port)
	}
	if err != nil {
		if stopErr := process.stop(10*time.Second, syscall.SIGTERM, syscall.SIGKILL); stopErr != nil {
			return nil, errors.Join(err, stopErr)
		}
		return nil, err
	}
	return r, nil
}

func (s *redisStart) settings(port int) string {
	lines := []string{
		"bind 127.0.0.1",
		"protected-mode yes",
		"port " + strconv.Itoa(port),
		"requirepass " + s.password,
		"dir " + strconv.Quote(s.dir),
		"daemonize no",
		`save ""`,
		// Packed rows are longer than the 64 bytes up to which Redis keeps small hashes compact by default.
		"hash-max-listpack-value 1024",
	}
	if s.durable {
		lines = append(lines, "appendonly yes", "appendfsync everysec")
	} else {
		lines = append(lines, "appendonly no", "databases 1024")
	}
	return strings.Join(lines, "\n") + "\n"
}

// failed tells why redis-server did not start. The log is the operator's own, so its end is shown.
func (s *redisStart) failed(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fault.New(fault.RedisUnavailable, "%s did not start in %s; the end of its log %s:\n%s",
		s.program, s.dir, s.log(), logTail(s.log())).Because(err)
}

func (s *redisStart) awaitReady(ctx context.Context, process *process, port int) error {
	address := "127.0.0.1:" + strconv.Itoa(port)
	client := redis.NewClient(&redis.Options{Addr: address, Password: s.password, MaxRetries: -1})
	defer client.Close()
	deadline := time.After(redisStartLimit)
	for {
		err := answers(ctx, address, client)
		if err == nil {
			return nil
		}
		select {
		case <-process.done:
			return s.failed(ctx, process.err)
		case <-ctx.Done():
			return ctx.Err()
		case <-deadline:
			return s.failed(ctx, fmt.Errorf("no answer within %v: %w", redisStartLimit, err))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// answers asks a server that may not listen yet. The client would log that it cannot connect, so it is kept from trying.
func answers(ctx context.Context, address string, client *redis.Client) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	conn.Close()
	return client.Ping(ctx).Err()
}

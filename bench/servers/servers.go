// Package servers starts what the benchmarks drive: a durable Postgres, a Redis, and the product's server as a process of its
// own, whose memory can be read. It may be imported by the commands below bench alone.
package servers

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
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
	server         *Process
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
	// SharedBuffersMB is what Postgres keeps of its tables in memory. 0: as much as for `headwater dev`.
	SharedBuffersMB int
}

// QuarterMB is a quarter of a machine with 24 GB, which the documentation of Postgres says shared_buffers are to have. What a figure is compared
// with has the same.
const QuarterMB = 6144

// Folder makes a folder that is thrown away, which Postgres may pass through as another user.
func Folder() (string, error) {
	folder, err := os.MkdirTemp("", "headwater-bench-")
	if err != nil {
		return "", err
	}
	return folder, os.Chmod(folder, 0o711)
}

// Start starts them.
func Start(ctx context.Context, config Config) (_ *Servers, err error) {
	s := &Servers{Folder: config.Folder, keep: config.Folder != ""}
	if s.keep {
		if err = os.MkdirAll(s.Folder, 0o711); err == nil {
			// Postgres may have to run as another user, who passes through.
			err = os.Chmod(s.Folder, 0o711)
		}
	} else {
		s.Folder, err = Folder()
	}
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Stop())
		}
	}()
	s.Postgres, err = localserver.StartPostgres(ctx, localserver.PostgresConfig{
		Dir: filepath.Join(s.Folder, "postgres"), Durable: true, SharedBuffersMB: config.SharedBuffersMB,
	})
	if err != nil {
		return nil, err
	}
	if s.Redis, err = localserver.StartRedis(ctx, localserver.RedisConfig{Dir: filepath.Join(s.Folder, "redis")}); err != nil {
		return nil, err
	}
	if s.Address, err = FreeAddress(); err != nil {
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
	if err := s.server.Stop(); err != nil {
		return err
	}
	s.server = nil
	s.environment = append(s.environment, environment...)
	return s.serve(ctx)
}

func (s *Servers) serve(ctx context.Context) (err error) {
	s.server, err = StartProcess(ctx, ProcessConfig{
		Program: s.program, Arguments: []string{"serve"}, Environment: s.environment, Address: s.Address, Log: filepath.Join(s.Folder, "server.log"),
	})
	return err
}

// Another starts one more of the product's servers on the same stores, with arguments behind `serve` and an environment added to
// that of the first. The caller stops it. name is distinct among them: its log and its audit folder are called by it.
func (s *Servers) Another(ctx context.Context, name string, arguments, environment []string) (*Process, error) {
	address, err := FreeAddress()
	if err != nil {
		return nil, err
	}
	return StartProcess(ctx, ProcessConfig{
		Program: s.program, Arguments: append([]string{"serve"}, arguments...), Address: address, Log: filepath.Join(s.Folder, name+".log"),
		Environment: append(append(slices.Clone(s.environment), "HEADWATER_LISTEN="+address,
			"HEADWATER_AUDIT_DIR="+filepath.Join(s.Folder, name+"-audit")), environment...),
	})
}

// PID is the number of the product's server among processes.
func (s *Servers) PID() int { return s.server.PID() }

// FreeAddress is one of this machine that nobody listens on.
func FreeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// PeakMemory is the most that the server's process ever had in memory, in MB of 2^20 bytes.
func (s *Servers) PeakMemory() (float64, error) {
	file, err := os.Open(fmt.Sprintf("/proc/%d/status", s.server.PID()))
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
	if server, err = ProcessTime(s.server.PID(), false); err != nil {
		return 0, 0, err
	}
	pid, err := s.PostgresPID()
	if err != nil {
		return 0, 0, err
	}
	postgres, err = ProcessTime(pid, true)
	return server, postgres, err
}

// PostgresPID is the number of Postgres among processes: of the one that the others are children of.
func (s *Servers) PostgresPID() (int, error) {
	// The first line of the file is the process's number.
	text, err := os.ReadFile(filepath.Join(s.Folder, "postgres", "data", "postmaster.pid"))
	if err != nil {
		return 0, err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return strconv.Atoi(strings.TrimSpace(line))
}

// Stop ends all of them, and removes what they kept unless the folder was given.
func (s *Servers) Stop() error {
	var errs []error
	if s.server != nil {
		errs = append(errs, s.server.Stop())
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

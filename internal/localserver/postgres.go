package localserver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/internal/fault"
)

const (
	postgresUser     = "headwater"
	postgresDatabase = "headwater"
	// Long enough to replay the log of a server that was killed in the middle of a large load.
	postgresStartLimit = 2 * time.Minute
	startAttempts      = 5
)

// PostgresConfig says where a Postgres keeps its data and how careful it is with it.
type PostgresConfig struct {
	// Dir is made when missing. Postgres refuses to run as root, so when this process is root the server runs as the OS user
	// `postgres`, which is made the owner of Dir and must be able to pass through the folders above it.
	Dir string
	// Durable servers lose no commit in a crash of the machine. Others are for tests: faster, and to be thrown away.
	Durable bool
	// Port is the one to listen on. 0: a free one, another at each start.
	Port int
	// SharedBuffersMB is what a durable server keeps of its tables in memory. 0: 256.
	SharedBuffersMB int
}

// Postgres is a running server. Its database `headwater` is there and empty at first.
type Postgres struct {
	url     string
	durable bool
	process *process
	lock    *lock
	once    sync.Once
	err     error
}

// StartPostgres starts a server, and returns when it takes connections. It returns a FAILED_PRECONDITION fault when the
// directory is in use or out of reach, and POSTGRES_UNAVAILABLE when there are no server programs or they do not start. ctx
// limits the start alone.
func StartPostgres(ctx context.Context, config PostgresConfig) (*Postgres, error) {
	dir, err := absolute(config.Dir)
	if err != nil {
		return nil, fault.New(fault.FailedPrecondition,
			"cannot make data directory %s; check that its parent can be written", config.Dir).Because(err)
	}
	owner, err := postgresOwner(dir)
	if err != nil {
		return nil, err
	}
	l, err := acquire(ctx, dir)
	if err != nil {
		return nil, err
	}
	s := &postgresStart{dir: dir, durable: config.Durable, port: config.Port, buffers: cmp.Or(config.SharedBuffersMB, 256), owner: owner, lock: l}
	p, err := s.start(ctx)
	if err != nil {
		l.release()
		return nil, err
	}
	return p, nil
}

// URL is a connection URL for the database `headwater`, password included.
func (p *Postgres) URL() string { return p.url }

// Done is closed when the server has ended, for whatever reason.
func (p *Postgres) Done() <-chan struct{} { return p.process.done }

// Stop ends all sessions, shuts down (with a checkpoint when durable), and returns when the server has gone. Further calls
// return what the first did.
func (p *Postgres) Stop() error {
	p.once.Do(func() {
		signals := []syscall.Signal{syscall.SIGQUIT, syscall.SIGKILL}
		if p.durable {
			signals = []syscall.Signal{syscall.SIGINT, syscall.SIGQUIT, syscall.SIGKILL}
		}
		p.err = p.process.stop(30*time.Second, signals...)
		p.lock.release()
	})
	return p.err
}

// postgresOwner is the OS user to run as, nil for our own.
func postgresOwner(dir string) (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	account, err := user.Lookup("postgres")
	if err != nil {
		return nil, fault.New(fault.FailedPrecondition,
			"Postgres refuses to run as root, and there is no OS user `postgres` to run it as; run Headwater as another "+
				"user, or make that one with `useradd --system postgres`").Because(err)
	}
	uid, err := strconv.ParseUint(account.Uid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("uid of postgres: %w", err)
	}
	gid, err := strconv.ParseUint(account.Gid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("gid of postgres: %w", err)
	}
	owner := &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	for above := filepath.Dir(dir); ; above = filepath.Dir(above) {
		info, err := os.Stat(above)
		if err != nil {
			return nil, fmt.Errorf("data directory %s: %w", dir, err)
		}
		if !canPass(info, owner) {
			return nil, fault.New(fault.FailedPrecondition,
				"data directory %s is out of reach of the OS user `postgres`, as which Postgres runs when Headwater is root: "+
					"%s is closed to it; choose a directory elsewhere, such as under /var/lib, or run Headwater as another user",
				dir, above)
		}
		if above == filepath.Dir(above) {
			return owner, nil
		}
	}
}

// canPass tells whether the owner may go through a folder.
func canPass(info fs.FileInfo, owner *syscall.Credential) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !ok:
		return true
	case stat.Uid == owner.Uid:
		return info.Mode()&0o100 != 0
	case stat.Gid == owner.Gid:
		return info.Mode()&0o010 != 0
	default:
		return info.Mode()&0o001 != 0
	}
}

// postgresStart is what one start needs to know.
type postgresStart struct {
	dir      string
	durable  bool
	port     int
	buffers  int
	owner    *syscall.Credential
	lock     *lock
	programs programs
	password string
}

func (s *postgresStart) data() string         { return filepath.Join(s.dir, "data") }
func (s *postgresStart) log() string          { return filepath.Join(s.dir, "postgres.log") }
func (s *postgresStart) passwordFile() string { return filepath.Join(s.dir, "password") }

func (s *postgresStart) start(ctx context.Context) (*Postgres, error) {
	major, err := dataVersion(s.data())
	if err != nil {
		return nil, err
	}
	if s.programs, err = findPostgres(major); err != nil {
		return nil, err
	}
	if s.password, err = password(s.passwordFile()); err != nil {
		return nil, err
	}
	if err := s.giveToOwner(s.dir, s.passwordFile()); err != nil {
		return nil, err
	}
	if major == 0 {
		if err := s.initialize(ctx); err != nil {
			return nil, err
		}
	}
	s.removeStalePid()
	for attempt := 1; ; attempt++ {
		p, err := s.launch(ctx)
		if err == nil || attempt == startAttempts {
			return p, err
		}
		if !portTaken(logTail(s.log())) && !s.recoveryStumbled() {
			return p, err
		}
	}
}

func (s *postgresStart) giveToOwner(files ...string) error {
	if s.owner == nil {
		return nil
	}
	for _, file := range files {
		if err := os.Chown(file, int(s.owner.Uid), int(s.owner.Gid)); err != nil {
			return fmt.Errorf("give %s to the OS user postgres: %w", file, err)
		}
	}
	return nil
}

// dataVersion is the major version of Postgres that made the data, 0 when there is none yet.
func dataVersion(data string) (int, error) {
	text, err := os.ReadFile(filepath.Join(data, "PG_VERSION"))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fault.New(fault.FailedPrecondition, "cannot read %s/PG_VERSION; check its owner and mode", data).Because(err)
	}
	major, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0, fault.New(fault.FailedPrecondition,
			"%s/PG_VERSION holds %q, not a major version; choose another data directory", data, text)
	}
	return major, nil
}

// initialize makes the data in a folder beside and renames it into place, so that there is either none or all of it.
func (s *postgresStart) initialize(ctx context.Context) error {
	unfinished := s.data() + ".new"
	if err := os.RemoveAll(unfinished); err != nil {
		return fmt.Errorf("remove what an earlier start left: %w", err)
	}
	args := []string{
		"--pgdata=" + unfinished, "--username=" + postgresUser, "--pwfile=" + s.passwordFile(),
		"--auth=scram-sha-256", "--encoding=UTF8", "--locale=C",
	}
	if s.durable {
		args = append(args, "--data-checksums")
	} else {
		args = append(args, "--no-sync")
	}
	cmd, closeLog, err := s.command("initdb", args...)
	if err != nil {
		return err
	}
	defer closeLog()
	if err := run(ctx, cmd, s.lock); err != nil {
		return s.failed(ctx, "initdb", err)
	}
	if err := os.Rename(unfinished, s.data()); err != nil {
		return fmt.Errorf("put the new data in place: %w", err)
	}
	return nil
}

// command is a program of Postgres to be run as the right user, with its output going to the log.
func (s *postgresStart) command(name string, args ...string) (cmd *exec.Cmd, closeLog func(), err error) {
	log, err := os.OpenFile(s.log(), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("open the log of Postgres: %w", err)
	}
	if err := s.giveToOwner(s.log()); err != nil {
		log.Close()
		return nil, nil, err
	}
	cmd = exec.Command(s.programs.path(name), args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Dir = s.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC", "HOME=" + s.dir}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.owner}
	return cmd, func() { log.Close() }, nil
}

// failed tells why a program of Postgres did not do its work. The log is the operator's own, so its end is shown.
func (s *postgresStart) failed(ctx context.Context, name string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fault.New(fault.PostgresUnavailable, "%s (Postgres %d) did not start in %s; the end of its log %s:\n%s",
		s.programs.path(name), s.programs.major, s.dir, s.log(), logTail(s.log())).Because(err)
}

// removeStalePid removes the pid file that a killed server left, when that server is gone. Postgres itself can see only
// whether the pid is in use, perhaps by another process by now, and would refuse to start.
func (s *postgresStart) removeStalePid() {
	file := filepath.Join(s.data(), "postmaster.pid")
	text, err := os.ReadFile(file)
	if err != nil {
		return
	}
	first, _, _ := strings.Cut(string(text), "\n")
	if pid, err := strconv.Atoi(strings.TrimSpace(first)); err == nil && !livesIn(pid, s.data()) {
		_ = os.Remove(file)
	}
}

// recoveryStumbled tells that the server did not start because recovery found a file in the place of an unlogged table. It
// does after a crash right after a transaction that made one was rolled back: the files are taken away before the rollback
// is in the log. What recovery did by then is enough for the next one to take the file away first.
func (s *postgresStart) recoveryStumbled() bool {
	log, err := os.ReadFile(s.log())
	return err == nil && recoveryStumble.Match(log)
}

var recoveryStumble = regexp.MustCompile(`FATAL:  could not create file "base/[^"]*": File exists`)

// launch starts the server on a free port, and waits until it takes connections and has the database.
func (s *postgresStart) launch(ctx context.Context) (*Postgres, error) {
	port := s.port
	if port == 0 {
		var err error
		if port, err = freePort(); err != nil {
			return nil, err
		}
	}
	args := []string{"-D", s.data(), "-p", strconv.Itoa(port)}
	for _, setting := range s.settings() {
		args = append(args, "-c", setting)
	}
	cmd, closeLog, err := s.command("postgres", args...)
	if err != nil {
		return nil, err
	}
	defer closeLog()
	process, err := start(cmd, s.lock, syscall.SIGQUIT)
	if err != nil {
		return nil, s.failed(ctx, "postgres", err)
	}
	p := &Postgres{url: s.url(port, postgresDatabase), durable: s.durable, process: process, lock: s.lock}
	err = s.lock.record(process.pid)
	if err == nil {
		err = s.awaitReady(ctx, process, s.url(port, "postgres"))
	}
	if err != nil {
		if stopErr := process.stop(10*time.Second, syscall.SIGQUIT, syscall.SIGKILL); stopErr != nil {
			return nil, errors.Join(err, stopErr)
		}
		return nil, err
	}
	return p, nil
}

func (s *postgresStart) url(port int, database string) string {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(postgresUser, s.password),
		Host: "127.0.0.1:" + strconv.Itoa(port), Path: "/" + database, RawQuery: "sslmode=disable",
	}
	return u.String()
}

func (s *postgresStart) settings() []string {
	settings := []string{
		"listen_addresses=127.0.0.1",
		// TCP alone: the path of a unix socket may have no more than 107 bytes.
		"unix_socket_directories=",
		"max_connections=200",
		"timezone=UTC",
		"log_timezone=UTC",
		// No replica will ever follow, so a load into a table of the same transaction needs no write-ahead log.
		"wal_level=minimal",
		"max_wal_senders=0",
		"jit=off",
	}
	if s.durable {
		return append(settings, fmt.Sprintf("shared_buffers=%dMB", s.buffers), "max_wal_size=4GB", "random_page_cost=1.1")
	}
	return append(settings, "fsync=off", "synchronous_commit=off", "full_page_writes=off", "shared_buffers=128MB")
}

func (s *postgresStart) awaitReady(ctx context.Context, process *process, maintenance string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, postgresStartLimit,
		fmt.Errorf("no connection within %v", postgresStartLimit))
	defer cancel()
	for {
		err := ensureDatabase(ctx, maintenance)
		if err == nil {
			return nil
		}
		select {
		case <-process.done:
			return s.failed(ctx, "postgres", process.err)
		case <-ctx.Done():
			if errors.Is(context.Cause(ctx), ctx.Err()) {
				return ctx.Err()
			}
			return s.failed(context.WithoutCancel(ctx), "postgres", errors.Join(context.Cause(ctx), err))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// ensureDatabase makes the database when it is not there.
func ensureDatabase(ctx context.Context, maintenance string) error {
	conn, err := pgx.Connect(ctx, maintenance)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var there bool
	err = conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", postgresDatabase).Scan(&there)
	if err != nil || there {
		return err
	}
	_, err = conn.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{postgresDatabase}.Sanitize())
	return err
}

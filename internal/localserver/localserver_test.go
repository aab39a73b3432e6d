package localserver_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/localserver"
)

// ownerVariable makes the test binary start both servers in the folder named, print their URLs, and sleep.
const ownerVariable = "HEADWATER_TEST_LOCALSERVER_OWNER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(ownerVariable); dir != "" {
		own(dir)
	}
	goleak.VerifyTestMain(m)
}

func own(dir string) {
	ctx := context.Background()
	p, err := localserver.StartPostgres(ctx, localserver.PostgresConfig{Dir: filepath.Join(dir, "postgres"), Durable: true})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	r, err := localserver.StartRedis(ctx, localserver.RedisConfig{Dir: filepath.Join(dir, "redis"), Durable: true})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(p.URL())
	fmt.Println(r.URL())
	select {}
}

// folder is a temporary one that the OS user postgres can reach, which t.TempDir is not.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "headwater-localserver-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	return dir
}

func startPostgres(t *testing.T, dir string, durable bool) *localserver.Postgres {
	t.Helper()
	p, err := localserver.StartPostgres(t.Context(), localserver.PostgresConfig{Dir: dir, Durable: durable})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func startRedis(t *testing.T, dir string, durable bool) *localserver.Redis {
	t.Helper()
	r, err := localserver.StartRedis(t.Context(), localserver.RedisConfig{Dir: dir, Durable: durable})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Stop(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func query(t *testing.T, url, sql string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	var answer string
	if err := conn.QueryRow(t.Context(), sql).Scan(&answer); err != nil {
		t.Fatal(err)
	}
	return answer
}

// keep commits a table with something in it.
func keep(t *testing.T, url string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), "CREATE TABLE kept AS SELECT 'yes' AS answer"); err != nil {
		t.Fatal(err)
	}
}

func redisClient(t *testing.T, url string) *redis.Client {
	t.Helper()
	options, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(options)
	t.Cleanup(func() { client.Close() })
	return client
}

// refused asserts a fault with a message that holds all of the parts.
func refused(t *testing.T, err error, reason fault.Reason, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("not refused")
	}
	if got := fault.ReasonOf(err); got != reason {
		t.Errorf("reason %v, want %v: %v", got, reason, err)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("message lacks %q:\n%v", part, err)
		}
	}
}

func TestPostgresKeepsItsDataAcrossStops(t *testing.T) {
	dir := filepath.Join(folder(t), "with a space", "postgres")
	p := startPostgres(t, dir, true)
	keep(t, p.URL())
	for name, want := range map[string]string{
		"fsync": "on", "TimeZone": "UTC", "listen_addresses": "127.0.0.1", "data_checksums": "on", "jit": "off",
	} {
		if got := query(t, p.URL(), "SHOW "+name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
	<-p.Done()
	unreachable(t, p.URL())
	if got := query(t, startPostgres(t, dir, true).URL(), "SELECT answer FROM kept"); got != "yes" {
		t.Errorf("kept %q", got)
	}
}

func TestPostgresOfATestIsFast(t *testing.T) {
	p := startPostgres(t, filepath.Join(folder(t), "postgres"), false)
	for _, name := range []string{"fsync", "synchronous_commit", "full_page_writes"} {
		if got := query(t, p.URL(), "SHOW "+name); got != "off" {
			t.Errorf("%s is %s", name, got)
		}
	}
}

func TestPostgresWantsItsPassword(t *testing.T) {
	dir := filepath.Join(folder(t), "postgres")
	p := startPostgres(t, dir, false)
	u, err := url.Parse(p.URL())
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(u.User.Username(), "guess")
	if conn, err := pgx.Connect(t.Context(), u.String()); err == nil {
		conn.Close(t.Context())
		t.Error("let in with a wrong password")
	}
	info, err := os.Stat(filepath.Join(dir, "password"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("password file: %v, %v", info.Mode(), err)
	}
}

func TestSecondOwnerIsRefused(t *testing.T) {
	dir := folder(t)
	postgres, redis := filepath.Join(dir, "postgres"), filepath.Join(dir, "redis")
	startPostgres(t, postgres, false)
	startRedis(t, redis, false)
	inUse := fmt.Sprintf("is in use by process %d; stop that one first, or choose another directory", os.Getpid())
	_, err := localserver.StartPostgres(t.Context(), localserver.PostgresConfig{Dir: postgres})
	refused(t, err, fault.FailedPrecondition, "data directory "+postgres+" ", inUse)
	_, err = localserver.StartRedis(t.Context(), localserver.RedisConfig{Dir: redis})
	refused(t, err, fault.FailedPrecondition, "data directory "+redis+" ", inUse)
}

func TestRedisKeepsWhatItIsToldTo(t *testing.T) {
	for _, durable := range []bool{true, false} {
		dir := filepath.Join(folder(t), "with a space", "redis")
		r := startRedis(t, dir, durable)
		if err := redisClient(t, r.URL()).Set(t.Context(), "key", "value", 0).Err(); err != nil {
			t.Fatal(err)
		}
		if err := r.Stop(); err != nil {
			t.Fatal(err)
		}
		<-r.Done()
		unreachable(t, r.URL())
		count, err := redisClient(t, startRedis(t, dir, durable).URL()).Exists(t.Context(), "key").Result()
		if err != nil || (count == 1) != durable {
			t.Errorf("durable %v: found %d keys, %v", durable, count, err)
		}
	}
}

func TestRedisWantsItsPassword(t *testing.T) {
	r := startRedis(t, filepath.Join(folder(t), "redis"), false)
	u, err := url.Parse(r.URL())
	if err != nil {
		t.Fatal(err)
	}
	u.User = nil
	if err := redisClient(t, u.String()).Get(t.Context(), "key").Err(); err == nil || !strings.HasPrefix(err.Error(), "NOAUTH") {
		t.Errorf("without the password: %v", err)
	}
}

func unreachable(t *testing.T, server string) {
	t.Helper()
	if conn, err := net.Dial("tcp", address(t, server)); err == nil {
		conn.Close()
		t.Errorf("something still listens at %s", address(t, server))
	}
}

func address(t *testing.T, server string) string {
	t.Helper()
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}

// awaitSilence returns when nothing listens there any more.
func awaitSilence(t *testing.T, address string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return
		}
		conn.Close()
	}
	t.Fatalf("something still listens at %s after a minute", address)
}

// An owner that is killed leaves no server behind, and what was committed is there for the next owner.
func TestServersEndWithAKilledOwner(t *testing.T) {
	dir := folder(t)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), ownerVariable+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	end := sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	defer end()
	lines := bufio.NewScanner(out)
	var urls []string
	for len(urls) < 2 && lines.Scan() {
		urls = append(urls, lines.Text())
	}
	if len(urls) < 2 || !strings.HasPrefix(urls[0], "postgres://") {
		t.Fatalf("the owner did not start its servers: %q", urls)
	}
	keep(t, urls[0])
	if err := redisClient(t, urls[1]).Set(t.Context(), "key", "value", 0).Err(); err != nil {
		t.Fatal(err)
	}
	_, err = localserver.StartPostgres(t.Context(), localserver.PostgresConfig{Dir: filepath.Join(dir, "postgres")})
	refused(t, err, fault.FailedPrecondition, fmt.Sprintf("in use by process %d", cmd.Process.Pid))

	end()
	// Without waiting for the servers to be gone: that is for the start to do.
	p := startPostgres(t, filepath.Join(dir, "postgres"), true)
	r := startRedis(t, filepath.Join(dir, "redis"), true)
	awaitSilence(t, address(t, urls[0]))
	awaitSilence(t, address(t, urls[1]))
	if got := query(t, p.URL(), "SELECT answer FROM kept"); got != "yes" {
		t.Errorf("Postgres kept %q", got)
	}
	if err := redisClient(t, r.URL()).Ping(t.Context()).Err(); err != nil {
		t.Error(err)
	}
}

// A machine that lost power leaves a pid file whose pid is soon another process's.
func TestPostgresStartsOverAStalePid(t *testing.T) {
	dir := filepath.Join(folder(t), "postgres")
	if err := startPostgres(t, dir, false).Stop(); err != nil {
		t.Fatal(err)
	}
	stale := fmt.Sprintf("%d\n%s/data\n0\n5432\n\n127.0.0.1\n  0 0\nready   \n", os.Getpid(), dir)
	if err := os.WriteFile(filepath.Join(dir, "data", "postmaster.pid"), []byte(stale), 0o600); err != nil {
		t.Fatal(err)
	}
	startPostgres(t, dir, false)
}

func TestUnfinishedInitialisationIsDoneAgain(t *testing.T) {
	dir := filepath.Join(folder(t), "postgres")
	if err := os.MkdirAll(filepath.Join(dir, "data.new", "base"), 0o700); err != nil {
		t.Fatal(err)
	}
	if got := query(t, startPostgres(t, dir, false).URL(), "SELECT current_database()"); got != "headwater" {
		t.Errorf("database %q", got)
	}
}

func TestMissingPrograms(t *testing.T) {
	empty := folder(t)
	dir := filepath.Join(empty, "data")

	t.Setenv("HEADWATER_PG_BIN", empty)
	_, err := localserver.StartPostgres(t.Context(), localserver.PostgresConfig{Dir: dir})
	refused(t, err, fault.PostgresUnavailable, "HEADWATER_PG_BIN is "+empty, "no working initdb and postgres", "unset it")

	t.Setenv("HEADWATER_REDIS_BIN", empty)
	_, err = localserver.StartRedis(t.Context(), localserver.RedisConfig{Dir: dir})
	refused(t, err, fault.RedisUnavailable, "HEADWATER_REDIS_BIN is "+empty, "no working redis-server", "unset it")
}

// script writes a program that prints text.
func script(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte("#!/bin/sh\necho '"+text+"'\n"), 0o755); err != nil {
		t.Fatal(err)
	}
}

func TestOldRedisIsRefused(t *testing.T) {
	old := folder(t)
	script(t, filepath.Join(old, "redis-server"), "Redis server v=6.0.16 sha=00000000:0 malloc=jemalloc-5.2.1 bits=64")
	t.Setenv("HEADWATER_REDIS_BIN", old)
	_, err := localserver.StartRedis(t.Context(), localserver.RedisConfig{Dir: filepath.Join(old, "data")})
	refused(t, err, fault.RedisUnavailable, "has Redis 6; Headwater needs 7 or later")
}

func TestPostgresOfAnotherVersionIsRefused(t *testing.T) {
	old := folder(t)
	script(t, filepath.Join(old, "initdb"), "")
	script(t, filepath.Join(old, "postgres"), "postgres (PostgreSQL) 14.9")
	dir := filepath.Join(folder(t), "postgres")
	t.Setenv("HEADWATER_PG_BIN", old)
	_, err := localserver.StartPostgres(t.Context(), localserver.PostgresConfig{Dir: dir})
	refused(t, err, fault.PostgresUnavailable, "has Postgres 14; Headwater needs 15 or later")

	t.Setenv("HEADWATER_PG_BIN", "")
	if err := startPostgres(t, dir, false).Stop(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "data", "PG_VERSION"), []byte("99\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = localserver.StartPostgres(t.Context(), localserver.PostgresConfig{Dir: dir})
	refused(t, err, fault.PostgresUnavailable, "need Postgres 99, which made the data directory", "HEADWATER_PG_BIN")
}

func TestOutOfReachForPostgres(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root has to run Postgres as another user")
	}
	closed := filepath.Join(folder(t), "closed")
	if err := os.Mkdir(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(closed, "postgres")
	_, err := localserver.StartPostgres(t.Context(), localserver.PostgresConfig{Dir: dir})
	refused(t, err, fault.FailedPrecondition, dir, closed+" is closed to it", "OS user `postgres`")
}

// A server that does not start shows the end of its log, and leaves neither a process nor a lock.
func TestServerThatDoesNotStart(t *testing.T) {
	dir := filepath.Join(folder(t), "postgres")
	if err := startPostgres(t, dir, false).Stop(); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "data", "postgresql.auto.conf")
	good, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(config, []byte("shared_buffers = 'much'\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = localserver.StartPostgres(t.Context(), localserver.PostgresConfig{Dir: dir})
	refused(t, err, fault.PostgresUnavailable, "did not start in "+dir, "postgres.log", "postgresql.auto.conf")
	if err := os.WriteFile(config, good, 0o600); err != nil {
		t.Fatal(err)
	}
	startPostgres(t, dir, false)
}

func TestStartIsCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := folder(t)
	if _, err := localserver.StartPostgres(ctx, localserver.PostgresConfig{Dir: filepath.Join(dir, "postgres")}); err == nil {
		t.Error("Postgres started")
	}
	if _, err := localserver.StartRedis(ctx, localserver.RedisConfig{Dir: filepath.Join(dir, "redis")}); err == nil {
		t.Error("Redis started")
	}
	startPostgres(t, filepath.Join(dir, "postgres"), false)
	startRedis(t, filepath.Join(dir, "redis"), false)
}

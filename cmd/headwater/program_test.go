package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/headwaterhq/headwater/internal/testenv"
)

// asProgram set, the test binary is the program itself. What is killed, or reads its environment, needs a process.
const asProgram = "HEADWATER_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		go endWithParent()
		if folder := os.Getenv(stepsFolder); folder != "" {
			inTests.reached, inTests.chunkRows = stopAt(folder), crashChunkRows
		}
		main()
		return
	}
	// What a user of this machine calls is nothing to tests.
	os.Setenv(configName, os.DevNull)
	testenv.Main(m)
}

// endWithParent ends this process when the test is gone, however it ended: its end of the pipe is closed then.
func endWithParent() {
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(exitFailed)
}

// startLimit bounds what a test waits for, in place of waiting for ever.
const startLimit = 2 * time.Minute

// program is the program in a process of its own, without the environment of this one that it would read. It is not
// started yet.
func program(t *testing.T, environment []string, args ...string) *exec.Cmd {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, args...)
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "HEADWATER_") || strings.HasPrefix(variable, "HEADWATER_PG_BIN=") ||
			strings.HasPrefix(variable, "HEADWATER_REDIS_BIN=") {
			cmd.Env = append(cmd.Env, variable)
		}
	}
	cmd.Env = append(cmd.Env, asProgram+"=1")
	cmd.Env = append(cmd.Env, environment...)
	// Closed by cmd's Wait.
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

// runProgram runs the program in a process of its own to its end.
func runProgram(t *testing.T, environment []string, args ...string) result {
	t.Helper()
	cmd := program(t, environment, args...)
	var out, err bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &err
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	defer context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })()
	failed := cmd.Run()
	if exit := (*exec.ExitError)(nil); failed != nil && !errors.As(failed, &exit) {
		t.Fatal(failed)
	}
	return result{cmd.ProcessState.ExitCode(), out.String(), err.String()}
}

// serverProcess is a `dev` or `serve` in a process of its own.
type serverProcess struct {
	cmd *exec.Cmd
	log *os.File
	// address and token are those to call it with.
	address, token string
	// ended is closed when the process has.
	ended chan struct{}
}

// launch starts a server that says it is ready by writing a file, or by a line of its log.
func launch(t *testing.T, cmd *exec.Cmd, ready func() bool) *serverProcess {
	t.Helper()
	log, err := os.CreateTemp(t.TempDir(), "log")
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s := &serverProcess{cmd: cmd, log: log, ended: make(chan struct{})}
	go func() {
		_ = cmd.Wait()
		close(s.ended)
	}()
	t.Cleanup(func() {
		s.kill()
		log.Close()
	})
	for deadline := time.Now().Add(startLimit); !ready(); time.Sleep(10 * time.Millisecond) {
		select {
		case <-s.ended:
			t.Fatalf("the server ended before it was ready:\n%s", s.said(t))
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("the server was not ready within %v:\n%s", startLimit, s.said(t))
		}
	}
	return s
}

// said is all that the server wrote.
func (s *serverProcess) said(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(s.log.Name())
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// signal sends one, and waits for the process's end. It returns the exit status, -1 when a signal ended it.
func (s *serverProcess) signal(t *testing.T, which syscall.Signal) int {
	t.Helper()
	if err := s.cmd.Process.Signal(which); err != nil {
		t.Fatal(err)
	}
	return s.wait(t)
}

// wait waits for the process's end and returns its exit status.
func (s *serverProcess) wait(t *testing.T) int {
	t.Helper()
	select {
	case <-s.ended:
	case <-time.After(startLimit):
		t.Fatalf("the server did not end within %v:\n%s", startLimit, s.said(t))
	}
	return s.cmd.ProcessState.ExitCode()
}

func (s *serverProcess) kill() {
	_ = s.cmd.Process.Kill()
	<-s.ended
}

// run runs a client command in this process against the server, as its administrator.
func (s *serverProcess) run(args ...string) result { return s.runAs(s.token, args...) }

// runAs is run with another token, "" for none.
func (s *serverProcess) runAs(token string, args ...string) result {
	args = append([]string{"--server", s.address}, args...)
	if token != "" {
		args = append([]string{"--token", token}, args...)
	}
	return headwater(args...)
}

// must runs a command that is to succeed, and returns its standard output.
func (s *serverProcess) must(t *testing.T, args ...string) string {
	t.Helper()
	r := s.run(args...)
	if r.code != exitDone {
		t.Fatalf("headwater %s: found exit status %d and\n%s%s", strings.Join(args, " "), r.code, r.out, r.err)
	}
	return r.out
}

// ask runs a command that is to succeed, and reads its JSON into m, which must know every field of it.
func (s *serverProcess) ask(t *testing.T, m proto.Message, args ...string) {
	t.Helper()
	parse(t, s.must(t, append(args, "-o", "json")...), m)
}

// passableFolder is a temporary folder that the OS user of Postgres can pass through.
func passableFolder(t *testing.T) string {
	t.Helper()
	folder, err := os.MkdirTemp("", "headwater-dev-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(folder); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(folder, 0o711); err != nil {
		t.Fatal(err)
	}
	return folder
}

// dev is a `headwater dev` in a process of its own, on the data of folder.
type dev struct {
	*serverProcess
	folder string
}

// startDev starts a dev on a folder that passableFolder made, stopped at the test's end.
func startDev(t *testing.T, folder string) *dev {
	t.Helper()
	ready := filepath.Join(folder, "ready")
	_ = os.Remove(ready)
	data := filepath.Join(folder, "data")
	cmd := program(t, nil, "dev", "--data-dir", data, "--listen", "127.0.0.1:0", "--ready-file", ready)
	s := launch(t, cmd, func() bool { _, err := os.Stat(ready); return err == nil })
	content, err := os.ReadFile(ready)
	if err != nil {
		t.Fatal(err)
	}
	lines := map[string]string{}
	for line := range strings.Lines(string(content)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		lines[name] = value
	}
	token, err := os.ReadFile(lines["HEADWATER_TOKEN_FILE"])
	if err != nil {
		t.Fatal(err)
	}
	s.address, s.token = lines["HEADWATER_SERVER"], strings.TrimSpace(string(token))
	return &dev{serverProcess: s, folder: data}
}

// servers are the pids of the private Postgres and Redis.
func (d *dev) servers(t *testing.T) (postgres, redis int) {
	t.Helper()
	pid := func(name string) int {
		text, err := os.ReadFile(filepath.Join(d.folder, name, "lock"))
		if err != nil {
			t.Fatal(err)
		}
		owner, server, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
		if owner != strconv.Itoa(d.cmd.Process.Pid) {
			t.Fatalf("found process %s as the owner of %s, expected %d", owner, name, d.cmd.Process.Pid)
		}
		n, err := strconv.Atoi(server)
		if err != nil || n <= 0 {
			t.Fatalf("found no process of %s in its lock: %q", name, text)
		}
		return n
	}
	return pid("postgres"), pid("redis")
}

// awaitGone waits until no process has the pid.
func awaitGone(t *testing.T, pid int) {
	t.Helper()
	await(t, "process "+strconv.Itoa(pid)+" is gone", func() bool { return !livesStill(pid) })
}

// livesStill tells whether a process lives. One that has ended, and that nobody waits for, does not.
func livesStill(pid int) bool {
	if syscall.Kill(pid, 0) == syscall.ESRCH {
		return false
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err != nil || !strings.Contains(string(stat[bytes.LastIndexByte(stat, ')'):]), " Z ")
}

func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(startLimit); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited for %v in vain: %s", startLimit, what)
		}
	}
}

// parse reads JSON that the program wrote into m, which must know every field of it.
func parse(t *testing.T, out string, m proto.Message) {
	t.Helper()
	if err := protojson.Unmarshal([]byte(out), m); err != nil {
		t.Fatalf("%v in\n%s", err, out)
	}
}

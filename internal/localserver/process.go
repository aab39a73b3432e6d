package localserver

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// process is a child that ends with this process.
type process struct {
	pid  int
	done chan struct{}
	// err is how it ended, readable once done is closed.
	err error
}

// start starts cmd, to be sent onDeath by the kernel when this process dies, where the kernel can do that. The lock is
// inherited. The child is in a process group of its own, so that a Ctrl-C in the terminal reaches its owner alone.
func start(cmd *exec.Cmd, l *lock, onDeath syscall.Signal) (*process, error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	setDeathSignal(cmd.SysProcAttr, onDeath)
	cmd.ExtraFiles = []*os.File{l.file}
	p := &process{done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		// Linux sends the death signal when the thread that forked ends, not the process: this thread must live as long
		// as the child.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		if err == nil {
			p.pid = cmd.Process.Pid
		}
		started <- err
		if err != nil {
			return
		}
		p.err = cmd.Wait()
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// stop sends each signal in turn, giving the process patience after each, and returns when it has gone.
func (p *process) stop(patience time.Duration, signals ...syscall.Signal) error {
	for _, s := range signals {
		select {
		case <-p.done:
			return nil
		default:
		}
		if err := syscall.Kill(p.pid, s); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("signal process %d: %w", p.pid, err)
		}
		select {
		case <-p.done:
			return nil
		case <-time.After(patience):
		}
	}
	return fmt.Errorf("process %d did not end within %v of the last signal", p.pid, patience)
}

// run runs cmd to its end, or to ctx's.
func run(ctx context.Context, cmd *exec.Cmd, l *lock) error {
	p, err := start(cmd, l, syscall.SIGKILL)
	if err != nil {
		return err
	}
	select {
	case <-p.done:
		return p.err
	case <-ctx.Done():
		if err := p.stop(10*time.Second, syscall.SIGTERM, syscall.SIGKILL); err != nil {
			return err
		}
		return ctx.Err()
	}
}

// freePort is a port of 127.0.0.1 that nobody listened on a moment ago. Whoever uses it must be ready to lose the race.
func freePort() (int, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port on 127.0.0.1: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// password is the one in file, made and written there (mode 0600) when there is none.
func password(file string) (string, error) {
	have, err := os.ReadFile(file)
	if text := strings.TrimSpace(string(have)); err == nil && text != "" {
		return text, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read the server's password: %w", err)
	}
	random := make([]byte, 16)
	// crypto/rand.Read never fails.
	_, _ = rand.Read(random)
	text := hex.EncodeToString(random)
	if err := os.WriteFile(file, []byte(text+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("write the server's password: %w", err)
	}
	return text, nil
}

// logTail is the last lines of a server's log.
func logTail(file string) string {
	data, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	lines := bytes.Split(bytes.TrimSpace(data), []byte("\n"))
	return string(bytes.Join(lines[max(0, len(lines)-8):], []byte("\n")))
}

// portTaken tells a lost race for a port from other reasons not to start.
func portTaken(tail string) bool { return strings.Contains(tail, "Address already in use") }

// absolute is dir as an absolute path, made when missing.
func absolute(dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("data directory %s: %w", dir, err)
	}
	return abs, os.MkdirAll(abs, 0o755)
}

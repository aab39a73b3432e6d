package servers

import (
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
)

// ProcessConfig says how a server is started as a process of its own.
type ProcessConfig struct {
	Program                string
	Arguments, Environment []string
	// Address is where it is going to answer.
	Address string
	// Log is the file that what it prints is added to.
	Log string
}

// Process is a server that runs.
type Process struct {
	// Address is where it answers.
	Address string
	cmd     *exec.Cmd
}

// StartProcess starts a server, and returns when it takes connections.
func StartProcess(ctx context.Context, config ProcessConfig) (*Process, error) {
	log, err := os.OpenFile(config.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(config.Program, config.Arguments...)
	cmd.Env, cmd.Stderr, cmd.Stdout = config.Environment, log, log
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &Process{Address: config.Address, cmd: cmd}
	if err := p.await(ctx); err != nil {
		text, _ := os.ReadFile(config.Log)
		return nil, errors.Join(fmt.Errorf("%s does not answer on %s: %w\n%s", config.Program, config.Address, err, text), p.Stop())
	}
	return p, nil
}

// await returns when the server takes connections.
func (p *Process) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	var dialer net.Dialer
	for {
		conn, err := dialer.DialContext(ctx, "tcp", p.Address)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// PID is its number among processes.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Stop asks it to end, and returns when it has.
func (p *Process) Stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	// Its status after a signal says nothing.
	_ = p.cmd.Wait()
	return nil
}

// ProcessTime is a process's time in user and kernel mode, with that of its children that have ended. Linux counts in hundredths.
func ProcessTime(pid int, children bool) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("processor time is read where there is a /proc: %w", err)
	}
	_, own, ended, err := parseStat(text)
	if children {
		own += ended
	}
	return own, err
}

// tick is what Linux counts processor time in.
const tick = 10 * time.Millisecond

// StolenTime is how long a virtual machine had work for a processor that its host gave to others, of all processors since it was started.
func StolenTime() (time.Duration, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, fmt.Errorf("stolen time is read where there is a /proc: %w", err)
	}
	return parseStolen(text)
}

func parseStolen(text []byte) (time.Duration, error) {
	line, _, _ := strings.Cut(string(text), "\n")
	fields := strings.Fields(line)
	const stolenAt = 8
	if len(fields) <= stolenAt || fields[0] != "cpu" {
		return 0, fmt.Errorf("found %q in the status of the processors, expected cpu and %d times or more", line, stolenAt)
	}
	ticks, err := strconv.ParseInt(fields[stolenAt], 10, 64)
	return time.Duration(ticks) * tick, err
}

// parseStat reads what Linux says of a process: its parent, its own time, and that of its children that have ended.
func parseStat(text []byte) (parent int, own, ended time.Duration, err error) {
	// The name of the program, in brackets, may hold anything.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	const parentAt, userTime, kinds = 1, 11, 4
	if len(fields) < userTime+kinds {
		return 0, 0, 0, fmt.Errorf("found %d fields in the status of a process, expected more", len(fields))
	}
	var ticks [kinds]int64
	for i := range ticks {
		if ticks[i], err = strconv.ParseInt(fields[userTime+i], 10, 64); err != nil {
			return 0, 0, 0, err
		}
	}
	parent, err = strconv.Atoi(fields[parentAt])
	return parent, time.Duration(ticks[0]+ticks[1]) * tick, time.Duration(ticks[2]+ticks[3]) * tick, err
}

// FamilyTime is a process's time in user and kernel mode, with that of its children, also of those that have ended.
func FamilyTime(pid int) (time.Duration, error) {
	all, err := ProcessTime(pid, true)
	if err != nil {
		return 0, err
	}
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0, err
	}
	for _, file := range files {
		// Processes end meanwhile.
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		if parent, own, ended, err := parseStat(text); err == nil && parent == pid {
			all += own + ended
		}
	}
	return all, nil
}

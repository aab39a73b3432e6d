package appendlog

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
)

// crashDirectory tells the test binary to be the process that is killed, and where its log is.
const crashDirectory = "APPENDLOG_CRASH_DIRECTORY"

// appendUntilKilled appends from several goroutines, and prints each number and payload after it was acknowledged.
func appendUntilKilled(dir string) {
	l, err := Open(dir, Options{SegmentBytes: 4 << 10})
	if err != nil {
		fmt.Println("open:", err)
		os.Exit(1)
	}
	var printing sync.Mutex
	for a := range 4 {
		go func() {
			for i := 0; ; i++ {
				payload := fmt.Sprintf("%d/%d/%s", a, i, strings.Repeat("x", i%97))
				n, err := l.Append([]byte(payload))
				if err != nil {
					fmt.Println("append:", err)
					os.Exit(1)
				}
				printing.Lock()
				fmt.Printf("%d=%s\n", n, payload)
				printing.Unlock()
			}
		}()
	}
	select {}
}

func TestAcknowledgedRecordsSurviveKill(t *testing.T) {
	dir := t.TempDir()
	acknowledged := map[string]bool{}
	writer := ""
	for round := range 3 {
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), crashDirectory+"="+dir)
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		killAfter := len(acknowledged) + 1000 + 137*round
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if n, _, ok := strings.Cut(lines.Text(), "="); !ok || n == "" {
				t.Fatalf("the child said %q", lines.Text())
			}
			acknowledged[lines.Text()] = true
			if len(acknowledged) == killAfter {
				if err := child.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := child.Wait(); err == nil || child.ProcessState.ExitCode() != -1 {
			t.Fatalf("the child was not killed: %v", child.ProcessState)
		}
		l := open(t, dir, Options{})
		if writer != "" && l.Writer() != writer {
			t.Errorf("the writer changed from %s to %s", writer, l.Writer())
		}
		writer = l.Writer()
		closeLog(t, l)
	}

	l := open(t, dir, Options{})
	next := int64(1)
	err := l.Drain(context.Background(), func(_ context.Context, batch []Record) error {
		for _, r := range batch {
			if r.Number != next {
				t.Fatalf("got record %d, want %d", r.Number, next)
			}
			next++
			delete(acknowledged, fmt.Sprintf("%d=%s", r.Number, r.Payload))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for line := range acknowledged {
		t.Errorf("acknowledged and lost: %s", line)
	}
}

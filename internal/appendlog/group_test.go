package appendlog

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
)

// appended is what became of an Append.
type appended struct {
	number int64
	err    error
}

// appendBehind has n records appended at once, and returns when all of them wait in one group.
func appendBehind(t *testing.T, l *Log, n int, payload string) (wait func() []appended) {
	t.Helper()
	results := make([]appended, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			number, err := l.Append(fmt.Appendf(nil, "%d/%s", i, payload))
			results[i] = appended{number, err}
		})
	}
	for waiting := int64(0); waiting < int64(n); runtime.Gosched() {
		l.mu.Lock()
		if l.waiting != nil {
			waiting = l.waiting.records
		}
		l.mu.Unlock()
	}
	return func() []appended {
		all.Wait()
		return results
	}
}

func TestRecordsThatComeTogetherAreWrittenTogether(t *testing.T) {
	for _, sync := range []bool{false, true} {
		l := open(t, t.TempDir(), Options{Sync: sync})
		appendAll(t, l, "first")
		l.turn.Lock()
		wait := appendBehind(t, l, 5, "x")
		l.mu.Lock()
		written := bytes.Clone(l.waiting.buffer)
		l.mu.Unlock()
		l.turn.Unlock()
		numbers, want := []int64{}, []int64{2, 3, 4, 5, 6}
		payloads := map[int64]string{1: "first"}
		for i, a := range wait() {
			if a.err != nil {
				t.Fatal(a.err)
			}
			numbers = append(numbers, a.number)
			payloads[a.number] = fmt.Sprintf("%d/x", i)
		}
		slices.Sort(numbers)
		wantEqual(t, "the numbers of a group", numbers, want)
		file, err := os.ReadFile(l.active().path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.HasSuffix(file, written) {
			t.Error("the file does not end in what was put together")
		}
		var expected []string
		for n := int64(1); n <= 6; n++ {
			expected = append(expected, fmt.Sprintf("%d=%s", n, payloads[n]))
		}
		wantEqual(t, "what was delivered", drain(t, l), expected)
		closeLog(t, l)
	}
}

// A write that fails fails for all whose records were in it, and for those who have numbers behind them.
func TestAWriteThatFailsFailsForAll(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, Options{})
	l.mu.Lock()
	file := l.file
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	l.file = w
	l.mu.Unlock()
	l.turn.Lock()
	// More than a pipe takes: the write goes on until nobody can read any more.
	wait := appendBehind(t, l, 3, strings.Repeat("x", 1<<20))
	l.turn.Unlock()
	for writing := int64(0); writing == 0; runtime.Gosched() {
		l.mu.Lock()
		writing = l.writing
		l.mu.Unlock()
	}
	later := appendBehind(t, l, 2, "later")
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	for _, a := range append(wait(), later()...) {
		if a.err == nil {
			t.Errorf("record %d is said to be in the log", a.number)
		}
	}
	if _, err := l.Append([]byte("x")); err == nil || errors.Is(err, ErrClosed) {
		t.Errorf("found %v of a log whose write could not be undone, expected that it takes no more", err)
	}
	l.mu.Lock()
	l.file = file
	l.mu.Unlock()
	_ = l.Close()
	_ = w.Close()
	l = open(t, dir, Options{})
	wantEqual(t, "the next number", appendAll(t, l, "next"), []int64{1})
	wantEqual(t, "what is in the log", drain(t, l), []string{"1=next"})
	closeLog(t, l)
}

func TestRecordsAreAppendedTogetherOrNotAtAll(t *testing.T) {
	l := open(t, t.TempDir(), Options{SegmentBytes: 64})
	defer closeLog(t, l)
	appendAll(t, l, "before")
	all := [][]byte{[]byte("one"), bytes.Repeat([]byte("2"), 100), []byte("three")}
	first, err := l.AppendAll(all)
	if err != nil || first != 2 {
		t.Errorf("got record %d and %v, want 2", first, err)
	}
	if _, err := l.AppendAll([][]byte{[]byte("four"), nil}); err == nil || err.Error() != "found a payload of 0 bytes, expected 1 to 16777216" {
		t.Errorf("got %v of an empty payload", err)
	}
	wantEqual(t, "numbers", appendAll(t, l, "after"), []int64{5})
	wantEqual(t, "drained", drain(t, l), []string{"1=before", "2=one", "3=" + string(all[1]), "4=three", "5=after"})
}

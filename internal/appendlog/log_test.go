package appendlog

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDirectory); dir != "" {
		appendUntilKilled(dir)
	}
	goleak.VerifyTestMain(m)
}

func open(t *testing.T, dir string, o Options) *Log {
	t.Helper()
	l, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func closeLog(t *testing.T, l *Log) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func appendAll(t *testing.T, l *Log, payloads ...string) (numbers []int64) {
	t.Helper()
	for _, p := range payloads {
		n, err := l.Append([]byte(p))
		if err != nil {
			t.Fatal(err)
		}
		numbers = append(numbers, n)
	}
	return numbers
}

func drain(t *testing.T, l *Log) (got []string) {
	t.Helper()
	err := l.Drain(context.Background(), func(_ context.Context, batch []Record) error {
		for _, r := range batch {
			got = append(got, fmt.Sprintf("%d=%s", r.Number, r.Payload))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func wantEqual[T comparable](t *testing.T, what string, got, want []T) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func segmentFiles(t *testing.T, dir string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range paths {
		paths[i] = filepath.Base(paths[i])
	}
	return paths
}

func TestNumbersGoOnAfterReopening(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, Options{})
	writer := l.Writer()
	wantEqual(t, "numbers", appendAll(t, l, "a", "b"), []int64{1, 2})
	wantEqual(t, "drained", drain(t, l), []string{"1=a", "2=b"})
	closeLog(t, l)

	l = open(t, dir, Options{})
	if l.Writer() != writer {
		t.Errorf("writer changed from %s to %s", writer, l.Writer())
	}
	wantEqual(t, "drained again", drain(t, l), nil)
	wantEqual(t, "numbers", appendAll(t, l, "c"), []int64{3})
	closeLog(t, l)

	l = open(t, dir, Options{Sync: true})
	wantEqual(t, "numbers", appendAll(t, l, "d"), []int64{4})
	if n := l.Pending(); n != 2 {
		t.Errorf("pending: got %d, want 2", n)
	}
	wantEqual(t, "drained", drain(t, l), []string{"3=c", "4=d"})
}

func TestNumbersAreNotGivenAgainWhenSegmentsAreGone(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, Options{})
	writer := l.Writer()
	appendAll(t, l, "a", "b", "c")
	drain(t, l)
	closeLog(t, l)
	for _, name := range segmentFiles(t, dir) {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	l = open(t, dir, Options{})
	wantEqual(t, "numbers", appendAll(t, l, "d"), []int64{4})
	if l.Writer() != writer {
		t.Errorf("the writer changed")
	}
	wantEqual(t, "drained", drain(t, l), []string{"4=d"})
	closeLog(t, l)

	for _, name := range append(segmentFiles(t, dir), checkpointName) {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	l = open(t, dir, Options{})
	if l.Writer() == writer {
		t.Errorf("numbers begin again under the same writer")
	}
}

func TestDrainBatchesAndRetries(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, Options{BatchRecords: 2})
	appendAll(t, l, "a", "b", "c", "d", "e")
	var batches []int
	refuse := errors.New("receiver is away")
	err := l.Drain(context.Background(), func(_ context.Context, batch []Record) error {
		batches = append(batches, len(batch))
		if len(batches) == 2 {
			return refuse
		}
		return nil
	})
	if !errors.Is(err, refuse) {
		t.Fatalf("got %v, want the receiver's error", err)
	}
	wantEqual(t, "batches", batches, []int{2, 2})
	closeLog(t, l)
	l = open(t, dir, Options{})
	wantEqual(t, "after the refusal", drain(t, l), []string{"3=c", "4=d", "5=e"})
}

func TestDrainBoundsBatchesByBytes(t *testing.T) {
	l := open(t, t.TempDir(), Options{BatchBytes: 10})
	big := strings.Repeat("x", 100)
	appendAll(t, l, big, "a", "b", big)
	var batches []int
	err := l.Drain(context.Background(), func(_ context.Context, batch []Record) error {
		batches = append(batches, len(batch))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "batches", batches, []int{1, 3})
}

func TestDrainEndsWithItsContext(t *testing.T) {
	l := open(t, t.TempDir(), Options{})
	appendAll(t, l, "a")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	err := l.Drain(ctx, func(context.Context, []Record) error { t.Error("delivered"); return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	wantEqual(t, "later", drain(t, l), []string{"1=a"})
}

func TestRotationDeletesDrainedSegments(t *testing.T) {
	dir := t.TempDir()
	// Room for two records of ten bytes.
	o := Options{SegmentBytes: segmentHeaderSize + 2*(recordHeaderSize+10)}
	l := open(t, dir, o)
	var want []string
	for i := 1; i <= 5; i++ {
		payload := fmt.Sprintf("payload %02d", i)
		appendAll(t, l, payload)
		want = append(want, fmt.Sprintf("%d=%s", i, payload))
	}
	wantEqual(t, "segments", segmentFiles(t, dir), []string{
		"00000000000000000001.log", "00000000000000000003.log", "00000000000000000005.log",
	})
	closeLog(t, l)
	l = open(t, dir, o)
	wantEqual(t, "drained", drain(t, l), want)
	wantEqual(t, "segments", segmentFiles(t, dir), []string{"00000000000000000005.log"})

	// The last segment was drained to its end, and is left behind by a rotation.
	appendAll(t, l, "payload 06")
	wantEqual(t, "drained", drain(t, l), []string{"6=payload 06"})
	appendAll(t, l, "payload 07")
	wantEqual(t, "drained", drain(t, l), []string{"7=payload 07"})
	wantEqual(t, "segments", segmentFiles(t, dir), []string{"00000000000000000007.log"})
}

func TestDirectoryIsNotShared(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, Options{})
	_, err := Open(dir, Options{})
	if !errors.Is(err, ErrLocked) {
		t.Fatalf("got %v, want ErrLocked", err)
	}
	want := "another process has the append log in " + dir + "; give each server a data directory of its own, or stop the other one"
	if err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
	closeLog(t, l)
	open(t, dir, Options{})
}

func TestClosedLog(t *testing.T) {
	l := open(t, t.TempDir(), Options{})
	closeLog(t, l)
	closeLog(t, l)
	if _, err := l.Append([]byte("a")); !errors.Is(err, ErrClosed) {
		t.Errorf("Append: got %v, want ErrClosed", err)
	}
	if err := l.Drain(context.Background(), nil); !errors.Is(err, ErrClosed) {
		t.Errorf("Drain: got %v, want ErrClosed", err)
	}
}

func TestPayloadBounds(t *testing.T) {
	l := open(t, t.TempDir(), Options{})
	for _, size := range []int{0, MaxPayload + 1} {
		_, err := l.Append(make([]byte, size))
		if want := fmt.Sprintf("found a payload of %d bytes, expected 1 to 16777216", size); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if n, err := l.Append(make([]byte, MaxPayload)); n != 1 || err != nil {
		t.Errorf("longest payload: got %d, %v", n, err)
	}
}

func TestConcurrentAppendersAndDrains(t *testing.T) {
	for _, sync := range []bool{false, true} {
		t.Run(fmt.Sprintf("sync=%t", sync), func(t *testing.T) { testConcurrent(t, sync) })
	}
}

func testConcurrent(t *testing.T, syncMode bool) {
	const appenders, each = 4, 200
	l := open(t, t.TempDir(), Options{SegmentBytes: 1000, Sync: syncMode, BatchRecords: 7})
	var delivered []Record
	collect := func(_ context.Context, batch []Record) error {
		// Drains exclude each other, so the race detector would see a slice that two of them share.
		delivered = append(delivered, batch...)
		return nil
	}
	var group sync.WaitGroup
	acknowledged := make([]map[int64]string, appenders)
	for a := range appenders {
		acknowledged[a] = map[int64]string{}
		group.Go(func() {
			for i := range each {
				payload := fmt.Sprintf("%d/%d", a, i)
				n, err := l.Append([]byte(payload))
				if err != nil {
					t.Error(err)
					return
				}
				acknowledged[a][n] = payload
			}
		})
	}
	for range 2 {
		group.Go(func() {
			for range 20 {
				if err := l.Drain(context.Background(), collect); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	if err := l.Drain(context.Background(), collect); err != nil {
		t.Fatal(err)
	}
	if len(delivered) != appenders*each {
		t.Fatalf("delivered %d records, want %d", len(delivered), appenders*each)
	}
	for i, r := range delivered {
		if r.Number != int64(i+1) {
			t.Fatalf("record %d was delivered as number %d", r.Number, i+1)
		}
		var a int
		fmt.Sscanf(string(r.Payload), "%d/", &a)
		if acknowledged[a][r.Number] != string(r.Payload) {
			t.Errorf("number %d: delivered %q, acknowledged %q", r.Number, r.Payload, acknowledged[a][r.Number])
		}
	}
}

func TestGoldenDirectory(t *testing.T) {
	want := appendSegmentHeader(nil, 41)
	for i, p := range []string{"first", "second", "\x00\xff"} {
		want = appendRecord(want, 41+int64(i), []byte(p))
	}
	golden := filepath.Join("testdata", "segment-v1.log")
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(golden, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	stored, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if string(stored) != string(want) {
		t.Errorf("the encoding has drifted from %s:\n got %x\nwant %x", golden, want, stored)
	}

	dir := t.TempDir()
	for name, content := range map[string][]byte{
		"00000000000000000041.log": stored,
		writerName:                 []byte("000102030405060708090a0b0c0d0e0f\n"),
		checkpointName:             binary.BigEndian.AppendUint32(append([]byte("HWC1"), 0, 0, 0, 0, 0, 0, 0, 42), 0x409eeb4b),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l := open(t, dir, Options{})
	if l.Writer() != "000102030405060708090a0b0c0d0e0f" {
		t.Errorf("writer: got %s", l.Writer())
	}
	wantEqual(t, "drained", drain(t, l), []string{"42=second", "43=\x00\xff"})
	wantEqual(t, "numbers", appendAll(t, l, "fourth"), []int64{44})
}

func TestTrim(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, Options{})
	files := func() (names []string) {
		found, err := filepath.Glob(filepath.Join(dir, "*.log"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			names = append(names, filepath.Base(f))
		}
		return names
	}
	trim := func() {
		if err := l.Trim(); err != nil {
			t.Fatal(err)
		}
	}
	trim()
	wantEqual(t, "segments of an empty log", files(), []string{"00000000000000000001.log"})
	appendAll(t, l, "a", "b")
	trim()
	wantEqual(t, "segments with what is undelivered", files(), []string{"00000000000000000001.log"})
	if l.Bytes() != segmentHeaderSize+2*(recordHeaderSize+1) {
		t.Errorf("found %d bytes", l.Bytes())
	}
	wantEqual(t, "drained", drain(t, l), []string{"1=a", "2=b"})
	trim()
	trim()
	wantEqual(t, "segments", files(), []string{"00000000000000000003.log"})
	wantEqual(t, "numbers", appendAll(t, l, "c"), []int64{3})
	wantEqual(t, "drained after", drain(t, l), []string{"3=c"})
	trim()
	closeLog(t, l)
	l = open(t, dir, Options{})
	wantEqual(t, "numbers of the log opened again", appendAll(t, l, "d"), []int64{4})
	wantEqual(t, "drained again", drain(t, l), []string{"4=d"})
	closeLog(t, l)
}

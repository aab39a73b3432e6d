package appendlog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// logOfThree makes a closed log with the records a, bb, ccc, and returns its only segment and the offsets of the records
// and of the end.
func logOfThree(t *testing.T) (dir, path string, offsets []int) {
	t.Helper()
	dir = t.TempDir()
	l := open(t, dir, Options{})
	appendAll(t, l, "a", "bb", "ccc")
	closeLog(t, l)
	at := segmentHeaderSize
	for _, size := range []int{1, 2, 3} {
		offsets = append(offsets, at)
		at += recordHeaderSize + size
	}
	return dir, filepath.Join(dir, "00000000000000000001.log"), append(offsets, at)
}

func TestTornTailIsCut(t *testing.T) {
	_, path, offsets := logOfThree(t)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	type tail struct {
		name    string
		content []byte
		want    []string
		torn    int
	}
	two, three := []string{"1=a", "2=bb"}, []string{"1=a", "2=bb", "3=ccc"}
	var tails []tail
	for size := offsets[2]; size < offsets[3]; size++ {
		tails = append(tails, tail{fmt.Sprintf("%d bytes", size), whole[:size], two, size - offsets[2]})
	}
	for _, zeros := range []int{0, 1, recordHeaderSize, 100} {
		content := append(bytes.Clone(whole), make([]byte, zeros)...)
		tails = append(tails, tail{fmt.Sprintf("%d zeros", zeros), content, three, zeros})
	}
	unwritten := bytes.Clone(whole)
	copy(unwritten[offsets[3]-2:], "\x00\x00")
	tails = append(tails, tail{"last payload not written out", unwritten, two, len(whole) - offsets[2]})

	for _, c := range tails {
		t.Run(c.name, func(t *testing.T) {
			dir, path, _ := logOfThree(t)
			if err := os.WriteFile(path, c.content, 0o600); err != nil {
				t.Fatal(err)
			}
			l := open(t, dir, Options{})
			if l.TornBytes() != int64(c.torn) {
				t.Errorf("cut %d bytes, want %d", l.TornBytes(), c.torn)
			}
			next := int64(len(c.want) + 1)
			wantEqual(t, "numbers", appendAll(t, l, "new"), []int64{next})
			wantEqual(t, "drained", drain(t, l), append(slices.Clone(c.want), fmt.Sprintf("%d=new", next)))
		})
	}
}

func TestTornSegmentHeader(t *testing.T) {
	o := Options{SegmentBytes: 1}
	for size := range segmentHeaderSize {
		dir := t.TempDir()
		l := open(t, dir, o)
		appendAll(t, l, "a", "b")
		closeLog(t, l)
		if err := os.Truncate(filepath.Join(dir, "00000000000000000002.log"), int64(size)); err != nil {
			t.Fatal(err)
		}
		l = open(t, dir, o)
		wantEqual(t, "numbers", appendAll(t, l, "c"), []int64{2})
		wantEqual(t, "drained", drain(t, l), []string{"1=a", "2=c"})
		closeLog(t, l)
	}
}

func TestDamageIsNamed(t *testing.T) {
	for _, c := range []struct {
		name   string
		damage func(b []byte, offsets []int) []byte
		offset func(offsets []int) int64
		found  string
	}{
		{
			"payload in the middle",
			func(b []byte, o []int) []byte { b[o[1]+recordHeaderSize]++; return b },
			func(o []int) int64 { return int64(o[1]) },
			"the checksum of the payload of record 2 does not match",
		},
		{
			"length that reaches beyond the end",
			func(b []byte, o []int) []byte { b[o[1]+2]++; return b },
			func(o []int) int64 { return int64(o[1]) },
			"the checksum of the header of record 2 does not match",
		},
		{
			"record removed",
			func(b []byte, o []int) []byte { return append(b[:o[1]], b[o[2]:]...) },
			func(o []int) int64 { return int64(o[1]) },
			"the checksum of the header of record 2 does not match",
		},
		{
			"record repeated",
			func(b []byte, o []int) []byte { return append(bytes.Clone(b[:o[1]]), b[o[0]:]...) },
			func(o []int) int64 { return int64(o[1]) },
			"the checksum of the header of record 2 does not match",
		},
		{
			"empty record",
			func(b []byte, o []int) []byte {
				h := appendRecord(nil, 2, []byte("x"))[:8]
				h[3], h[4], h[5], h[6], h[7] = 0, 0, 0, 0, 0
				sum := headerChecksum(2, h)
				return append(append(b[:o[1]], h...), byte(sum>>24), byte(sum>>16), byte(sum>>8), byte(sum))
			},
			func(o []int) int64 { return int64(o[1]) },
			"record 2 has a payload of 0 bytes, expected 1 to 16777216",
		},
		{
			"magic",
			func(b []byte, _ []int) []byte { b[0] = 'X'; return b },
			func([]int) int64 { return 0 },
			`found "XWAL", expected the magic "HWAL"`,
		},
		{
			"version",
			func(b []byte, _ []int) []byte { b[7] = 9; return b },
			func([]int) int64 { return 0 },
			"found format version 9, expected 1",
		},
		{
			"first number",
			func(b []byte, _ []int) []byte { b[15]++; return b },
			func([]int) int64 { return 0 },
			"the checksum of the segment's header does not match",
		},
		{
			"another segment's content",
			func(b []byte, _ []int) []byte { return appendSegmentHeader(nil, 2) },
			func([]int) int64 { return 0 },
			"its header says record 2, its name 1",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, path, offsets := logOfThree(t)
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			before := c.damage(b, offsets)
			if err := os.WriteFile(path, before, 0o600); err != nil {
				t.Fatal(err)
			}
			_, err = Open(dir, Options{})
			var damage *DamageError
			if !errors.As(err, &damage) {
				t.Fatalf("got %v, want a DamageError", err)
			}
			want := DamageError{File: path, Offset: c.offset(offsets), Found: c.found}
			if *damage != want {
				t.Errorf("got %+v, want %+v", *damage, want)
			}
			text := fmt.Sprintf("append log file %s is damaged at offset %d: %s; restore the file from a copy, or move the "+
				"whole directory aside to start a new log and keep what can be read of this one", path, want.Offset, c.found)
			if err.Error() != text {
				t.Errorf("got %q, want %q", err, text)
			}
			if after, _ := os.ReadFile(path); !bytes.Equal(after, before) {
				t.Errorf("opening changed the damaged file")
			}
		})
	}
}

func TestDamageBetweenFiles(t *testing.T) {
	for _, c := range []struct {
		name, file, found string
		damage            func(dir string) error
	}{
		{
			"segment missing in the middle", "00000000000000000003.log", "it begins with record 3, expected 2",
			func(dir string) error { return os.Remove(filepath.Join(dir, "00000000000000000002.log")) },
		},
		{
			"first segment missing", "00000000000000000003.log",
			"it begins with record 3, but record 2 has not been delivered and its file is missing",
			func(dir string) error {
				return errors.Join(writeCheckpoint(filepath.Join(dir, checkpointName), 2),
					os.Remove(filepath.Join(dir, "00000000000000000001.log")), os.Remove(filepath.Join(dir, "00000000000000000002.log")))
			},
		},
		{
			"segment torn in the middle", "00000000000000000002.log",
			"the segment ends within record 2, and a later segment follows",
			func(dir string) error {
				return os.Truncate(filepath.Join(dir, "00000000000000000002.log"), segmentHeaderSize+3)
			},
		},
		{
			"name", "x.log", `found a segment named "x", expected the 20 digits of its first record's number`,
			func(dir string) error {
				return os.Rename(filepath.Join(dir, "00000000000000000001.log"), filepath.Join(dir, "x.log"))
			},
		},
		{
			"checkpoint", checkpointName, "found 3 bytes that are not a checkpoint",
			func(dir string) error { return os.WriteFile(filepath.Join(dir, checkpointName), []byte("abc"), 0o600) },
		},
		{
			"writer", writerName, `found "me", expected 32 hex digits`,
			func(dir string) error { return os.WriteFile(filepath.Join(dir, writerName), []byte("me\n"), 0o600) },
		},
		{
			"no writer", writerName, "the file is missing, and the segments were written under its id",
			func(dir string) error { return os.Remove(filepath.Join(dir, writerName)) },
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			l := open(t, dir, Options{SegmentBytes: 1})
			appendAll(t, l, "a", "b", "c")
			closeLog(t, l)
			if err := c.damage(dir); err != nil {
				t.Fatal(err)
			}
			_, err := Open(dir, Options{})
			var damage *DamageError
			if !errors.As(err, &damage) {
				t.Fatalf("got %v, want a DamageError", err)
			}
			if damage.File != filepath.Join(dir, c.file) || damage.Found != c.found {
				t.Errorf("got %s: %s, want %s: %s", damage.File, damage.Found, c.file, c.found)
			}
		})
	}
}

func FuzzDecoder(f *testing.F) {
	var whole []byte
	payloads := [][]byte{[]byte("a"), []byte("bb"), bytes.Repeat([]byte("c"), 300)}
	for i, p := range payloads {
		whole = appendRecord(whole, int64(i+1), p)
	}
	f.Add(whole)
	f.Add(whole[:len(whole)-1])
	f.Add(append(bytes.Clone(whole), 0, 0, 0))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		d := newDecoder("fuzz", bytes.NewReader(b), 0, int64(len(b)), 1)
		var again []byte
		for {
			before := d.offset
			r, err := d.next()
			if err == nil {
				again = appendRecord(again, r.Number, r.Payload)
				if !bytes.Equal(again, b[:d.offset]) {
					t.Fatalf("record %d does not encode to the bytes it was read from", r.Number)
				}
				continue
			}
			if d.offset != before {
				t.Errorf("the offset moved from %d to %d on an error", before, d.offset)
			}
			var damage *DamageError
			switch {
			case errors.Is(err, io.EOF):
				if d.offset != int64(len(b)) {
					t.Errorf("ended at %d of %d", d.offset, len(b))
				}
			case errors.Is(err, errTorn):
			case errors.As(err, &damage):
				if damage.Offset != before {
					t.Errorf("damage at %d, want %d", damage.Offset, before)
				}
			default:
				t.Errorf("unexpected error %v", err)
			}
			return
		}
	})
}

package dataset

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/headwaterhq/headwater/internal/fault"
)

const testChunk = 64 << 10

// keep gives the world's builder a folder of kept results.
func (w *world) keep(t *testing.T, config KeptConfig) *Kept {
	t.Helper()
	if config.Dir == "" {
		config.Dir = filepath.Join(t.TempDir(), "results")
	}
	config.Log = slog.New(slog.DiscardHandler)
	k, err := OpenKept(config)
	if err != nil {
		t.Fatal(err)
	}
	k.chunk = testChunk
	w.builder.Keep(k)
	return k
}

func (k *Kept) counted(result string) int {
	var m dto.Metric
	if err := k.results.WithLabelValues(result).Write(&m); err != nil {
		panic(err)
	}
	return int(m.GetCounter().GetValue())
}

func (k *Kept) wantCounts(t *testing.T, hit, miss, dropped int) {
	t.Helper()
	if h, m, d := k.counted("hit"), k.counted("miss"), k.counted("dropped"); h != hit || m != miss || d != dropped {
		t.Errorf("found %d hits, %d misses, %d dropped; expected %d, %d, %d", h, m, d, hit, miss, dropped)
	}
}

// names are the files of the folder.
func (k *Kept) names(t *testing.T) string {
	t.Helper()
	entries, err := os.ReadDir(k.dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return strings.Join(names, " ")
}

// longFlights is a spine whose result is of several chunks.
func longFlights() spine {
	s := someFlights()
	for i := range 5_000 {
		s.rows = append(s.rows, flight(float64(i), "ORD", hours(float64(i%50)), int64(i)))
	}
	return s
}

func TestAKeptResultIsSent(t *testing.T) {
	w := newWorld(t)
	w.publishAll(t)
	k := w.keep(t, KeptConfig{})
	m, out := w.build(t, longFlights(), "")
	if len(out) < 3*testChunk {
		t.Fatalf("the result is %d bytes, expected several chunks", len(out))
	}
	info, err := os.Stat(k.dir)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder has mode %v (%v), expected 0700", info.Mode().Perm(), err)
	}
	if got := k.names(t); got != m.ID+".kept" {
		t.Errorf("the folder holds %s", got)
	}
	// Nothing is computed: the history is not what it was.
	w.exec(t, "DELETE FROM "+historyTable(w.view("delays")))
	sent, again, err := w.fetch(t, m.ID)
	if err != nil || !bytes.Equal(again, out) || sent.ArrowSHA256 != m.ArrowSHA256 {
		t.Errorf("found %d bytes (%v), expected the %d of the build", len(again), err, len(out))
	}
	k.wantCounts(t, 1, 0, 0)
	if len(w.verify(t, m.ID)) == 0 {
		t.Error("a verification looked at what was kept, not at the history")
	}
	if err := k.Drop(m.ID); err != nil {
		t.Fatal(err)
	}
	if _, again, err = w.fetch(t, m.ID); fault.ReasonOf(err) != fault.DigestMismatch || len(again) > 0 {
		t.Errorf("found %v, expected a mismatch", err)
	}
	k.wantCounts(t, 1, 1, 0)
	if got := k.names(t); got != "" {
		t.Errorf("a fetch that failed left %s", got)
	}
}

func TestDoubtfulKeptResultsAreComputedAgain(t *testing.T) {
	w := newWorld(t)
	w.publishAll(t)
	k := w.keep(t, KeptConfig{})
	m, out := w.build(t, longFlights(), "")
	whole, err := os.ReadFile(k.path(m.ID))
	if err != nil {
		t.Fatal(err)
	}
	flip := func(at int) []byte {
		b := bytes.Clone(whole)
		b[at] ^= 4
		return b
	}
	size := len(out)
	damaged := map[string][]byte{
		"first chunk": flip(10), "middle chunk": flip(testChunk + 1), "last chunk": flip(size - 1),
		"checksum of the first chunk": flip(size), "checksum of the last chunk": flip(len(whole) - keptTail - 1),
		"digest of the stream": flip(len(whole) - keptTail), "name of the writer": flip(len(whole) - keptTail + 32),
		"length": flip(len(whole) - keptTail + 71), "greatest bit of the length": flip(len(whole) - keptTail + 64),
		"magic": flip(len(whole) - keptTail + 72), "last byte": flip(len(whole) - 1),
		"empty": {}, "cut short": whole[:len(whole)-1], "cut to half": whole[:len(whole)/2], "longer": append(bytes.Clone(whole), 0),
	}
	dropped := 0
	for name, content := range damaged {
		if err := os.WriteFile(k.path(m.ID), content, 0o600); err != nil {
			t.Fatal(err)
		}
		sent, again, err := w.fetch(t, m.ID)
		if err != nil || !bytes.Equal(again, out) || sent.ArrowSHA256 != m.ArrowSHA256 {
			t.Errorf("%s: found %d bytes (%v), expected the %d of the build", name, len(again), err, size)
		}
		dropped++
		k.wantCounts(t, 0, 0, dropped)
	}
	// What was begun from the folder was ended by computing it, and is not kept; the next fetch is.
	if _, _, err := w.fetch(t, m.ID); err != nil {
		t.Fatal(err)
	}
	if now, err := os.ReadFile(k.path(m.ID)); err != nil || !bytes.Equal(now, whole) {
		t.Errorf("what is kept now is not what the build kept (%v)", err)
	}
	// The file of another dataset under this one's name.
	other, _ := w.build(t, someFlights(), "")
	if err := os.Rename(k.path(other.ID), k.path(m.ID)); err != nil {
		t.Fatal(err)
	}
	if _, again, err := w.fetch(t, m.ID); err != nil || !bytes.Equal(again, out) {
		t.Errorf("found %d bytes (%v), expected those of the dataset", len(again), err)
	}
}

func TestAFetchThatBeganWrongSaysSo(t *testing.T) {
	w := newWorld(t)
	w.publishAll(t)
	k := w.keep(t, KeptConfig{})
	m, out := w.build(t, longFlights(), "")
	// A file that is whole but for its second chunk, and whose first one is of other bytes.
	p := k.begin(m)
	wrong := bytes.Clone(out)
	wrong[100]++
	if _, err := p.Write(wrong); err != nil {
		t.Fatal(err)
	}
	p.commit()
	content, err := os.ReadFile(k.path(m.ID))
	if err != nil {
		t.Fatal(err)
	}
	content[testChunk+5]++
	if err := os.WriteFile(k.path(m.ID), content, 0o600); err != nil {
		t.Fatal(err)
	}
	_, again, err := w.fetch(t, m.ID)
	wantFault(t, err, fault.DigestMismatch, "the kept result was damaged, and what was sent of it is not how the dataset begins; "+
		"throw that away and fetch again, which computes it")
	if len(again) != testChunk {
		t.Errorf("%d bytes were sent, expected the first chunk alone", len(again))
	}
	if _, again, err := w.fetch(t, m.ID); err != nil || !bytes.Equal(again, out) {
		t.Errorf("found %d bytes (%v), expected those of the build", len(again), err)
	}
}

func TestKeptResultsHaveBounds(t *testing.T) {
	w := newWorld(t)
	w.publishAll(t)
	k := w.keep(t, KeptConfig{})
	first, _ := w.build(t, someFlights(), "")
	info, err := os.Stat(k.path(first.ID))
	if err != nil {
		t.Fatal(err)
	}
	k.config.Bytes = 2*info.Size() + 10
	second, _ := w.build(t, someFlights(), "")
	long := time.Now().Add(-time.Hour)
	if err := os.Chtimes(k.path(second.ID), long, long); err != nil {
		t.Fatal(err)
	}
	third, _ := w.build(t, someFlights(), "")
	if got := k.names(t); strings.Contains(got, second.ID) || !strings.Contains(got, first.ID) || !strings.Contains(got, third.ID) {
		t.Errorf("found %s, expected that the oldest one went", got)
	}
	// One that is larger than all is not kept, and takes no other's place.
	before := k.names(t)
	large, _ := w.build(t, longFlights(), "")
	if got := k.names(t); got != before {
		t.Errorf("found %s, expected %s without %s", got, before, large.ID)
	}
	long = time.Now().Add(-DefaultKeptAge - time.Minute)
	if err := os.Chtimes(k.path(first.ID), long, long); err != nil {
		t.Fatal(err)
	}
	// What a process that was killed was writing.
	left, being := filepath.Join(k.dir, "ds_-1"+keptTemporary), filepath.Join(k.dir, "ds_-2"+keptTemporary)
	if err := errors.Join(os.WriteFile(left, nil, 0o600), os.WriteFile(being, nil, 0o600), os.Chtimes(left, long, long)); err != nil {
		t.Fatal(err)
	}
	if err := k.sweep(context.Background(), w.pool); err != nil {
		t.Fatal(err)
	}
	if got, want := k.names(t), filepath.Base(being)+" "+third.ID+".kept"; got != want {
		t.Errorf("found %s, expected %s", got, want)
	}
}

func TestWhatMustNotBeKept(t *testing.T) {
	w := newWorld(t)
	w.publishAll(t)
	k := w.keep(t, KeptConfig{})
	erased, _ := w.build(t, someFlights(), "")
	built, _ := w.build(t, someFlights(), "")
	fine, _ := w.build(t, someFlights(), "")
	w.exec(t, `UPDATE headwater.dataset SET manifest = manifest || '{"erasures": [{}]}' WHERE id = $1`, erased.ID)
	w.exec(t, `UPDATE headwater.dataset SET state = 'built' WHERE id = $1`, built.ID)
	var out bytes.Buffer
	if _, done, err := k.send(context.Background(), w.pool, erased, &out); done || err != nil || out.Len() > 0 {
		t.Errorf("the result of a dataset that an erasure touched was sent (%v)", err)
	}
	if err := k.sweep(context.Background(), w.pool); err != nil {
		t.Fatal(err)
	}
	if got := k.names(t); got != fine.ID+".kept" {
		t.Errorf("found %s, expected that of %s alone", got, fine.ID)
	}
}

func TestAFolderOfKeptResultsThatCannotBe(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := OpenKept(KeptConfig{Dir: file})
	wantFault(t, err, fault.FailedPrecondition, "folder of kept results "+file+": mkdir "+file+": not a directory; "+
		"name one that this process may write to, or none")
}

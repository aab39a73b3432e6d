package dataset

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash/crc32"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/fault"
)

// Kept is a folder of results, so that a fetch need not compute them again. It is a cache: what is in it is checked before it
// is sent, on any doubt it is dropped and computed, and at any time all of it may be deleted. Any number of processes may share
// the folder. Safe for concurrent use; nil keeps nothing.
//
// A file ID.kept is an Arrow IPC stream, followed by the CRC-32C of each MiB of it, 4 bytes, big endian, and by a tail that says of
// what it is:
//
//	SHA-256 of the stream, 32 bytes | SHA-256 of the writer's name, 32 | length of the stream, 8, big endian | keptMagic, 8 |
//	SHA-256 of everything between the stream and here, 32
//
// The checksums find what a disk did to a file. Whoever receives the stream holds all of it to the manifest's SHA-256.
type Kept struct {
	dir    string
	config KeptConfig
	// chunk is the size of what is checked at once: keptChunk, and less in tests.
	chunk int64
	// results counts what became of fetches: hit, miss, dropped.
	results *prometheus.CounterVec
}

// KeptConfig says what a Kept holds.
type KeptConfig struct {
	// Dir is the folder, which is made if it is not there.
	Dir string
	// Bytes bounds the files' sizes, Age how long a result is kept. Default DefaultKeptBytes and DefaultKeptAge.
	Bytes int64
	Age   time.Duration
	// Metrics is where the counter is registered; nil: nowhere.
	Metrics prometheus.Registerer
	// Log is for what no caller hears of. Default slog.Default().
	Log *slog.Logger
}

const (
	DefaultKeptBytes = 10 << 30
	DefaultKeptAge   = 7 * 24 * time.Hour

	keptExtension = ".kept"
	keptTemporary = ".temporary"
	keptMagic     = "HWKEPT02"
	keptChunk     = 1 << 20
	keptTail      = 32 + 32 + 8 + 8 + 32
	checksumSize  = crc32.Size
	// keptTemporaryAge is when a file that is being written is taken for one whose process was killed.
	keptTemporaryAge = 24 * time.Hour
	// keptSweep is how often results are looked for that must not be kept any more.
	keptSweep = time.Minute
)

// OpenKept makes the folder, which only this process's user may read.
func OpenKept(config KeptConfig) (*Kept, error) {
	if config.Bytes == 0 {
		config.Bytes = DefaultKeptBytes
	}
	if config.Age == 0 {
		config.Age = DefaultKeptAge
	}
	if config.Log == nil {
		config.Log = slog.Default()
	}
	k := &Kept{dir: config.Dir, config: config, chunk: keptChunk, results: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "headwater_kept_results_total", Help: "Fetches of datasets by what became of the kept result: hit, miss, or dropped because of doubts.",
	}, []string{"result"})}
	err := os.MkdirAll(k.dir, 0o700)
	if err == nil {
		// A folder that was there may be open to others.
		err = os.Chmod(k.dir, 0o700)
	}
	if err == nil {
		var probe *os.File
		if probe, err = os.CreateTemp(k.dir, "*"+keptTemporary); err == nil {
			err = errors.Join(probe.Close(), os.Remove(probe.Name()))
		}
	}
	if err != nil {
		return nil, fault.New(fault.FailedPrecondition, "folder of kept results %s: %v; name one that this process may write to, or none", k.dir, err)
	}
	if config.Metrics != nil {
		if err := config.Metrics.Register(k.results); err != nil {
			return nil, err
		}
	}
	return k, nil
}

func (k *Kept) path(id string) string { return filepath.Join(k.dir, id+keptExtension) }

// Drop removes the kept result of a dataset, if there is one.
func (k *Kept) Drop(id string) error {
	if k == nil {
		return nil
	}
	err := os.Remove(k.path(id))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// keeping is a result on its way into the folder. It never fails what it is beside: an error ends the keeping alone.
type keeping struct {
	kept *Kept
	m    *Manifest
	file *os.File
	size int64
	// chunk is how much of one was written, and sum its checksum so far; sums are those of the ones before.
	chunk int64
	sum   uint32
	sums  []byte
	err   error
}

// begin returns nil when nothing is to be kept.
func (k *Kept) begin(m *Manifest) *keeping {
	if k == nil {
		return nil
	}
	file, err := os.CreateTemp(k.dir, m.ID+"-*"+keptTemporary)
	if err != nil {
		k.config.Log.Warn("a result is not kept", "dataset", m.ID, "error", err)
		return nil
	}
	return &keeping{kept: k, m: m, file: file}
}

// tee reads r and keeps what is read.
func (p *keeping) tee(r io.Reader) io.Reader {
	if p == nil {
		return r
	}
	return io.TeeReader(r, p)
}

func (p *keeping) Write(b []byte) (int, error) {
	n := len(b)
	if p.size += int64(n); p.size > p.kept.config.Bytes && p.err == nil {
		p.err = errors.New("it is larger than all that may be kept")
	}
	if p.err != nil {
		return n, nil
	}
	if _, p.err = p.file.Write(b); p.err != nil {
		return n, nil
	}
	for len(b) > 0 {
		part := b[:min(int64(len(b)), p.kept.chunk-p.chunk)]
		p.sum = crc32.Update(p.sum, castagnoli, part)
		if p.chunk += int64(len(part)); p.chunk == p.kept.chunk {
			p.endChunk()
		}
		b = b[len(part):]
	}
	return n, nil
}

func (p *keeping) endChunk() {
	p.sums = binary.BigEndian.AppendUint32(p.sums, p.sum)
	p.sum, p.chunk = 0, 0
}

// commit gives the file its name, in which case it is whole.
func (p *keeping) commit() {
	if p == nil {
		return
	}
	if p.err == nil {
		p.err = p.finish()
	}
	if p.err != nil {
		p.kept.config.Log.Warn("a result is not kept", "dataset", p.m.ID, "error", p.err)
	}
}

func (p *keeping) finish() error {
	if p.chunk > 0 {
		p.endChunk()
	}
	stream, err := hex.DecodeString(p.m.ArrowSHA256)
	if err != nil {
		return err
	}
	if _, err := p.file.Write(keptFooter(p.sums, stream, p.m.ArrowWriter, p.size)); err != nil {
		return err
	}
	if err := p.file.Close(); err != nil {
		return err
	}
	if err := p.kept.evict(p.size); err != nil {
		return err
	}
	return os.Rename(p.file.Name(), p.kept.path(p.m.ID))
}

// abort ends the keeping unless it was committed.
func (p *keeping) abort() {
	if p != nil {
		p.file.Close()
		_ = os.Remove(p.file.Name())
	}
}

func keptFooter(sums, stream []byte, writer string, size int64) []byte {
	footer := slices.Concat(sums, stream)
	name := sha256.Sum256([]byte(writer))
	footer = append(footer, name[:]...)
	footer = binary.BigEndian.AppendUint64(footer, uint64(size))
	footer = append(footer, keptMagic...)
	sum := sha256.Sum256(footer)
	return append(footer, sum[:]...)
}

// errDoubt means that a kept result is not what it should be.
var errDoubt = errors.New("it is not whole")

// prefix is the beginning of a result that was sent already, as the checksums of its chunks.
type prefix struct {
	sums  []uint32
	chunk int64
	bytes int64
}

// keptReader reads a kept result chunk by chunk: what it returns of one was checked.
type keptReader struct {
	file *os.File
	// size is the stream's, sums the checksums of its chunks that were not read yet.
	size int64
	sums []byte
	read prefix
	// err is why no more can be read, io.EOF at the end.
	err error
	// buf is a chunk for which a caller had no room, rest what of it was not returned yet.
	buf, rest []byte
}

func (r *keptReader) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		left := r.size - r.read.bytes
		if left == 0 && r.err == nil {
			r.err = io.EOF
		}
		if r.err != nil {
			return 0, r.err
		}
		length := min(r.read.chunk, left)
		if int64(len(p)) >= length {
			if r.err = r.next(p[:length]); r.err != nil {
				return 0, r.err
			}
			return int(length), nil
		}
		if r.buf == nil {
			r.buf = make([]byte, r.read.chunk)
		}
		if r.err = r.next(r.buf[:length]); r.err != nil {
			return 0, r.err
		}
		r.rest = r.buf[:length]
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// next reads the next chunk, which has the length of p, and checks it.
func (r *keptReader) next(p []byte) error {
	if _, err := r.file.ReadAt(p, r.read.bytes); err != nil {
		if err == io.EOF {
			// It was cut since its length was looked at.
			return errDoubt
		}
		return err
	}
	sum := crc32.Checksum(p, castagnoli)
	if sum != binary.BigEndian.Uint32(r.sums) {
		return errDoubt
	}
	r.sums = r.sums[checksumSize:]
	r.read.sums = append(r.read.sums, sum)
	r.read.bytes += int64(len(p))
	return nil
}

// send sends a kept result, if there is one and it is the manifest's. Otherwise done is false, and what was sent nevertheless is
// the beginning of the result, of which each chunk was checked. An error is one of out, or of the database.
func (k *Kept) send(ctx context.Context, q database.Querier, m *Manifest, out io.Writer) (begun prefix, done bool, err error) {
	if k == nil {
		return begun, false, nil
	}
	file, err := os.Open(k.path(m.ID))
	if err != nil {
		k.results.WithLabelValues("miss").Inc()
		return begun, false, nil
	}
	defer file.Close()
	// Whoever deletes a dataset, or erases an entity that is in it, does so first, and drops what is kept then.
	valid, err := keptOf(ctx, q, []string{m.ID})
	if err != nil {
		return begun, false, err
	}
	if valid[m.ID] != m.ArrowSHA256 {
		return begun, false, k.Drop(m.ID)
	}
	r := &keptReader{file: file, read: prefix{chunk: k.chunk}}
	if r.sums, r.size, r.err = k.readFooter(file, m); r.err == nil {
		if _, err := io.Copy(out, r); err != nil && r.err == nil {
			return r.read, false, err
		}
	}
	if r.err != nil && r.err != io.EOF {
		k.results.WithLabelValues("dropped").Inc()
		k.config.Log.WarnContext(ctx, "a kept result is dropped, and computed again", "dataset", m.ID, "error", r.err)
		return r.read, false, k.Drop(m.ID)
	}
	k.results.WithLabelValues("hit").Inc()
	return r.read, true, nil
}

// readFooter returns the checksums of the chunks and the length of a stream that is the manifest's, or an error.
func (k *Kept) readFooter(file *os.File, m *Manifest) (sums []byte, size int64, err error) {
	info, err := file.Stat()
	if err != nil {
		return nil, 0, err
	}
	tail := make([]byte, keptTail)
	if info.Size() < keptTail {
		return nil, 0, errDoubt
	}
	if _, err := file.ReadAt(tail, info.Size()-keptTail); err != nil {
		return nil, 0, err
	}
	size = int64(binary.BigEndian.Uint64(tail[64:72]))
	if size < 0 || size > info.Size() {
		return nil, 0, errDoubt
	}
	chunks := (size + k.chunk - 1) / k.chunk
	if size+chunks*checksumSize+keptTail != info.Size() {
		return nil, 0, errDoubt
	}
	sums = make([]byte, chunks*checksumSize)
	if _, err := file.ReadAt(sums, size); err != nil {
		return nil, 0, err
	}
	stream, err := hex.DecodeString(m.ArrowSHA256)
	if err != nil {
		return nil, 0, err
	}
	if !bytes.Equal(keptFooter(sums, stream, m.ArrowWriter, size)[len(sums):], tail) {
		return nil, 0, errDoubt
	}
	return sums, size, nil
}

// rest writes what of a result was not sent yet, once it is sure that what was is its beginning.
func (s scratch) rest(begun prefix, out io.Writer) error {
	r, err := s.content()
	if err != nil {
		return err
	}
	for _, expected := range begun.sums {
		h := crc32.New(castagnoli)
		if _, err := io.CopyN(h, r, begun.chunk); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if h.Sum32() != expected {
			return fault.New(fault.DigestMismatch, "the kept result was damaged, and what was sent of it is not how the dataset begins; "+
				"throw that away and fetch again, which computes it")
		}
	}
	_, err = io.Copy(out, r)
	return err
}

// keptOf is the SHA-256 of the results of those datasets that may be kept.
func keptOf(ctx context.Context, q database.Querier, ids []string) (map[string]string, error) {
	rows, err := q.Query(ctx, `SELECT id, manifest->>'arrow_sha256' FROM headwater.dataset WHERE id = ANY ($1) AND state = $2
		AND coalesce(manifest->'erasures', 'null') IN ('null', '[]')`, ids, Released)
	if err != nil {
		return nil, err
	}
	list := map[string]string{}
	var id, digest string
	_, err = pgx.ForEachRow(rows, []any{&id, &digest}, func() error {
		list[id] = digest
		return nil
	})
	return list, err
}

type keptFile struct {
	id, path string
	size     int64
	at       time.Time
}

// list is the files of the folder, the oldest first; those that are being written have no id.
func (k *Kept) list() ([]keptFile, error) {
	entries, err := os.ReadDir(k.dir)
	if err != nil {
		return nil, err
	}
	var files []keptFile
	for _, e := range entries {
		id, whole := strings.CutSuffix(e.Name(), keptExtension)
		if !whole && !strings.HasSuffix(e.Name(), keptTemporary) {
			continue
		}
		info, err := e.Info()
		if err != nil {
			// Another one removed it.
			continue
		}
		f := keptFile{path: filepath.Join(k.dir, e.Name()), size: info.Size(), at: info.ModTime()}
		if whole {
			f.id = id
		}
		files = append(files, f)
	}
	slices.SortFunc(files, func(a, b keptFile) int { return a.at.Compare(b.at) })
	return files, nil
}

// evict removes what is too old, and the oldest until there is room for a result.
func (k *Kept) evict(size int64) error {
	files, err := k.list()
	if err != nil {
		return err
	}
	var total int64
	for _, f := range files {
		if f.id != "" {
			total += f.size
		}
	}
	now := time.Now()
	var errs []error
	for _, f := range files {
		old := now.Sub(f.at) > keptTemporaryAge
		if f.id != "" {
			old = now.Sub(f.at) > k.config.Age || total+size > k.config.Bytes
		}
		if !old {
			continue
		}
		if err := os.Remove(f.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
			continue
		}
		if f.id != "" {
			total -= f.size
		}
	}
	return errors.Join(errs...)
}

// Follow removes, until ctx ends, what must not be kept any more: results of datasets that another process deleted, or erased
// an entity from, and those beyond the bounds.
func (k *Kept) Follow(ctx context.Context, q database.Querier) {
	for {
		if err := k.sweep(ctx, q); err != nil && ctx.Err() == nil {
			k.config.Log.WarnContext(ctx, "looking for results that are kept no longer; it is tried again each minute", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(keptSweep):
		}
	}
}

func (k *Kept) sweep(ctx context.Context, q database.Querier) error {
	if err := k.evict(0); err != nil {
		return err
	}
	files, err := k.list()
	if err != nil {
		return err
	}
	var ids []string
	for _, f := range files {
		if f.id != "" {
			ids = append(ids, f.id)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	valid, err := keptOf(ctx, q, ids)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if _, ok := valid[id]; !ok {
			err = errors.Join(err, k.Drop(id))
		}
	}
	return err
}

package tabular

import (
	"bytes"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
	"github.com/klauspost/compress/zstd"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
)

// takes is how many bytes reading allocates in all.
func takes(read func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	read()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func parquetOf(t *testing.T, batch arrow.RecordBatch, options ...parquet.WriterProperty) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := pqarrow.NewFileWriter(batch.Schema(), &b, parquet.NewWriterProperties(options...), pqarrow.NewArrowWriterProperties())
	if err != nil {
		t.Fatal(err)
	}
	if err := w.WriteBuffered(batch); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// One long text that a small file repeats by its number.
func TestAttackDictionaryBomb(t *testing.T) {
	defer func(was int64) { maxParquetBytes = was }(maxParquetBytes)
	maxParquetBytes = 8 << 20
	dt := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int32, ValueType: arrow.BinaryTypes.String}
	b := array.NewRecordBuilder(memory.DefaultAllocator, arrow.NewSchema([]arrow.Field{{Name: "s", Type: dt}}, nil))
	for range 20_000 {
		if err := b.Field(0).(*array.BinaryDictionaryBuilder).AppendString(strings.Repeat("x", 100_000)); err != nil {
			t.Fatal(err)
		}
	}
	content := parquetOf(t, b.NewRecordBatch())
	if len(content) > 300_000 {
		t.Fatalf("the file has %d bytes, expected a small one that is of 2 GB", len(content))
	}
	path := write(t, "f.parquet", string(content))
	var err error
	if n := takes(func() { _, err = readAll(path, []feature.Column{{Name: "s", Type: feature.TypeString}}) }); n > 100<<20 {
		t.Errorf("reading took %d bytes", n)
	}
	f := fault.As(err)
	if f == nil || f.Reason != fault.InvalidRows || !strings.HasPrefix(f.Message, path+": found values that take ") ||
		!strings.HasSuffix(f.Message, " bytes at once when they are unpacked, expected at most 8388608; write it with shorter values, or without a dictionary") {
		t.Errorf("found %v", err)
	}
}

// A page that says it has 2^31-1 values, and one that says it unpacks to 2^31-1 bytes.
func TestAttackPagesThatLie(t *testing.T) {
	r := record(t, []arrow.Field{{Name: "n", Type: arrow.PrimitiveTypes.Int64}}, func(b *array.RecordBuilder) {
		for i := range 1000 {
			b.Field(0).(*array.Int64Builder).Append(int64(i * i))
		}
	})
	content := parquetOf(t, r.batch, parquet.WithDictionaryDefault(false))
	// The header of a data page, in Thrift's compact form: its type, two sizes, and a struct that begins with the number of values.
	most := []byte{0xfe, 0xff, 0xff, 0xff, 0x0f}
	values := bytes.Replace(content, []byte{0x2c, 0x15, 0xd0, 0x0f}, append([]byte{0x2c, 0x15}, most...), 1)
	sizes := slices.Concat(content[:7], most, content[9:])
	for name, lie := range map[string][]byte{"values": values, "bytes": sizes} {
		if bytes.Equal(lie, content) || !bytes.HasPrefix(content[4:], []byte{0x15, 0x00, 0x15}) {
			t.Fatalf("%s: found no place to lie at in % x", name, content[:40])
		}
		path := write(t, "f.parquet", string(lie))
		var err error
		if n := takes(func() { _, err = readAll(path, []feature.Column{{Name: "n", Type: feature.TypeInt64}}) }); n > 32<<20 {
			t.Errorf("%s: reading took %d bytes", name, n)
		}
		if f := fault.As(err); f == nil || f.Reason != fault.InvalidRows || !strings.HasPrefix(f.Message, path+": found a ") || !strings.HasSuffix(f.Message, "copy or write it again") {
			t.Errorf("%s: found %v", name, err)
		}
	}
}

// inflating writes pages that unpack to far more than they say.
type inflating struct {
	compress.Codec
	frame []byte
}

func (i inflating) Encode(dst, src []byte) []byte { return append(dst[:0], i.frame...) }

func (i inflating) EncodeLevel(dst, src []byte, _ int) []byte { return i.Encode(dst, src) }

func TestAttackPagesThatInflate(t *testing.T) {
	// A frame that does not say its size, of a gigabyte of zeros.
	var frame bytes.Buffer
	w, err := zstd.NewWriter(&frame, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	zeros := make([]byte, 1<<20)
	for range 1 << 10 {
		if _, err := w.Write(zeros); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	boundCodecs()
	bounded, err := compress.GetCodec(compress.Codecs.Zstd)
	if err != nil {
		t.Fatal(err)
	}
	r := record(t, []arrow.Field{{Name: "n", Type: arrow.PrimitiveTypes.Int64}}, func(b *array.RecordBuilder) {
		b.Field(0).(*array.Int64Builder).AppendValues(make([]int64, 20_000), nil)
	})
	compress.RegisterCodec(compress.Codecs.Zstd, inflating{bounded, frame.Bytes()})
	content := parquetOf(t, r.batch, parquet.WithCompression(compress.Codecs.Zstd), parquet.WithDictionaryDefault(false))
	compress.RegisterCodec(compress.Codecs.Zstd, bounded)
	if len(content) > 1<<20 || !bytes.Contains(content, frame.Bytes()) {
		t.Fatalf("the file has %d bytes, expected a small one with the frame in it", len(content))
	}
	path := write(t, "f.parquet", string(content))
	n := takes(func() { _, err = readAll(path, []feature.Column{{Name: "n", Type: feature.TypeInt64}}) })
	if n > 32<<20 {
		t.Errorf("reading took %d bytes", n)
	}
	if f := fault.As(err); f == nil || f.Reason != fault.InvalidRows || f.Message != fmt.Sprintf("%s: found a file that cannot be read as parquet, expected a whole one; copy or write it again", path) {
		t.Errorf("found %v", err)
	}
}

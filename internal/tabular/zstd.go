package tabular

import (
	"sync"

	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/klauspost/compress/zstd"
)

// boundedZstd unpacks a page of a Parquet file into the room that the page asked for, and no further, as the library's other codecs do: its own of
// Zstandard goes on until a frame ends, and one of some kilobytes may be of gigabytes.
type boundedZstd struct {
	compress.Codec
	decoder *zstd.Decoder
}

// boundCodecs comes before all use of Parquet: the library has one table of codecs for a process, which it reads without a lock.
var boundCodecs = sync.OnceFunc(func() {
	decoder, err := zstd.NewReader(nil, zstd.WithDecodeAllCapLimit(true))
	if err != nil {
		panic(err)
	}
	codec, err := compress.GetCodec(compress.Codecs.Zstd)
	if err != nil {
		panic(err)
	}
	compress.RegisterCodec(compress.Codecs.Zstd, boundedZstd{codec, decoder})
})

// Decode is of compress.Codec.
func (z boundedZstd) Decode(dst, src []byte) []byte {
	out, err := z.DecodeWithError(dst, src)
	if err != nil {
		panic(err)
	}
	return out
}

// DecodeWithError is of compress.ErrorCodec.
func (z boundedZstd) DecodeWithError(dst, src []byte) ([]byte, error) {
	return z.decoder.DecodeAll(src, dst[:0])
}

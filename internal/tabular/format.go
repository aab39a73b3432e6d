package tabular

import (
	"bytes"
	"path/filepath"
	"strings"

	"github.com/headwaterhq/headwater/internal/fault"
)

// Format is a kind of file.
type Format uint8

const (
	// FormatUnknown asks Open to decide: by the extension of a file, by the first bytes of standard input.
	FormatUnknown Format = iota
	FormatParquet
	FormatCSV
	// FormatNDJSON is one JSON object a line.
	FormatNDJSON
	// FormatArrow is Arrow IPC. Read: the file and the stream form. Written: the file form.
	FormatArrow
	// FormatArrowStream is the stream form of Arrow IPC. Read like FormatArrow.
	FormatArrowStream
)

var formatNames = [...]string{"unknown", "parquet", "csv", "ndjson", "arrow", "arrows"}

// String is the format's name, as ParseFormat takes it.
func (f Format) String() string { return formatNames[f] }

// FormatNames lists the names that ParseFormat takes, for messages.
func FormatNames() string { return strings.Join(formatNames[1:], ", ") }

// ParseFormat reads a format's name; "" is FormatUnknown.
func ParseFormat(name string) (Format, error) {
	if name == "" {
		return FormatUnknown, nil
	}
	for i, n := range formatNames[1:] {
		if name == n {
			return Format(i + 1), nil
		}
	}
	return FormatUnknown, fault.New(fault.InvalidArgument, "found format %q, expected one of %s", name, FormatNames())
}

var extensions = map[string]Format{
	".parquet": FormatParquet, ".pq": FormatParquet,
	".csv":    FormatCSV,
	".ndjson": FormatNDJSON, ".jsonl": FormatNDJSON,
	".arrow": FormatArrow, ".feather": FormatArrow,
	".arrows": FormatArrowStream,
}

// FormatOf is the format that path's extension stands for.
func FormatOf(path string) (Format, error) {
	ext := filepath.Ext(path)
	if f, ok := extensions[strings.ToLower(ext)]; ok {
		return f, nil
	}
	found := "no extension"
	if ext != "" {
		found = "extension " + ext
	}
	return FormatUnknown, fault.New(fault.InvalidArgument,
		"%s: found %s, expected .parquet, .csv, .ndjson, .jsonl, .arrow, .feather or .arrows; rename the file, or name its format",
		path, found)
}

var (
	parquetMagic = []byte("PAR1")
	arrowMagic   = []byte("ARROW1")
	// arrowStreamMagic begins each message of the stream form: the continuation marker.
	arrowStreamMagic = []byte{0xff, 0xff, 0xff, 0xff}
	// arrowStreamEnd ends the stream form: a message of length zero.
	arrowStreamEnd = []byte{0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0}
	byteOrderMark  = []byte{0xef, 0xbb, 0xbf}
)

// sniff is the format that a file's first bytes show.
func sniff(head []byte) Format {
	switch {
	case bytes.HasPrefix(head, parquetMagic):
		return FormatParquet
	case bytes.HasPrefix(head, arrowMagic):
		return FormatArrow
	case bytes.HasPrefix(head, arrowStreamMagic):
		return FormatArrowStream
	case bytes.HasPrefix(bytes.TrimLeft(bytes.TrimPrefix(head, byteOrderMark), " \t\r\n"), []byte("{")):
		return FormatNDJSON
	}
	return FormatCSV
}

func (f Format) isColumnar() bool {
	return f == FormatParquet || f == FormatArrow || f == FormatArrowStream
}

package tabular

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
)

// File is a file of rows that is open for reading. It may be read more than once.
type File struct {
	// Path is what messages call it.
	Path string
	// Name is the base name, or `-` for standard input.
	Name   string
	Format Format
	// Size is in bytes.
	Size   int64
	SHA256 feature.Digest
	// LeaveOut has Read leave out the columns that it is not asked for, which it refuses otherwise. Others tells which they are.
	LeaveOut bool

	file *os.File
	// spooled is set when file is a private copy of something that can only be read once.
	spooled bool
	opened  fs.FileInfo
}

// Open opens a file and takes its size and SHA-256. The path `-` is stdin, which is copied to a temporary file; so is
// anything else that is not a regular file. With FormatUnknown the format is told from the extension, or, of standard
// input, from the first bytes. The caller closes the File.
func Open(path string, stdin io.Reader, format Format) (*File, error) {
	f := &File{Path: path, Name: filepath.Base(path), Format: format}
	if path == "-" {
		f.Path, f.Name = "standard input", "-"
		if err := f.spool(stdin); err != nil {
			return nil, err
		}
	} else if err := f.open(path); err != nil {
		return nil, err
	}
	if err := f.identify(); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

func (f *File) open(path string) error {
	if f.Format == FormatUnknown {
		var err error
		if f.Format, err = FormatOf(path); err != nil {
			return err
		}
	}
	file, err := os.Open(path)
	if err != nil {
		return openFault(path, err)
	}
	info, err := file.Stat()
	if err == nil && info.Mode().IsRegular() {
		f.file, f.opened = file, info
		return nil
	}
	defer file.Close()
	if err != nil {
		return openFault(path, err)
	}
	if info.IsDir() {
		return fault.New(fault.InvalidArgument, "%s: found a folder, expected a file; name the files in it", path)
	}
	return f.spool(file)
}

func openFault(path string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fault.New(fault.NotFound, "%s: there is no such file; check the path", path).Because(err)
	}
	return fault.New(fault.FailedPrecondition, "%s: cannot be read: %s", path, plain(err)).Because(err)
}

// plain is err without the path that a PathError repeats.
func plain(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}

func (f *File) spool(r io.Reader) error {
	temp, err := os.CreateTemp("", "headwater-input-*")
	if err != nil {
		return fault.New(fault.FailedPrecondition, "%s: cannot be kept in a temporary file: %s", f.Path, plain(err)).Because(err)
	}
	// Unlinked at once, so that nothing is left behind however the process ends.
	_ = os.Remove(temp.Name())
	f.file, f.spooled = temp, true
	if _, err := io.Copy(temp, r); err != nil {
		_ = f.Close()
		return fault.New(fault.FailedPrecondition, "%s: cannot be read to its end: %s", f.Path, plain(err)).Because(err)
	}
	return nil
}

// identify takes size and digest, and refuses what cannot be a file of rows.
func (f *File) identify() error {
	h := sha256.New()
	if _, err := f.file.Seek(0, io.SeekStart); err != nil {
		return openFault(f.Path, err)
	}
	n, err := io.Copy(h, f.file)
	if err != nil {
		return openFault(f.Path, err)
	}
	f.Size = n
	h.Sum(f.SHA256[:0])
	if n == 0 {
		return f.bad("found an empty file, expected rows; check what was to write it")
	}
	head := make([]byte, min(n, 64))
	if _, err := f.file.ReadAt(head, 0); err != nil {
		return openFault(f.Path, err)
	}
	found := sniff(head)
	if f.Format == FormatUnknown {
		f.Format = found
	}
	return f.checkMagic(found, head)
}

func (f *File) checkMagic(found Format, head []byte) error {
	same := found == f.Format || (f.Format.isArrow() && found.isArrow())
	switch {
	case same && found == FormatParquet:
		tail := make([]byte, 4)
		if f.Size >= 12 {
			if _, err := f.file.ReadAt(tail, f.Size-4); err != nil {
				return openFault(f.Path, err)
			}
		}
		if string(tail) != string(parquetMagic) {
			return f.bad("found the beginning of a Parquet file without its end (%d bytes), expected it to end with PAR1; "+
				"it was cut short, so copy or write it again", f.Size)
		}
	case same:
	case found.isColumnar():
		return f.bad("found a file of format %s, expected %s; rename the file, or name its format", found, f.Format)
	case f.Format.isColumnar():
		return f.bad("found a file that begins with %q, expected %s; it is not a file of that format, or it is damaged",
			head[:min(len(head), 8)], f.Format)
	}
	return nil
}

func (f Format) isArrow() bool { return f == FormatArrow || f == FormatArrowStream }

// content is the whole file from its beginning.
func (f *File) content() *io.SectionReader { return io.NewSectionReader(f.file, 0, f.Size) }

// checkUnchanged holds that what was read is what was hashed.
func (f *File) checkUnchanged() error {
	if f.spooled {
		return nil
	}
	now, err := f.file.Stat()
	if err != nil {
		return openFault(f.Path, err)
	}
	if now.Size() != f.Size || !now.ModTime().Equal(f.opened.ModTime()) {
		return f.bad("found that the file changed while it was read, expected it to stay; try again when nothing writes to it")
	}
	return nil
}

// Close closes the file, and removes its copy if there is one.
func (f *File) Close() error { return f.file.Close() }

// bad is the fault of a file as a whole.
func (f *File) bad(format string, args ...any) *fault.Fault {
	return fault.New(fault.InvalidRows, "%s: %s", f.Path, fmt.Sprintf(format, args...)).With("file", f.Name)
}

// place is where one row, or one value, was found.
type place struct {
	// line counts from 1 in text files, row from 1 in the others; the other one is 0.
	line, row int64
	column    string
}

func (f *File) badAt(p place, format string, args ...any) *fault.Fault {
	var at strings.Builder
	at.WriteString(f.Path)
	if p.line > 0 {
		fmt.Fprintf(&at, ":%d", p.line)
	}
	at.WriteString(": ")
	if p.row > 0 {
		fmt.Fprintf(&at, "row %d", p.row)
		if p.column != "" {
			at.WriteString(", ")
		}
	}
	if p.column != "" {
		at.WriteString("column ")
		at.WriteString(p.column)
	}
	if p.row > 0 || p.column != "" {
		at.WriteString(": ")
	}
	at.WriteString(fmt.Sprintf(format, args...))
	result := fault.New(fault.InvalidRows, "%s", at.String()).With("file", f.Name)
	if p.line > 0 {
		result.With("line", fmt.Sprint(p.line))
	}
	if p.row > 0 {
		result.With("row", fmt.Sprint(p.row))
	}
	if p.column != "" {
		result.With("column", p.column)
	}
	return result
}

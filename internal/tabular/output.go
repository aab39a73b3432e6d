package tabular

import (
	"bufio"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/headwaterhq/headwater/internal/fault"
)

// Output is a file being written: in a temporary file of the same folder, so that it appears whole under its name, or
// not at all. Until Commit the name keeps what it held.
type Output struct {
	path   string
	file   *os.File
	buffer *bufio.Writer
	done   bool
}

// Create begins to write path. The caller calls Commit, and Abort in any case.
func Create(path string) (*Output, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil, fault.New(fault.InvalidArgument, "%s: found a folder, expected the name of a file to write", path)
	}
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.tmp")
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fault.New(fault.NotFound, "%s: there is no folder %s to write to; make it first", path, filepath.Dir(path)).Because(err)
		}
		return nil, writeFault(path, err)
	}
	return &Output{path: path, file: file, buffer: bufio.NewWriterSize(file, 1<<20)}, nil
}

func writeFault(path string, err error) error {
	return fault.New(fault.FailedPrecondition, "%s: cannot be written: %s; nothing was left behind", path, plain(err)).Because(err)
}

// Write appends to the file.
func (o *Output) Write(p []byte) (int, error) {
	n, err := o.buffer.Write(p)
	if err != nil {
		return n, writeFault(o.path, err)
	}
	return n, nil
}

// Commit gives the file its name, when all of it is on disk.
func (o *Output) Commit() error {
	err := o.buffer.Flush()
	if err == nil {
		// CreateTemp makes files that only their owner reads; a result is an ordinary file.
		err = o.file.Chmod(0o644)
	}
	if err == nil {
		err = o.file.Sync()
	}
	if err == nil {
		err = o.file.Close()
	}
	if err == nil {
		err = os.Rename(o.file.Name(), o.path)
	}
	if err != nil {
		o.Abort()
		return writeFault(o.path, err)
	}
	o.done = true
	return nil
}

// Abort removes what was written. After Commit it does nothing.
func (o *Output) Abort() {
	if o.done {
		return
	}
	o.done = true
	_ = o.file.Close()
	_ = os.Remove(o.file.Name())
}

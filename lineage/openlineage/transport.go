package openlineage

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/outbox"
)

// CheckURL refuses what cannot be an endpoint, without showing what is secret of it.
func CheckURL(endpoint string) error {
	u, err := url.Parse(endpoint)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return fault.New(fault.InvalidArgument, "HEADWATER_OPENLINEAGE_URL (openlineage_url): found what is no URL of an endpoint, expected one whole, such as "+
			"http://marquez:5000/api/v1/lineage")
	case u.User != nil:
		return fault.New(fault.InvalidArgument, "HEADWATER_OPENLINEAGE_URL (openlineage_url): found a user in it, expected none; give what lets the server in as "+
			"HEADWATER_OPENLINEAGE_API_KEY, which is sent as a bearer token")
	}
	return nil
}

func newHTTP(endpoint, key string, timeout time.Duration) outbox.Transport {
	return outbox.HTTP(endpoint, timeout, func(h http.Header, _ []byte) {
		if key != "" {
			h.Set("Authorization", "Bearer "+key)
		}
	})
}

// fileTransport appends events to a file, one a line.
type fileTransport struct{ path string }

func (t *fileTransport) Send(_ context.Context, event []byte) (err error) {
	// Opened for each, so that it may be moved away at any time.
	f, err := os.OpenFile(t.path, os.O_CREATE|os.O_RDWR, 0o640)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	end, err := lastLine(f)
	if err != nil {
		return err
	}
	if _, err := f.WriteAt(append(bytes.Clone(event), '\n'), end); err != nil {
		return err
	}
	return f.Sync()
}

// lastLine is where the last whole line of a file ends; what a process that died wrote of another is behind it, and cut off.
func lastLine(f *os.File) (int64, error) {
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, err
	}
	block := make([]byte, 64<<10)
	for end := size; end > 0; {
		begin := max(end-int64(len(block)), 0)
		part := block[:end-begin]
		if _, err := f.ReadAt(part, begin); err != nil {
			return 0, err
		}
		if i := bytes.LastIndexByte(part, '\n'); i >= 0 {
			whole := begin + int64(i) + 1
			if whole < size {
				err = f.Truncate(whole)
			}
			return whole, err
		}
		end = begin
	}
	return 0, f.Truncate(0)
}

func (*fileTransport) Close() {}

package openlineage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/headwaterhq/headwater/internal/fault"
)

// transport takes an event to where it is told.
type transport interface {
	// send returns nil once the event is taken, a refusal for one that never will be, or an error after which it is tried again.
	send(ctx context.Context, event []byte) error
	close()
}

// refusal is an answer that says that the event, and not its receiver, is what is wrong.
type refusal struct{ answer string }

func (r *refusal) Error() string { return "refused: " + r.answer }

// busy is an answer that says when to come again.
type busy struct {
	error
	after time.Duration
}

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

// httpTransport posts events to an endpoint.
type httpTransport struct {
	url, key string
	client   *http.Client
}

func newHTTP(endpoint, key string, timeout time.Duration) *httpTransport {
	pool := http.DefaultTransport.(*http.Transport).Clone()
	return &httpTransport{url: endpoint, key: key, client: &http.Client{
		Transport: pool, Timeout: timeout,
		// A key is for the endpoint that was configured.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// maxAnswer is how much of an answer is read, and maxTold how much of it is kept as why an event was not taken.
const (
	maxAnswer = 64 << 10
	maxTold   = 300
)

func (t *httpTransport) send(ctx context.Context, event []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.url, bytes.NewReader(event))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	if t.key != "" {
		req.Header.Set("Authorization", "Bearer "+t.key)
	}
	resp, err := t.client.Do(req)
	if err != nil {
		// Without the URL, which may hold what is secret.
		var inner *url.Error
		if errors.As(err, &inner) {
			err = inner.Err
		}
		return err
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if resp.StatusCode < 300 {
		return nil
	}
	answer := fmt.Sprintf("status %d", resp.StatusCode)
	if said := printable(body); said != "" {
		answer += ": " + said
	}
	if isRefusal(resp.StatusCode) {
		return &refusal{answer}
	}
	err = errors.New(answer)
	if seconds, parsed := strconv.Atoi(resp.Header.Get("Retry-After")); parsed == nil && seconds > 0 {
		return &busy{err, min(time.Duration(seconds)*time.Second, maxBackoff)}
	}
	return err
}

// isRefusal tells answers about an event from those about its receiver, or about who may send: these are the operator's to mend, and no event
// is to blame.
func isRefusal(status int) bool {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusProxyAuthRequired,
		http.StatusRequestTimeout, http.StatusMisdirectedRequest, http.StatusTooEarly, http.StatusTooManyRequests:
		return false
	}
	return status >= 400 && status < 500
}

func printable(body []byte) string {
	text := strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, strings.ToValidUTF8(string(body[:min(len(body), maxTold)]), ""))
	return strings.Join(strings.Fields(text), " ")
}

func (t *httpTransport) close() { t.client.CloseIdleConnections() }

// fileTransport appends events to a file, one a line.
type fileTransport struct{ path string }

func (t *fileTransport) send(_ context.Context, event []byte) (err error) {
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

func (*fileTransport) close() {}

package outbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Transport takes an event to where it is told.
type Transport interface {
	// Send returns nil once the event is taken, a refusal for one that never will be, or an error after which it is tried again.
	Send(ctx context.Context, event []byte) error
	Close()
}

// Refusal is an answer that says that the event, and not its receiver, is what is wrong.
type Refusal struct{ Answer string }

func (r *Refusal) Error() string { return "refused: " + r.Answer }

// Busy is an answer that says when to come again.
type Busy struct {
	error
	After time.Duration
}

// httpTransport posts events to an endpoint.
type httpTransport struct {
	url    string
	header func(h http.Header, event []byte)
	client *http.Client
}

// HTTP posts events to an endpoint, each within the timeout. header sets what goes with one. Redirects are not followed.
func HTTP(endpoint string, timeout time.Duration, header func(h http.Header, event []byte)) Transport {
	pool := http.DefaultTransport.(*http.Transport).Clone()
	return &httpTransport{url: endpoint, header: header, client: &http.Client{
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

func (t *httpTransport) Send(ctx context.Context, event []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.url, bytes.NewReader(event))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	t.header(req.Header, event)
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
		return &Refusal{answer}
	}
	err = errors.New(answer)
	if seconds, parsed := strconv.Atoi(resp.Header.Get("Retry-After")); parsed == nil && seconds > 0 {
		return &Busy{err, min(time.Duration(seconds)*time.Second, MaxBackoff)}
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

func (t *httpTransport) Close() { t.client.CloseIdleConnections() }

package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/headwaterhq/headwater/internal/testenv"
)

// What a server has committed is told by the one that comes after it, where it was killed before anybody took it, signed, and once where the answer arrives.
func TestWebhooksAreToldAfterAKill(t *testing.T) {
	if testing.Short() {
		t.Skip("starts servers")
	}
	t.Parallel()
	const secret = "a secret of a webhook"
	type notice struct {
		ID, Type string
		Data     struct{ Node, Run, Found, Remedy string }
	}
	var mu sync.Mutex
	var taken []notice
	var away atomic.Bool
	var asked atomic.Int32
	away.Store(true)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		h := hmac.New(sha256.New, []byte(secret))
		fmt.Fprintf(h, "%s.%s.%s", r.Header.Get("webhook-id"), r.Header.Get("webhook-timestamp"), body)
		if want := "v1," + base64.StdEncoding.EncodeToString(h.Sum(nil)); err != nil || r.Header.Get("webhook-signature") != want {
			t.Errorf("found the signature %s of %s, %v, expected %s", r.Header.Get("webhook-signature"), body, err, want)
		}
		// Read before the call is counted, upon which the server is killed and the receiver is back.
		refuse := away.Load()
		asked.Add(1)
		if refuse {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		var n notice
		if err := json.Unmarshal(body, &n); err != nil {
			t.Errorf("found %s: %v", body, err)
		}
		mu.Lock()
		defer mu.Unlock()
		taken = append(taken, n)
	}))
	t.Cleanup(receiver.Close)

	folder := t.TempDir()
	postgres, redis := testenv.EmptyPostgresURL(t), testenv.RedisURL(t)
	environment := []string{"HEADWATER_WEBHOOK_URL=" + receiver.URL, "HEADWATER_WEBHOOK_SECRET=" + secret, "HEADWATER_WEBHOOK_EVENTS=run.failed"}
	w := openShop(t, startServeIn(t, folder, postgres, redis, environment...))
	w.must(t, "ingest", "sales", file(t, "keyless.csv", "at,shop,amount,kind\n2001-01-02 10:05,a,1,keyless\n"))
	if r := w.run("materialize", "ratios", "--wait"); r.code == exitDone {
		t.Fatalf("found a run that is published, expected one that fails:\n%s", r.out)
	}
	wait := func(what string, ok func() bool) {
		t.Helper()
		for deadline := time.Now().Add(startLimit); !ok(); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("waited for %s in vain", what)
			}
		}
	}
	wait("a first try", func() bool { return asked.Load() > 0 })
	w.kill()
	away.Store(false)

	startServeIn(t, folder, postgres, redis, environment...)
	read := func() []notice {
		mu.Lock()
		defer mu.Unlock()
		return append([]notice(nil), taken...)
	}
	wait("a notice", func() bool { return len(read()) > 0 })
	n := read()[0]
	if n.ID == "" || n.Type != "run.failed" || n.Data.Node != "view:ratios@1" || n.Data.Run != "ratios@1/2" || n.Data.Remedy != "headwater runs show ratios@1/2" {
		t.Errorf("found %+v, expected that the run of ratios failed", n)
	}
	for _, again := range read()[1:] {
		t.Errorf("found %+v as well, expected one notice", again)
	}
}

package notify

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/outbox"
)

// Webhook is an endpoint that is told.
type Webhook struct {
	// Name is what the outbox, logs and metrics call it.
	Name string
	// URL takes notices by POST. Secret signs them: `whsec_` with base64 behind it, or a text of 16 bytes or more, as it is.
	URL, Secret string
	// Kinds are those that it wants. None: all.
	Kinds []Kind
}

// minSecret is how many bytes a secret has at least.
const minSecret = 16

// Check refuses what cannot be, without showing what is secret of it.
func (w *Webhook) Check() error {
	at := "webhook " + w.Name
	u, err := url.Parse(w.URL)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return fault.New(fault.InvalidArgument, "%s: found what is no URL of an endpoint, expected one whole, such as https://alerts.example.com/headwater", at)
	case u.User != nil:
		return fault.New(fault.InvalidArgument, "%s: found a user in its URL, expected none: notices are signed by its secret", at)
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return fault.New(fault.InvalidArgument, "%s: found http to another machine, expected https", at)
	}
	if key, err := w.key(); err != nil || len(key) < minSecret {
		return fault.New(fault.InvalidArgument, "%s: found no secret, or one that is too short, expected whsec_ with base64 of %d bytes or more behind it, or a text of as many", at, minSecret)
	}
	for _, k := range w.Kinds {
		if !slices.Contains(Kinds, k) {
			return fault.New(fault.InvalidArgument, "%s: found the event %q, expected some of %s", at, k, kindsText())
		}
	}
	return nil
}

func kindsText() string {
	var names []string
	for _, k := range Kinds {
		names = append(names, string(k))
	}
	return strings.Join(names, ", ")
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (w *Webhook) key() ([]byte, error) {
	if encoded, ok := strings.CutPrefix(w.Secret, "whsec_"); ok {
		return base64.StdEncoding.DecodeString(encoded)
	}
	return []byte(w.Secret), nil
}

// Sign is the signature of a body, as the specification Standard Webhooks has it: the base64 of HMAC-SHA256 of `ID.SECONDS.BODY`.
func Sign(key []byte, id string, at time.Time, body []byte) string {
	h := hmac.New(sha256.New, key)
	fmt.Fprintf(h, "%s.%d.", id, at.Unix())
	h.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// Config is who is told.
type Config struct {
	Pool     *pgxpool.Pool
	Webhooks []Webhook
	// Keep is how long notices are kept that cannot be delivered, and ParkAfter after how long one is parked that is not taken. Defaults: 7 days, and one.
	Keep, ParkAfter time.Duration
	// Timeout bounds an attempt. Default: 10 seconds.
	Timeout time.Duration
	Log     *slog.Logger
	// Count counts what became of notices, by webhook. nil: nobody does.
	Count func(webhook, result string)
	// Every is how often is looked for notices. Default: 500 ms.
	Every time.Duration
}

// Notifier tells webhooks.
type Notifier struct {
	Config
	senders []*outbox.Sender
	stop    context.CancelFunc
	stopped sync.WaitGroup
}

const sweepEvery = time.Minute

// Start begins to tell. Close ends it. Where there are no webhooks notices are deleted when they are old.
func Start(c Config) (*Notifier, error) {
	c.Keep, c.ParkAfter, c.Timeout, c.Every = cmp.Or(c.Keep, 7*24*time.Hour), cmp.Or(c.ParkAfter, 24*time.Hour), cmp.Or(c.Timeout, 10*time.Second), cmp.Or(c.Every, 500*time.Millisecond)
	n := &Notifier{Config: c}
	for i := range c.Webhooks {
		if err := c.Webhooks[i].Check(); err != nil {
			return nil, err
		}
		if slices.ContainsFunc(c.Webhooks[:i], func(w Webhook) bool { return w.Name == c.Webhooks[i].Name }) {
			return nil, fault.New(fault.InvalidArgument, "webhooks: found %q twice, expected a name for each", c.Webhooks[i].Name)
		}
	}
	var ctx context.Context
	ctx, n.stop = context.WithCancel(context.Background())
	for i := range c.Webhooks {
		n.senders = append(n.senders, n.sender(&c.Webhooks[i]))
	}
	n.stopped.Go(func() { n.every(ctx, sweepEvery, "notices that are old cannot be deleted", n.sweep) })
	if len(c.Webhooks) > 0 {
		n.stopped.Go(func() { n.every(ctx, c.Every, "notices cannot be given to webhooks", n.fanOut) })
	}
	return n, nil
}

// Close ends it. What was not delivered is, by the next server.
func (n *Notifier) Close() {
	n.stop()
	n.stopped.Wait()
	for _, s := range n.senders {
		s.Close()
	}
}

func (n *Notifier) every(ctx context.Context, every time.Duration, what string, do func(context.Context) error) {
	for {
		if err := do(ctx); err != nil && ctx.Err() == nil {
			n.Log.WarnContext(ctx, what+"; it is tried again", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(every):
		}
	}
}

func (n *Notifier) sweep(ctx context.Context) error {
	gone, err := outbox.DeleteOldNotices(ctx, n.Pool, n.Keep)
	if err == nil && gone > 0 && len(n.Webhooks) > 0 {
		n.Log.ErrorContext(ctx, "notices were given up, which no webhook took for as long as they are kept", "notices", gone, "keep", n.Keep.String())
	}
	return err
}

func channel(webhook string) outbox.Channel { return outbox.Channel("webhook:" + webhook) }

// maxFanOut is how many notices are given out at once.
const maxFanOut = 200

// fanOut gives each notice that waits to the webhooks that want it: to all or to none, in the order in which they were written. Servers do so one after the other.
func (n *Notifier) fanOut(ctx context.Context) error {
	return pgx.BeginFunc(ctx, n.Pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended('headwater.notices', 0))`); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `SELECT id, topic, subject, payload, created_at FROM headwater.outbox WHERE channel = $1 AND parked_at IS NULL ORDER BY id LIMIT $2`, outbox.Notices, maxFanOut)
		if err != nil {
			return err
		}
		type message struct {
			ID             int64
			Topic, Subject string
			Payload        Notice
			At             time.Time
		}
		list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[message])
		if err != nil || len(list) == 0 {
			return err
		}
		var done []int64
		batch := &pgx.Batch{}
		for i := range list {
			m := &list[i]
			done = append(done, m.ID)
			body, err := json.Marshal(event{Version: 1, ID: m.Payload.ID, Type: m.Topic, Timestamp: m.At.UTC(), Data: m.Payload})
			if err != nil {
				return err
			}
			for w := range n.Webhooks {
				if of := &n.Webhooks[w]; len(of.Kinds) == 0 || slices.Contains(of.Kinds, Kind(m.Topic)) {
					batch.Queue(`INSERT INTO headwater.outbox (topic, subject, payload, event, created_at, channel) VALUES ($1, $2, $3, $4, $5, $6)`,
						m.Topic, m.Subject, m.Payload, body, m.At, channel(of.Name))
				}
			}
		}
		batch.Queue(`DELETE FROM headwater.outbox WHERE id = ANY ($1)`, done)
		return tx.SendBatch(ctx, batch).Close()
	})
}

func (n *Notifier) sender(w *Webhook) *outbox.Sender {
	key, _ := w.key()
	return outbox.Send(outbox.SenderConfig{
		Pool: n.Pool, Channel: channel(w.Name), Name: "webhook " + w.Name, Keep: n.Keep, ParkAfter: n.ParkAfter, Log: n.Log, Every: n.Every,
		Count: func(result string) {
			if n.Count != nil {
				n.Count(w.Name, result)
			}
		},
		Transport: outbox.HTTP(w.URL, n.Timeout, func(h http.Header, body []byte) {
			var e struct {
				ID string `json:"id"`
			}
			// What cannot be read has no id, and is refused by whoever checks.
			_ = json.Unmarshal(body, &e)
			at := time.Now()
			h.Set("User-Agent", "headwater")
			h.Set("webhook-id", e.ID)
			h.Set("webhook-timestamp", strconv.FormatInt(at.Unix(), 10))
			h.Set("webhook-signature", Sign(key, e.ID, at, body))
		}),
	})
}

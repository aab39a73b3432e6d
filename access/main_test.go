package access

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/testenv"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDirectory); dir != "" {
		auditUntilKilled(dir)
	}
	testenv.Main(m)
}

// outage is a network between a pool and its Postgres that can go away.
type outage struct {
	mu    sync.Mutex
	away  bool
	conns []net.Conn
}

// withOutage is a pool on the same database whose connections go through the outage.
func withOutage(t *testing.T, pool *pgxpool.Pool) (*pgxpool.Pool, *outage) {
	t.Helper()
	o := &outage{}
	config := pool.Config().Copy()
	dial := config.ConnConfig.DialFunc
	config.ConnConfig.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		o.mu.Lock()
		defer o.mu.Unlock()
		if o.away {
			return nil, &net.OpError{Op: "dial", Net: network, Err: errors.New("the network is away")}
		}
		c, err := dial(ctx, network, address)
		if err == nil {
			o.conns = append(o.conns, c)
		}
		return c, err
	}
	through, err := pgxpool.NewWithConfig(context.Background(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(through.Close)
	return through, o
}

func (o *outage) begin() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.away = true
	for _, c := range o.conns {
		c.Close()
	}
	o.conns = nil
}

func (o *outage) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.away = false
}

func wantFault(t *testing.T, err error, reason fault.Reason, message string) {
	t.Helper()
	f := fault.As(err)
	if f == nil {
		t.Fatalf("got %v, want a %s fault", err, reason)
	}
	if f.Reason != reason || f.Error() != message {
		t.Errorf("got %s %q, want %s %q", f.Reason, f.Error(), reason, message)
	}
}

package registry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/database"
)

const (
	defaultPollInterval = time.Second
	// refreshTimeout ends a reading that gets no answer, so that another connection is tried: the other side of one can be
	// gone without a word.
	refreshTimeout = 10 * time.Second
	// listenerName is what Postgres calls the connection that listens.
	listenerName = "headwater registry"
)

// Config is what a Registry needs beside Postgres. The zero Config is one without engines.
//
// The functions are called within the transaction that applies. An error of one ends it. A Fault of a Check function is
// told with the definition's field: its violations name their fields from the definition on (`sql.query`; empty for the
// function's default, said below), and a violation's Line and Column are a place inside the SQL that the field holds. A nil
// function is skipped.
type Config struct {
	// Logger is for what no caller hears of. nil: slog.Default().
	Logger *slog.Logger
	// PollInterval is how often the revision is read when no notification comes, and so how late a lost one makes a
	// change. Zero: 1 s.
	PollInterval time.Duration

	// CheckSource says whether a new version of a source can be, as far as only Postgres can tell. It is called for plans
	// too, and what it does is rolled back. A violation's field is `arrival_time.expression` by default.
	CheckSource func(ctx context.Context, tx pgx.Tx, s *feature.SourceVersion) error
	// CheckView does the same for a view, whose sources and views may be as new: no table has been made for them, and they
	// have no ID. A violation's field is `sql.query` by default. The analysis says what the view uses of what it reads; it
	// is nil for a view that has no SQL, which then counts as using all of it.
	CheckView func(ctx context.Context, tx pgx.Tx, v *feature.ViewVersion) (*feature.Analysis, error)
	// CreateSource makes what a new version of a source needs. old is the version before, or nil.
	CreateSource func(ctx context.Context, tx pgx.Tx, old, new *feature.SourceVersion) error
	// CreateView makes what a new version of a view needs, after CreateSource of its sources. It is not called for on-demand
	// features, of which nothing is stored.
	CreateView func(ctx context.Context, tx pgx.Tx, v *feature.ViewVersion) error

	// Serve asks by which gates a version of a service is not to be served, for plans too. nil: by none.
	Serve func(ctx context.Context, tx pgx.Tx, s Serving) ([]Hold, error)

	// Reach is what there is to read for a view that may be new. nil: tables of others that it reads were not counted.
	Reach func(ctx context.Context, tx pgx.Tx, v *feature.ViewVersion) (*Reach, error)
	// Models lists the names of those that were registered.
	Models func(ctx context.Context, tx pgx.Tx) ([]string, error)
	// Datasets lists those that were built, by id.
	Datasets func(ctx context.Context, tx pgx.Tx) ([]Dataset, error)
}

// Registry is the registry of one database. It is safe for concurrent use.
type Registry struct {
	pool    *pgxpool.Pool
	config  Config
	catalog atomic.Pointer[Catalog]
	// swap is held to replace the catalog by one of a later revision.
	swap sync.Mutex
	stop context.CancelFunc
	done chan struct{}
}

// Open reads the registry and follows its changes until Close, on a connection of its own beside the pool's.
func Open(ctx context.Context, pool *pgxpool.Pool, config Config) (*Registry, error) {
	if config.Logger == nil {
		config.Logger = slog.Default()
	}
	if config.PollInterval <= 0 {
		config.PollInterval = defaultPollInterval
	}
	r := &Registry{pool: pool, config: config, done: make(chan struct{})}
	if err := r.refresh(ctx, pool); err != nil {
		return nil, database.Fault(fmt.Errorf("read the registry: %w", err))
	}
	following, stop := context.WithCancel(context.WithoutCancel(ctx))
	r.stop = stop
	go func() {
		defer close(r.done)
		r.follow(following)
	}()
	return r, nil
}

// Close stops following. The catalog stays as it is.
func (r *Registry) Close() {
	r.stop()
	<-r.done
}

// Catalog is the newest catalog known here. It is no older than the last Apply through this Registry.
func (r *Registry) Catalog() *Catalog { return r.catalog.Load() }

// beginner is a connection or a pool.
type beginner interface {
	BeginTx(ctx context.Context, options pgx.TxOptions) (pgx.Tx, error)
}

// refresh reads the catalog when the registry has moved past the one at hand.
func (r *Registry) refresh(ctx context.Context, from beginner) error {
	options := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	return pgx.BeginTxFunc(ctx, from, options, func(tx pgx.Tx) error {
		revision, err := readRevision(ctx, tx)
		if err != nil {
			return err
		}
		if now := r.catalog.Load(); now != nil && revision <= now.revision {
			return nil
		}
		c, err := readCatalog(ctx, tx)
		if err == nil {
			r.replace(c)
		}
		return err
	})
}

func (r *Registry) replace(c *Catalog) {
	r.swap.Lock()
	defer r.swap.Unlock()
	if now := r.catalog.Load(); now == nil || now.revision < c.revision {
		r.catalog.Store(c)
	}
}

// follow keeps the catalog fresh until ctx ends, over broken connections.
func (r *Registry) follow(ctx context.Context) {
	for {
		err := r.listen(ctx)
		if ctx.Err() != nil {
			return
		}
		r.config.Logger.WarnContext(ctx, "following the registry broke off; connecting again",
			"error", err, "after", r.config.PollInterval)
		select {
		case <-ctx.Done():
			return
		case <-time.After(r.config.PollInterval):
		}
	}
}

// listen refreshes the catalog at every notification, and at every poll interval without one, until its connection breaks
// or ctx ends.
func (r *Registry) listen(ctx context.Context) error {
	config := r.pool.Config().ConnConfig
	config.RuntimeParams["application_name"] = listenerName
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, "LISTEN "+channel); err != nil {
		return err
	}
	for {
		// A notification from before LISTEN is lost, so the first refresh waits for none.
		reading, cancel := context.WithTimeout(ctx, refreshTimeout)
		err := r.refresh(reading, conn)
		cancel()
		if err != nil {
			return err
		}
		wait, cancel := context.WithTimeout(ctx, r.config.PollInterval)
		_, err = conn.WaitForNotification(wait)
		cancel()
		if err != nil && (ctx.Err() != nil || conn.IsClosed() || !errors.Is(err, context.DeadlineExceeded)) {
			return err
		}
	}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/headwaterhq/headwater/access"
	"github.com/headwaterhq/headwater/client"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/gomemory"
	"github.com/headwaterhq/headwater/internal/localserver"
	"github.com/headwaterhq/headwater/online"
	"github.com/headwaterhq/headwater/server"
)

// adminTokenFile is where dev keeps the token of its administrator, in its data folder.
const adminTokenFile = "admin.token"

type devOptions struct {
	dataDir, listen, readyFile string
}

func newDev(a *app) *cobra.Command {
	var o devOptions
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run a server with a private Postgres and Redis, until interrupted",
		Long: `Starts a private Postgres and a private Redis on loopback, and a server on them. All data is in the data folder, which one
dev uses at a time; it is there again at the next start. The administrator's token is in D/admin.token.

The ready file is written once the server answers: lines of NAME=VALUE with HEADWATER_SERVER and HEADWATER_TOKEN_FILE.`,
		Args: takesNone,
		RunE: func(cmd *cobra.Command, _ []string) error { return runDev(cmd.Context(), a, o) },
	}
	cmd.Flags().StringVar(&o.dataDir, "data-dir", ".headwater", "folder of the data")
	cmd.Flags().StringVar(&o.listen, "listen", client.DefaultServer, "address to answer on; port 0 picks a free one")
	cmd.Flags().StringVar(&o.readyFile, "ready-file", "", "file to write once the server answers")
	return cmd
}

func runDev(ctx context.Context, a *app, o devOptions) (err error) {
	var views viewConfig
	views.readEnvironment()
	bounds, err := views.bounds()
	if err != nil {
		return err
	}
	var sources sourceConfig
	sources.readEnvironment()
	databases, err := sources.databases()
	if err != nil {
		return err
	}
	var results resultsConfig
	results.readEnvironment()
	dir, err := filepath.Abs(o.dataDir)
	if err != nil {
		return err
	}
	config := server.Config{Version: version(), ViewBounds: bounds, SourceDatabases: databases}
	results.Dir = first(results.Dir, filepath.Join(dir, "results"))
	if err := results.apply(&config); err != nil {
		return err
	}
	var watched watchConfig
	watched.readEnvironment()
	var webhooks webhookConfig
	webhooks.readEnvironment()
	if err := errors.Join(watched.apply(&config), webhooks.apply(&config)); err != nil {
		return err
	}
	if err := makeFolder(dir); err != nil {
		return fault.New(fault.FailedPrecondition, "data folder %s: cannot be made: %v; name another with --data-dir", dir, err)
	}
	if o.readyFile != "" {
		if info, err := os.Stat(filepath.Dir(o.readyFile)); err != nil || !info.IsDir() {
			return fault.New(fault.FailedPrecondition, "ready file %s: %s is no folder; make it, or name another file with --ready-file",
				o.readyFile, filepath.Dir(o.readyFile))
		}
	}
	listener, err := listen(o.listen)
	if err != nil {
		return err
	}
	defer listener.Close()

	var scrapes net.Listener
	profiles, err := wantsProfiles(os.Getenv(metricsProfilesVariable))
	if err != nil {
		return err
	}
	if address := os.Getenv(metricsListenVariable); address != "" {
		if scrapes, err = listenForMetrics(address); err != nil {
			return err
		}
		defer scrapes.Close()
	}
	stores, err := startStores(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stores.stop()) }()

	log := slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: slog.LevelWarn}))
	serving := online.LogTo(log)
	gomemory.Set(log)
	if err := migrate(ctx, stores.postgres.URL()); err != nil {
		return err
	}
	config.PostgresURL, config.RedisURL, config.AuditDir, config.Log = stores.postgres.URL(), stores.redis.URL(), filepath.Join(dir, "audit"), log
	config.ReadLogDir = filepath.Join(dir, "reads")
	if config.AuditKey, err = access.MakeAuditKey(filepath.Join(dir, "audit.key")); err != nil {
		return err
	}
	s, err := server.Open(ctx, config)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close(ctx)) }()
	tokenFile := filepath.Join(dir, adminTokenFile)
	if err := ensureAdminToken(ctx, s, tokenFile); err != nil {
		return err
	}
	serving()
	served := make(chan error, 1)
	go func() { served <- s.Serve(listener) }()
	if scrapes != nil {
		defer serveMetrics(scrapes, s, profiles)()
	}

	address := listener.Addr().String()
	fmt.Fprintf(a.err, `headwater %s answers on %s, its data in %s. In another terminal:

  export HEADWATER_SERVER=%s
  export HEADWATER_TOKEN=$(cat %s)

Interrupt to stop.
`, version(), address, dir, address, tokenFile)
	// The last of all: whoever sees it finds everything else done, and said.
	if o.readyFile != "" {
		content := "HEADWATER_SERVER=" + address + "\nHEADWATER_TOKEN_FILE=" + tokenFile + "\n"
		if err := writeWhole(o.readyFile, content, 0o644); err != nil {
			return fault.New(fault.FailedPrecondition, "ready file %s: %v", o.readyFile, err)
		}
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-served:
		return err
	case <-stores.postgres.Done():
		return fault.New(fault.PostgresUnavailable, "the private Postgres ended by itself; %s says why",
			filepath.Join(dir, "postgres", "postgres.log"))
	case <-stores.redis.Done():
		return fault.New(fault.RedisUnavailable, "the private Redis ended by itself; %s says why",
			filepath.Join(dir, "redis", "redis.log"))
	}
}

// makeFolder makes a folder, and those above it, where they are missing. Others may pass through what it makes, whatever
// the umask: Postgres runs as another user when this process is root's, and must get to its folder below.
func makeFolder(dir string) error {
	var made []string
	for above := dir; ; above = filepath.Dir(above) {
		if _, err := os.Stat(above); err == nil || above == filepath.Dir(above) {
			break
		}
		made = append(made, above)
	}
	err := os.MkdirAll(dir, 0o711)
	for _, folder := range made {
		if err == nil {
			err = os.Chmod(folder, 0o711)
		}
	}
	return err
}

// listen opens the address to answer on, before anything else is started.
func listen(address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fault.New(fault.FailedPrecondition, "cannot listen on %s: %v; name another address with --listen "+
			"(HEADWATER_LISTEN), or port 0 for a free one", address, errors.Unwrap(err))
	}
	return l, nil
}

// stores are the private servers of dev.
type stores struct {
	postgres *localserver.Postgres
	redis    *localserver.Redis
}

func startStores(ctx context.Context, dir string) (*stores, error) {
	s := &stores{}
	var group errgroup.Group
	group.Go(func() (err error) {
		s.postgres, err = localserver.StartPostgres(ctx, localserver.PostgresConfig{Dir: filepath.Join(dir, "postgres"), Durable: true})
		return err
	})
	group.Go(func() (err error) {
		s.redis, err = localserver.StartRedis(ctx, localserver.RedisConfig{Dir: filepath.Join(dir, "redis"), Durable: true})
		return err
	})
	if err := group.Wait(); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

func (s *stores) stop() error {
	var errs []error
	if s.redis != nil {
		errs = append(errs, s.redis.Stop())
	}
	if s.postgres != nil {
		errs = append(errs, s.postgres.Stop())
	}
	return errors.Join(errs...)
}

// migrate brings a database to this binary's schema.
func migrate(ctx context.Context, url string) error {
	pool, err := database.Open(ctx, url)
	if err != nil {
		return err
	}
	defer pool.Close()
	_, _, err = database.Migrate(ctx, pool)
	return err
}

// ensureAdminToken keeps a working token of the administrator in a file that only its owner reads.
func ensureAdminToken(ctx context.Context, s *server.Server, file string) error {
	if kept, err := os.ReadFile(file); err == nil && s.AcceptsToken(ctx, string(kept)) {
		return nil
	}
	secret, err := s.CreateAdminToken(ctx, "admin")
	if err != nil {
		return err
	}
	return writeWhole(file, secret+"\n", 0o600)
}

// writeWhole writes a file so that whoever sees it sees all of it.
func writeWhole(name, content string, mode os.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(content)
	if err := errors.Join(err, f.Chmod(mode), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

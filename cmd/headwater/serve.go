package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strconv"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/headwaterhq/headwater/client"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/gomemory"
	"github.com/headwaterhq/headwater/online"
	"github.com/headwaterhq/headwater/server"
)

// serveConfig is the configuration file of `serve`. The environment is before it.
type serveConfig struct {
	// PostgresURL and RedisURL say where the stores are (HEADWATER_POSTGRES_URL, HEADWATER_REDIS_URL).
	PostgresURL string `yaml:"postgres_url"`
	RedisURL    string `yaml:"redis_url"`
	// RedisPrefix begins every key in Redis (HEADWATER_REDIS_PREFIX).
	RedisPrefix string `yaml:"redis_prefix"`
	// Region is where the server is, for policies that ask (HEADWATER_REGION). Empty: nobody said.
	Region string `yaml:"region"`
	// Listen is the address to answer on (HEADWATER_LISTEN).
	Listen string `yaml:"listen"`
	// AuditDir is a folder of this process's own for audit records on their way to Postgres (HEADWATER_AUDIT_DIR).
	AuditDir string `yaml:"audit_dir"`
	// MetricsListen is the address to answer Prometheus on, at /metrics (HEADWATER_METRICS_LISTEN). Empty: none.
	MetricsListen string `yaml:"metrics_listen"`
	// MetricsProfiles is on where profiles of the process are to be had there too (HEADWATER_METRICS_PROFILES). Empty: off.
	MetricsProfiles string `yaml:"metrics_profiles"`
	// RunChunkWorkers is how many chunks of one run are worked on at once (HEADWATER_RUN_CHUNK_WORKERS). Empty: two.
	RunChunkWorkers string `yaml:"run_chunk_workers"`
	// Profiles is off where runs and datasets are to have none (HEADWATER_PROFILES). Empty: on.
	Profiles      string `yaml:"profiles"`
	viewConfig    `yaml:",inline"`
	readLogConfig `yaml:",inline"`
	auditConfig   `yaml:",inline"`
	resultsConfig `yaml:",inline"`
	callsConfig   `yaml:",inline"`
	watchConfig   `yaml:",inline"`
	callerConfig  `yaml:",inline"`
	sourceConfig  `yaml:",inline"`

	openLineageConfig `yaml:",inline"`
	webhookConfig     `yaml:",inline"`
}

func loadServeConfig(file string) (serveConfig, error) {
	c := serveConfig{Listen: client.DefaultServer, AuditDir: "headwater-audit"}
	if file != "" {
		data, err := os.ReadFile(file)
		if err != nil {
			return c, fault.New(fault.FailedPrecondition, "configuration %s: %v", file, errors.Unwrap(err))
		}
		d := yaml.NewDecoder(bytes.NewReader(data))
		d.KnownFields(true)
		if err := d.Decode(&c); err != nil && !errors.Is(err, io.EOF) {
			return c, fault.New(fault.InvalidArgument, "configuration %s: %v; its keys are postgres_url, redis_url, redis_prefix, "+
				"region, listen, audit, audit_dir, audit_key, audit_retention, read_log_dir, read_log_bytes, read_log_retention, metrics_listen, metrics_profiles, run_chunk_workers, profiles, view_timeout, view_work_mem, view_temp_files, results_dir, results_bytes, results_days, history_retention, max_reads, max_waiting_reads, read_wait, max_request, max_answer, "+
				"max_streams, connection_age, drain_delay, drain_time, slow_read, read_cache, otlp_endpoint, trace_share, openlineage_url, openlineage_api_key, openlineage_file, openlineage_namespace, openlineage_postgres, openlineage_keep, openlineage_listen, webhooks, low_score, reflection, insecure_no_auth, tls_cert, tls_key, tls_client_ca, oidc_issuer, oidc_audience, oidc_algorithms, oidc_jwks_url, oidc_principal_claim, "+
				"oidc_roles_claim, oidc_roles, oidc_attributes, oidc_max_age and source_databases", file, err)
		}
	}
	for name, field := range map[string]*string{
		"HEADWATER_POSTGRES_URL":      &c.PostgresURL,
		"HEADWATER_REDIS_URL":         &c.RedisURL,
		"HEADWATER_REDIS_PREFIX":      &c.RedisPrefix,
		"HEADWATER_REGION":            &c.Region,
		"HEADWATER_LISTEN":            &c.Listen,
		"HEADWATER_AUDIT_DIR":         &c.AuditDir,
		"HEADWATER_RUN_CHUNK_WORKERS": &c.RunChunkWorkers,
		"HEADWATER_PROFILES":          &c.Profiles,
		metricsListenVariable:         &c.MetricsListen,
		metricsProfilesVariable:       &c.MetricsProfiles,
	} {
		if v := os.Getenv(name); v != "" {
			*field = v
		}
	}
	c.viewConfig.readEnvironment()
	c.readLogConfig.readEnvironment()
	c.auditConfig.readEnvironment()
	c.resultsConfig.readEnvironment()
	c.callsConfig.readEnvironment()
	c.watchConfig.readEnvironment()
	c.callerConfig.readEnvironment()
	c.sourceConfig.readEnvironment()
	c.openLineageConfig.readEnvironment()
	c.webhookConfig.readEnvironment()
	return c, nil
}

// maxChunkWorkers bounds run_chunk_workers: each takes two connections of Postgres.
const maxChunkWorkers = 32

// chunkWorkers reads run_chunk_workers, 0 when it is not given, or is a usage fault.
func (c serveConfig) chunkWorkers() (int, error) {
	if c.RunChunkWorkers == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(c.RunChunkWorkers)
	if err != nil || n < 1 || n > maxChunkWorkers {
		return 0, usagef("HEADWATER_RUN_CHUNK_WORKERS (run_chunk_workers): found %q, expected a number from 1 to %d", c.RunChunkWorkers, maxChunkWorkers)
	}
	return n, nil
}

// withoutProfiles reads profiles, or is a usage fault.
func (c serveConfig) withoutProfiles() (bool, error) {
	switch c.Profiles {
	case "", "on":
		return false, nil
	case "off":
		return true, nil
	}
	return false, usagef("HEADWATER_PROFILES (profiles): found %q, expected on or off", c.Profiles)
}

// requirePostgres is for what cannot do without it.
func (c serveConfig) requirePostgres() error {
	if c.PostgresURL == "" {
		return usagef("no Postgres is given; set HEADWATER_POSTGRES_URL, or postgres_url in the file that --config names. " +
			"For a private one, use `headwater dev`")
	}
	return nil
}

func newServe(a *app) *cobra.Command {
	var file string
	var open bool
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run a server on a given Postgres and Redis, until interrupted",
		Long: `Runs a server on a Postgres 15 or later and a Redis 7 or later (or a Redis Cluster). The database must have been migrated by
the same version. Any number of servers may share both stores. The environment goes before the configuration file:

  HEADWATER_POSTGRES_URL  postgres_url  postgres://USER:PASSWORD@HOST:5432/DATABASE
  HEADWATER_REDIS_URL     redis_url     redis://[USER:PASSWORD@]HOST:PORT[,HOST:PORT…][/DATABASE]; rediss:// for TLS
  HEADWATER_REDIS_PREFIX  redis_prefix  what every key in Redis begins with (default hw)
  HEADWATER_REGION        region        where the server is, for policies that are kept to regions (default: nowhere that any asks for)
  HEADWATER_LISTEN        listen        address to answer on (default 127.0.0.1:7411)
  HEADWATER_AUDIT_DIR     audit_dir     folder of this process's own, which outlives it, for audit records on their way to
                                        Postgres (default headwater-audit)
  HEADWATER_AUDIT           audit            durable: a call waits until its record is on the disk (default: it is a moment later)
  HEADWATER_AUDIT_KEY       audit_key        file with an Ed25519 key in PEM that signs checkpoints of the audit (default: nobody does)
  HEADWATER_AUDIT_RETENTION audit_retention  how long audit records are kept in Postgres, in whole days (default 400d)
  HEADWATER_READ_LOG_DIR       read_log_dir        folder of this process's own, which outlives it, for reads of services with a log on
                                        their way to Postgres (default: the audit folder's name with -reads behind it)
  HEADWATER_READ_LOG_BYTES     read_log_bytes      room for them there (default 1GB)
  HEADWATER_READ_LOG_RETENTION read_log_retention  how long they are kept in Postgres, in whole days (default 90d)
  HEADWATER_FEEDBACK_RETENTION feedback_retention  how long predictions and outcomes are kept, in whole days (default 90d)
  HEADWATER_METRICS_LISTEN metrics_listen address to answer Prometheus on, at /metrics; anyone who reaches it may read the names of
                                        views and how their runs fare (default none)
  HEADWATER_METRICS_PROFILES metrics_profiles  on: profiles of the process, for Go's tools, there too, at /debug/pprof/ (default off)
  HEADWATER_RUN_CHUNK_WORKERS run_chunk_workers  how many parts of one run are worked on at once, each with two connections to
                                        Postgres (default 2)
  HEADWATER_PROFILES         profiles         off: it is not kept what columns of runs and datasets are like (default on)
  HEADWATER_VIEW_TIMEOUT     view_timeout     how long the SQL of a view may run, each time (default 1h)
  HEADWATER_VIEW_WORK_MEM    view_work_mem    memory of each of its sorts and hashes, before they go to disk (default 64MB)
  HEADWATER_VIEW_TEMP_FILES  view_temp_files  room on disk for them (default: as Postgres is configured)
  HEADWATER_RESULTS_DIR      results_dir      folder for results of datasets, so that fetching one need not compute it again
                                              (default: none is kept)
  HEADWATER_RESULTS_BYTES    results_bytes    room for them (default 10GB)
  HEADWATER_RESULTS_DAYS     results_days     how many days one is kept (default 7)
  HEADWATER_HISTORY_RETENTION history_retention  how long rows of the history that ended are kept by headwater gc, such as 90d
                                              (default: each gc says it)
  HEADWATER_MAX_READS         max_reads          how many online reads are worked on at once (default 64 for each processor)
  HEADWATER_MAX_WAITING_READS max_waiting_reads  how many more wait for their turn; further ones are refused at once (default twice that)
  HEADWATER_READ_WAIT         read_wait          how long one waits at most (default 1s)
  HEADWATER_MAX_REQUEST       max_request        size of one message of a call (default 16MB)
  HEADWATER_MAX_ANSWER        max_answer         size of one message of an answer (default 64MB)
  HEADWATER_MAX_STREAMS       max_streams        how many calls one connection may have open (default 1000)
  HEADWATER_CONNECTION_AGE    connection_age     after how long a connection is asked to be made anew (default 1h)
  HEADWATER_DRAIN_DELAY       drain_delay        how long a server that is to end goes on taking calls after its health says that it
                                                 does not serve (default 1s)
  HEADWATER_DRAIN_TIME        drain_time         how long calls and runs may take to end after that (default 10s)
  HEADWATER_SLOW_READ         slow_read          from how long on an online read is logged, with its id and where the time went, and so is
                                                 each that fails (default: none)
  HEADWATER_READ_CACHE        read_cache         memory for rows of views that declare a cache (default 64MB)
  HEADWATER_OTLP_ENDPOINT     otlp_endpoint      http://HOST:PORT of an OpenTelemetry collector that traces are sent to, by OTLP over gRPC;
                                                 https:// for TLS (default: none are made)
  HEADWATER_TRACE_SHARE       trace_share        share of the calls whose callers do not trace them that is traced (default 0.01)
  HEADWATER_OPENLINEAGE_URL       openlineage_url        endpoint that is sent OpenLineage's events of runs, datasets and definitions, whole, such as
                                                 http://marquez:5000/api/v1/lineage (default: nobody is told)
  HEADWATER_OPENLINEAGE_API_KEY   openlineage_api_key    what is sent there as a bearer token (default none)
  HEADWATER_OPENLINEAGE_FILE      openlineage_file       file that events are appended to, in the place of an endpoint
  HEADWATER_OPENLINEAGE_NAMESPACE openlineage_namespace  namespace of jobs and of datasets of ours (default headwater)
  HEADWATER_OPENLINEAGE_POSTGRES  openlineage_postgres   HOST:PORT of the server's Postgres as others know it (default: as in its URL)
  HEADWATER_OPENLINEAGE_KEEP      openlineage_keep       how long events are kept that cannot be delivered (default 7d)
  HEADWATER_OPENLINEAGE_LISTEN    openlineage_listen     address to take OpenLineage's events of others on, at /api/v1/lineage, with the
                                                 tokens and, where there is one, the certificate of calls (default none)
  HEADWATER_WEBHOOK_URL       webhooks           endpoint that is told of what went wrong, by signed POST requests; in the file a map from names to
                                                 url, secret and events (default: nobody is told)
  HEADWATER_WEBHOOK_SECRET                       what signs them: whsec_ with base64 behind it, or a text of 16 bytes or more
  HEADWATER_WEBHOOK_EVENTS                       which events, with commas between them, such as run.failed,score.low (default: all)
  HEADWATER_LOW_SCORE         low_score          below which score of quality webhooks are told (default 60)
  HEADWATER_REFLECTION        reflection         off: callers cannot ask what methods there are (default on)
  HEADWATER_INSECURE_NO_AUTH  insecure_no_auth   on: nobody is asked who calls. Everybody may read, change and erase everything, and
                                                 no call is recorded in the audit log (default off)
  HEADWATER_TLS_CERT             tls_cert              certificate of the server, in PEM: calls are encrypted. Read again when it changes (default none)
  HEADWATER_TLS_KEY              tls_key               its key
  HEADWATER_TLS_CLIENT_CA        tls_client_ca         authorities of certificates that clients may show in place of tokens, in PEM (default none)
  HEADWATER_OIDC_ISSUER          oidc_issuer           issuer of JWTs that callers may come with, as iss has it: https://… (default none)
  HEADWATER_OIDC_AUDIENCE        oidc_audience         what aud must have, one of several with commas between them
  HEADWATER_OIDC_ALGORITHMS      oidc_algorithms       by what they may be signed (default RS256,ES256)
  HEADWATER_OIDC_JWKS_URL        oidc_jwks_url         where the issuer's keys are (default: as its discovery document says)
  HEADWATER_OIDC_PRINCIPAL_CLAIM oidc_principal_claim  claim that names the principal, which is then ISSUER#NAME (default sub)
  HEADWATER_OIDC_ROLES_CLAIM     oidc_roles_claim      claim of groups or the like, such as groups or realm_access.roles
  HEADWATER_OIDC_ROLES           oidc_roles            the roles that its values give, VALUE=ROLE,…; *=ROLE gives to all (default none)
  HEADWATER_OIDC_ATTRIBUTES      oidc_attributes       claims that become attributes of the principal, ATTRIBUTE=CLAIM,… (default none)
  HEADWATER_OIDC_MAX_AGE         oidc_max_age          how long ago one may have been issued, whatever it says (default 24h)
  HEADWATER_SOURCE_NAME_URL  source_databases a Postgres that sources may name; in the file a map from names to URLs. The user
                                              of the URL reads their tables

Where GOMEMLIMIT is not set, Go's memory limit is four fifths of what the process may have; where GOGC is not, a heap below 256 MiB
is collected seldom. GOMAXPROCS follows the processors that the process may use.

Without tls_cert calls are not encrypted: let a proxy that speaks TLS stand before an address that others reach.`,
		Args: takesNone,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadServeConfig(file)
			if err != nil {
				return err
			}
			if err := c.requirePostgres(); err != nil {
				return err
			}
			if c.RedisURL == "" {
				return usagef("no Redis is given; set HEADWATER_REDIS_URL, or redis_url in the file that --config names")
			}
			if open {
				c.InsecureNoAuth = "on"
			}
			return runServe(cmd.Context(), a, c)
		},
	}
	cmd.Flags().StringVar(&file, "config", "", "YAML file with postgres_url, redis_url, redis_prefix, listen, audit, audit_dir, audit_key, audit_retention, read_log_dir, read_log_bytes, read_log_retention, metrics_listen, metrics_profiles, run_chunk_workers, profiles, view_timeout, "+
		"view_work_mem, view_temp_files, results_dir, results_bytes, results_days, history_retention, max_reads, max_waiting_reads, read_wait, max_request, max_answer, max_streams, "+
		"connection_age, drain_delay, drain_time, slow_read, read_cache, otlp_endpoint, trace_share, openlineage_url, openlineage_api_key, openlineage_file, openlineage_namespace, openlineage_postgres, openlineage_keep, openlineage_listen, webhooks, low_score, reflection, insecure_no_auth, tls_cert, tls_key, tls_client_ca, oidc_issuer, oidc_audience, oidc_algorithms, oidc_jwks_url, "+
		"oidc_principal_claim, oidc_roles_claim, oidc_roles, oidc_attributes, oidc_max_age, source_databases")
	cmd.Flags().BoolVar(&open, "insecure-no-auth", false, "ask nobody who calls: whoever reaches the address may do everything, and no call is recorded")
	return cmd
}

// inTests is what tests of crashes set, and is zero otherwise.
var inTests struct {
	// reached is called at each step of a run.
	reached func(step string) error
	// chunkRows cuts runs of few rows into chunks.
	chunkRows int64
}

func runServe(ctx context.Context, a *app, c serveConfig) (err error) {
	bounds, err := c.viewConfig.bounds()
	if err != nil {
		return err
	}
	databases, err := c.sourceConfig.databases()
	if err != nil {
		return err
	}
	chunkWorkers, err := c.chunkWorkers()
	if err != nil {
		return err
	}
	noProfiles, err := c.withoutProfiles()
	if err != nil {
		return err
	}
	config := server.Config{
		PostgresURL: c.PostgresURL, RedisURL: c.RedisURL, RedisPrefix: c.RedisPrefix, Region: c.Region, AuditDir: c.AuditDir, Version: version(),
		ViewBounds: bounds, SourceDatabases: databases, RunChunkWorkers: chunkWorkers, NoProfiles: noProfiles, Reached: inTests.reached, RunChunkRows: inTests.chunkRows,
	}
	if err := errors.Join(c.resultsConfig.apply(&config), c.callsConfig.apply(&config), c.watchConfig.apply(&config), c.openLineageConfig.apply(&config), c.webhookConfig.apply(&config)); err != nil {
		return err
	}
	if err := c.callerConfig.apply(&config); err != nil {
		return err
	}
	if err := c.readLogConfig.apply(&config); err != nil {
		return err
	}
	if err := c.auditConfig.apply(&config); err != nil {
		return err
	}
	profiles, err := wantsProfiles(c.MetricsProfiles)
	if err != nil {
		return err
	}
	listener, err := listen(c.Listen)
	if err != nil {
		return err
	}
	defer listener.Close()
	log := slog.New(slog.NewJSONHandler(a.err, nil))
	serving := online.LogTo(log)
	gomemory.Set(log)
	var scrapes net.Listener
	if c.MetricsListen != "" {
		if scrapes, err = listenForMetrics(c.MetricsListen); err != nil {
			return err
		}
		defer scrapes.Close()
	}
	events, err := c.listenForEvents()
	if err != nil {
		return err
	}
	if events != nil {
		defer events.Close()
	}
	config.Log = log
	s, err := server.Open(ctx, config)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close(ctx)) }()
	serving()
	served := make(chan error, 1)
	go func() { served <- s.Serve(listener) }()
	if scrapes != nil {
		defer serveMetrics(scrapes, s, profiles)()
		log.InfoContext(ctx, "serving metrics", "address", scrapes.Addr().String())
	}
	if events != nil {
		defer serveEvents(events, s)()
		log.InfoContext(ctx, "taking OpenLineage events", "address", events.Addr().String())
	}
	if address, ok := listener.Addr().(*net.TCPAddr); c.TLSCert == "" && ok && !address.IP.IsLoopback() {
		log.WarnContext(ctx, "calls are not encrypted, and tokens can be read on their way here from other machines, unless a proxy that speaks TLS stands before "+
			"this address; give the server a certificate (HEADWATER_TLS_CERT, HEADWATER_TLS_KEY)", "address", address.String())
	}
	if config.AuditKey == nil && !config.InsecureNoAuth {
		log.WarnContext(ctx, "audit records are chained, and nobody signs the chains: whoever may write to Postgres can make a chain anew, and nothing tells; give the "+
			"server a key (HEADWATER_AUDIT_KEY, audit_key)")
	}
	log.InfoContext(ctx, "serving", "address", listener.Addr().String(), "version", version())
	select {
	case <-ctx.Done():
		return nil
	case err := <-served:
		return err
	}
}

func newMigrate(a *app) *cobra.Command {
	var file, tokenFile string
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Bring the Postgres of HEADWATER_POSTGRES_URL to the schema of this binary",
		Long: `Makes or upgrades the schema of this version in the database of HEADWATER_POSTGRES_URL, or of postgres_url in the file that
--config names. The user of the URL needs CREATE on the database, and owns what is made. Doing it again changes nothing; a
schema that is newer than this version is refused.

It also makes the role headwater_view, as which the SQL of views runs, and lets the user become it. Where the user may not
make roles, it says what an administrator of the Postgres has to run, once.

With --admin-token-file it also makes one more token of the built-in role admin, which is how to get into a new server.`,
		Args: takesNone,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadServeConfig(file)
			if err != nil {
				return err
			}
			if err := c.requirePostgres(); err != nil {
				return err
			}
			return runMigrate(cmd.Context(), a, c.PostgresURL, tokenFile)
		},
	}
	cmd.Flags().StringVar(&file, "config", "", "YAML file with postgres_url")
	cmd.Flags().StringVar(&tokenFile, "admin-token-file", "", "file to write a token of the administrator to, as a first way in")
	return cmd
}

func runMigrate(ctx context.Context, a *app, url, tokenFile string) error {
	pool, err := database.Open(ctx, url)
	if err != nil {
		return err
	}
	defer pool.Close()
	from, to, err := database.Migrate(ctx, pool)
	if err != nil {
		return err
	}
	if from == to {
		fmt.Fprintf(a.out, "schema version %d, nothing to do\n", to)
	} else {
		fmt.Fprintf(a.out, "schema version %d, was %d\n", to, from)
	}
	if tokenFile == "" {
		return nil
	}
	secret, err := server.CreateAdminToken(ctx, pool, "admin")
	if err != nil {
		return err
	}
	if err := writeWhole(tokenFile, secret+"\n", 0o600); err != nil {
		return fault.New(fault.FailedPrecondition, "token file %s: %v", tokenFile, err)
	}
	fmt.Fprintf(a.err, "token of the administrator written to %s\n", tokenFile)
	return nil
}

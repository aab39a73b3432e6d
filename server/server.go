package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"
	"google.golang.org/grpc"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"

	"github.com/headwaterhq/headwater/access"
	"github.com/headwaterhq/headwater/dataset"
	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/grpccodec"
	"github.com/headwaterhq/headwater/internal/grpcflow"
	"github.com/headwaterhq/headwater/internal/notify"
	"github.com/headwaterhq/headwater/internal/rawconn"
	"github.com/headwaterhq/headwater/internal/tracing"
	"github.com/headwaterhq/headwater/lineage/openlineage"
	"github.com/headwaterhq/headwater/materialize"
	"github.com/headwaterhq/headwater/offline"
	"github.com/headwaterhq/headwater/online"
	"github.com/headwaterhq/headwater/quality/feedback"
	"github.com/headwaterhq/headwater/readlog"
	"github.com/headwaterhq/headwater/registry"
)

// Config is what a Server needs.
type Config struct {
	// PostgresURL and RedisURL say where the stores are. The database's schema must be of this binary's version.
	PostgresURL, RedisURL string
	// RedisPrefix begins every key in Redis. Default online.DefaultPrefix.
	RedisPrefix string
	// Region is where the server is, for policies that ask. Empty: nobody said.
	Region string
	// SourceDatabases are the connection URLs of other Postgres databases, by the names that sources have for them. They are
	// connected to when a source that names one is applied, described or read.
	SourceDatabases map[string]string
	// AuditDir is a folder of this process's own, where audit records are kept until they are in Postgres.
	AuditDir string
	// AuditDurable makes each decision wait for the disk that it is recorded on.
	AuditDurable bool
	// AuditKey signs checkpoints of the audit. nil: nobody does.
	AuditKey *access.AuditKey
	// AuditRetention is how long audit records are kept in Postgres. 0: as access.AuditOptions says.
	AuditRetention time.Duration
	// ReadLogDir is a folder of this process's own, where online reads that are logged are kept until they are in Postgres. Empty:
	// AuditDir with `-reads` behind it.
	ReadLogDir string
	// ReadLogBytes bounds the room there, ReadLogRetention how long reads are kept in Postgres. 0: as readlog.Options says.
	ReadLogBytes     int64
	ReadLogRetention time.Duration
	// FeedbackRetention is how long predictions and outcomes are kept. 0: as feedback.Options says.
	FeedbackRetention time.Duration
	// ViewBounds is what the SQL of a view may take, each time it runs. Zero: its defaults.
	ViewBounds offline.Bounds
	// RunChunkWorkers is how many chunks of one run are worked on at once. 0: as materialize.Config says.
	RunChunkWorkers int
	// RunChunkRows is about how many rows a chunk of a run reads. 0: as materialize.Config says.
	RunChunkRows int64
	// NoProfiles has it not be kept what columns of runs and datasets are like.
	NoProfiles bool
	// ResultsDir is a folder for results of datasets, so that they need not be computed again. Empty: they are.
	ResultsDir string
	// ResultsBytes bounds what is kept there, ResultsAge for how long. 0: as dataset.KeptConfig says.
	ResultsBytes int64
	ResultsAge   time.Duration
	// HistoryRetention is how long rows of the history that ended are kept when a collection does not say it. 0: it must.
	HistoryRetention time.Duration
	// Limits bound what callers may ask at once.
	Limits Limits
	// SlowRead is from how long on an online read is logged, with its id and where the time went; so is each that fails. Then every read
	// is measured. 0: none is logged for that.
	SlowRead time.Duration
	// ReadSample is of how many online reads one is measured, for the metrics. Default: 64.
	ReadSample int
	// OTLPEndpoint is where traces go, and TraceShare which share of the calls that nobody traces begins one, as tracing.Config says. Empty:
	// there are none.
	OTLPEndpoint string
	TraceShare   float64
	// ReadCacheBytes bounds the rows that are kept in memory for views that declare a cache. Default: online.DefaultCacheBytes.
	ReadCacheBytes int
	// OpenLineage is who is told what is run, built and applied.
	OpenLineage OpenLineage
	// Webhooks are told of what went wrong, and of scores below LowScore. 0: defaultLowScore.
	Webhooks []notify.Webhook
	LowScore float64
	// InsecureNoAuth lets everybody do everything: nobody is asked who calls, and no call is recorded.
	InsecureNoAuth bool
	// OIDC says whose JWTs are taken, besides tokens of the server's own. nil: nobody's.
	OIDC *access.OIDC
	// TLS encrypts calls. Zero: they are not.
	TLS TLS
	// NoReflection hides from callers what services and methods there are.
	NoReflection bool
	// DrainDelay is how long Close goes on answering after it has told gRPC's health service that it does not serve, so that whoever
	// spreads calls over servers can tell. 0: not at all.
	DrainDelay time.Duration
	// DrainTime is how long calls and runs may take to end after that. Default: 10 s.
	DrainTime time.Duration
	// Version of the binary, for manifests.
	Version string
	// Log is for what no caller hears of. Default slog.Default().
	Log *slog.Logger
	// Reached is for tests: see materialize.Config.
	Reached func(step string) error
}

const (
	// writeBuffer is what is written to a connection at once, at most: it is shared by the connections, which have none while they
	// have nothing to write.
	writeBuffer = 128 << 10
	// streamWorkers are goroutines that calls run on: one that is new grows its stack on its way through a call, which takes about as
	// much as all else of a small read. Calls beyond them have goroutines of their own.
	streamWorkers = 128
	// defaultDrainTime is Config.DrainTime unless it is given.
	defaultDrainTime = 10 * time.Second
)

// Server is one Headwater server: any number of them may share a Postgres and a Redis.
type Server struct {
	config       Config
	pool         *pgxpool.Pool
	redis        redis.UniversalClient
	online       *online.Reader
	databases    *offline.Databases
	registry     *registry.Registry
	audit        *access.AuditLog
	reads        *readlog.Log
	feedback     *feedback.Store
	auth         *access.Authenticator
	elevations   *access.Elevations
	secrets      *access.Secrets
	materializer *materialize.Materializer
	ingest       *ingestService
	grpc         *grpc.Server
	guard        *Guard
	health       *healthReport
	head         *head
	served       *served
	metrics      *metrics
	tracer       *tracing.Tracer
	events       *openlineage.Sender
	notifier     *notify.Notifier
	lineage      *lineageService
	quality      *qualityService
	scores       *scorer
	builder      *dataset.Builder
	// certificates is nil where calls are not encrypted.
	certificates *certificates
	// kept is nil where no results are kept; sweeping ends when nobody looks after them any more.
	kept     *dataset.Kept
	sweeping sync.WaitGroup
	// rotating ends when nobody looks for newer secrets of masks any more.
	rotating sync.WaitGroup
	// closing is closed once, by Close.
	closing chan struct{}
	closed  sync.Once
}

// Open connects to the stores, checks the schema's version and the role of views, and starts to work on runs. Close ends it.
func Open(ctx context.Context, config Config) (_ *Server, err error) {
	if config.Log == nil {
		config.Log = slog.Default()
	}
	if config.RedisPrefix == "" {
		config.RedisPrefix = online.DefaultPrefix
	}
	if config.ReadLogDir == "" {
		config.ReadLogDir = filepath.Clean(config.AuditDir) + "-reads"
	}
	if err := online.CheckPrefix(config.RedisPrefix); err != nil {
		return nil, err
	}
	s := &Server{config: config, closing: make(chan struct{})}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close(ctx))
		}
	}()
	if s.tracer, err = tracing.Open(ctx, tracing.Config{
		Endpoint: config.OTLPEndpoint, Share: config.TraceShare, Version: config.Version, Log: config.Log,
	}); err != nil {
		return nil, err
	}
	if s.databases, err = offline.NewDatabases(config.SourceDatabases); err != nil {
		return nil, err
	}
	if s.pool, err = database.Open(ctx, config.PostgresURL); err != nil {
		return nil, err
	}
	if err := database.CheckVersion(ctx, s.pool); err != nil {
		return nil, err
	}
	if err := errors.Join(database.CheckViewRole(ctx, s.pool), offline.CheckBounds(ctx, s.pool, config.ViewBounds)); err != nil {
		return nil, err
	}
	if s.redis, err = online.Open(ctx, config.RedisURL, online.Options{}); err != nil {
		return nil, err
	}
	s.registry, err = registry.Open(ctx, s.pool, registry.Config{
		Logger: config.Log, CheckSource: s.databases.CheckSource, CheckView: checkView,
		CreateSource: offline.CreateSource, CreateView: offline.CreateHistory, Reach: s.reach, Datasets: datasets, Models: modelNames, Serve: servedBy,
	})
	if err != nil {
		return nil, err
	}
	s.adviseRedis(ctx)
	if err := s.openAccess(ctx); err != nil {
		return nil, err
	}
	if s.metrics, err = newMetrics(s.pool); err != nil {
		return nil, err
	}
	s.reads, err = readlog.Open(ctx, config.ReadLogDir, s.pool, readlog.Options{
		Bytes: config.ReadLogBytes, Retention: config.ReadLogRetention, Log: config.Log, Metrics: s.metrics.reads,
	})
	if err != nil {
		return nil, err
	}
	s.feedback = feedback.Open(s.pool, feedback.Options{Retention: config.FeedbackRetention, Log: config.Log})
	if err := s.keepResults(); err != nil {
		return nil, err
	}
	if s.head, err = followHead(ctx, s.pool, config.Log); err != nil {
		return nil, err
	}
	views := func() []*feature.ViewVersion { return viewsServed(s.registry.Catalog()) }
	if err := s.metrics.registry.Register(newLateness(s.head, views)); err != nil {
		return nil, err
	}
	if s.served, err = followServed(ctx, s.pool, config.Log); err != nil {
		return nil, err
	}
	s.materializer, err = materialize.New(materialize.Config{
		Pool: s.pool, Writer: online.NewWriter(s.redis, config.RedisPrefix), Reader: online.NewReader(s.redis, config.RedisPrefix), Databases: s.databases, View: s.view,
		Scheduled: func() []*feature.ViewVersion { return s.registry.Catalog().ViewsToRun() },
		Audit:     auditEnded, Log: config.Log, Version: config.Version, Bounds: config.ViewBounds, ChunkWorkers: config.RunChunkWorkers, ChunkRows: config.RunChunkRows, NoProfiles: config.NoProfiles, Metrics: s.metrics.runs, Tracer: s.tracer, Reached: config.Reached,
	})
	if err != nil {
		return nil, err
	}
	if err := s.serve(); err != nil {
		return nil, err
	}
	if err := s.tellOthers(); err != nil {
		return nil, err
	}
	if err := s.notify(); err != nil {
		return nil, err
	}
	s.scores.follow()
	if err := s.materializer.Start(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// openAccess prepares who may call, and where it is recorded.
func (s *Server) openAccess(ctx context.Context) (err error) {
	s.followSecrets()
	if s.config.InsecureNoAuth {
		s.config.Log.Warn("THIS SERVER ASKS NOBODY WHO CALLS: whoever reaches its address may read, change and erase everything, and no " +
			"call is recorded in the audit log; start it without --insecure-no-auth (HEADWATER_INSECURE_NO_AUTH, insecure_no_auth) to end that")
		s.audit = access.NoAuditLog(s.pool)
		return nil
	}
	if s.audit, err = access.OpenAuditLog(s.config.AuditDir, s.pool, access.AuditOptions{
		Durable: s.config.AuditDurable, Key: s.config.AuditKey, Retention: s.config.AuditRetention, Log: s.config.Log,
	}); err != nil {
		return err
	}
	s.auth = access.NewAuthenticator(s.pool)
	if s.elevations, err = access.FollowElevations(ctx, s.pool, s.config.Log); err != nil {
		return err
	}
	if s.config.OIDC == nil {
		return nil
	}
	trusted := *s.config.OIDC
	trusted.Log = s.config.Log
	issuer, err := access.NewIssuer(trusted)
	if err != nil {
		return fault.New(fault.InvalidArgument, "HEADWATER_OIDC_… (oidc_…): %v", err)
	}
	s.auth.Trust(issuer)
	return nil
}

// followSecrets has the newest secrets of masks looked for until the server closes.
func (s *Server) followSecrets() {
	s.secrets = access.NewSecrets(s.pool)
	ctx, cancel := context.WithCancel(context.Background())
	s.rotating.Go(func() {
		<-s.closing
		cancel()
	})
	s.rotating.Go(func() {
		s.secrets.Follow(ctx, func(err error) {
			s.config.Log.Warn("newer secrets of mask keys cannot be looked for; masks hash by those that are known", "error", err)
		})
	})
}

// reach is what there is to read for a view that may be new, for plans.
func (s *Server) reach(ctx context.Context, tx pgx.Tx, v *feature.ViewVersion) (*registry.Reach, error) {
	rows, span, err := s.databases.Reach(ctx, tx, v)
	switch {
	case errors.Is(err, offline.ErrNotCounted):
		return nil, nil
	case err != nil:
		return nil, err
	case span.IsEmpty():
		return &registry.Reach{Rows: rows}, nil
	}
	return &registry.Reach{Rows: rows, From: span.Start.Time(), To: span.End.Time()}, nil
}

// datasets are those that were built, for plans.
func datasets(ctx context.Context, tx pgx.Tx) ([]registry.Dataset, error) {
	built, err := dataset.ListSources(ctx, tx)
	list := make([]registry.Dataset, len(built))
	for i, b := range built {
		list[i] = registry.Dataset(b)
	}
	return list, err
}

// view finds a view version by id in the newest catalog, or nil.
func (s *Server) view(id int64) *feature.ViewVersion {
	v, err := s.registry.Catalog().ViewByID(id)
	if err != nil {
		return nil
	}
	return v
}

// sourceChanged queues the runs that a load into a source, or a retraction there, brings about. Of each view the newest version
// takes it, and those that services read.
func (s *Server) sourceChanged(ctx context.Context, tx pgx.Tx, source, principal string) ([]int64, error) {
	return s.materializer.SourceChanged(ctx, tx, source, viewsServed(s.registry.Catalog()), principal)
}

// service finds an applied service, or nil. One that was removed has datasets still.
func (s *Server) service(ref string) *feature.ServiceVersion {
	v, err := s.registry.Catalog().PastService(ref)
	if err != nil {
		return nil
	}
	return v
}

// owner is who owns the newest version of a service, a view or a source.
func (s *Server) owner(kind access.Kind, name string) string {
	catalog := s.registry.Catalog()
	switch kind {
	case access.KindService:
		if v, err := catalog.Service(name); err == nil {
			return v.Owner
		}
	case access.KindView:
		if v := catalog.NewestView(name); v != nil {
			return v.Owner
		}
	case access.KindSource:
		if v := catalog.NewestSource(name); v != nil {
			return v.Owner
		}
	}
	return ""
}

// publishWriter is the writer of the audit records that publications are; they are numbered by position. cancelWriter is that
// of runs that were cancelled, by their id.
const (
	publishWriter = "publish-log"
	cancelWriter  = "run-cancelled"
)

// auditEnded records that a run was published or cancelled.
func auditEnded(ctx context.Context, tx pgx.Tx, r *materialize.Run) error {
	if r.State == materialize.Cancelled {
		return access.WriteTx(ctx, tx, access.Record{
			Writer: cancelWriter, Number: r.ID, Principal: r.CancelledBy, Method: "cancel",
			Action: access.ActionMaterialize, Resource: fmt.Sprintf("run:%d", r.ID), Decision: access.Allowed, Reason: r.Error,
		})
	}
	return access.WriteTx(ctx, tx, access.Record{
		Writer: publishWriter, Number: r.Position, Principal: r.Principal, Method: "publish",
		Action: access.ActionMaterialize, Resource: "run:" + r.Ref(), Decision: access.Allowed,
		Reason: "published, as was allowed when it was queued",
	})
}

// policy is what a catalog says of who may do and see what.
func (s *Server) policy(c *registry.Catalog) *access.Policy {
	return access.NewPolicy(c.Roles()).WithRules(access.Rules{
		Revision: c.Revision(), Policies: c.Policies(), Tags: c.Tags(), Region: s.config.Region, Views: c.VersionsOf, Source: c.NewestSource,
		Secret: s.maskSecret,
	}).WithTags(tagged(c))
}

// inForce is what a policy is compiled of.
type inForce struct {
	catalog *registry.Catalog
	// secrets is access.Secrets.Generation: after a rotation masks are compiled anew.
	secrets int64
}

func (s *Server) inForce() inForce { return inForce{s.registry.Catalog(), s.secrets.Generation()} }

// secretTimeout bounds how long a read waits for a secret that this server does not know yet.
const secretTimeout = 2 * time.Second

// maskSecret is a version of the secret of a mask's key, 0 for the newest.
func (s *Server) maskSecret(key string, version int) (access.MaskSecret, error) {
	ctx, cancel := context.WithTimeout(context.Background(), secretTimeout)
	defer cancel()
	if version == 0 {
		return s.secrets.Newest(ctx, key)
	}
	return s.secrets.At(ctx, key, version)
}

// tagged tells grants by tag which tags a catalog has.
func tagged(c *registry.Catalog) access.Tagged {
	return access.Tagged{
		Tags: c.Tags(), View: c.NewestView,
		Of: func(kind access.Kind, name string) []string {
			k, _ := feature.ParseKind(string(kind))
			return c.OwnTags(k, name)
		},
	}
}

// serve makes the gRPC server with all services behind the Guard.
func (s *Server) serve() error {
	policies := access.CachedPolicies(s.inForce, func(f inForce) *access.Policy { return s.policy(f.catalog) })
	limits := s.config.Limits.withDefaults()
	reads := limits.admission()
	var err error
	s.guard, err = NewGuard(GuardConfig{
		Authenticator: s.auth, Elevations: s.elevations, Policies: policies, Audit: s.audit, Service: s.service, Owner: s.owner, Reads: reads, Closing: s.closing, Log: s.config.Log,
	})
	if err != nil {
		return err
	}
	s.guard.Calls = newCalls(s.guard.rules, cmp.Or(s.config.ReadSample, defaultReadSample), s.config.SlowRead, s.tracer, s.config.Log)
	s.online = online.NewReader(s.redis, s.config.RedisPrefix)
	s.online.BoundCache(cmp.Or(s.config.ReadCacheBytes, online.DefaultCacheBytes))
	err = errors.Join(s.metrics.addServing(reads, s.auth == nil), s.metrics.addCache(s.online.CacheStats), s.guard.Calls.register(s.metrics.registry))
	if err != nil {
		return err
	}
	transport, err := s.startTLS()
	if err != nil {
		return err
	}
	s.grpc = grpc.NewServer(slices.Concat(s.guard.Options(), limits.options(), grpcflow.Server(), []grpc.ServerOption{
		grpc.Creds(transport), grpc.ForceServerCodecV2(grpccodec.New()), grpc.WriteBufferSize(writeBuffer), grpc.NumStreamWorkers(streamWorkers),
	})...)
	headwaterv1.RegisterRegistryServiceServer(s.grpc, &registryService{
		registry: s.registry, pool: s.pool, databases: s.databases, served: s.served,
	})
	s.ingest = newIngestService(s.registry, s.pool, s.sourceChanged)
	s.ingest.step = s.config.Reached
	headwaterv1.RegisterIngestServiceServer(s.grpc, s.ingest)
	headwaterv1.RegisterMaterializationServiceServer(s.grpc, &materializationService{
		registry: s.registry, pool: s.pool, materializer: s.materializer, log: s.config.Log, closing: s.closing,
	})
	headwaterv1.RegisterQuarantineServiceServer(s.grpc, &quarantineService{
		registry: s.registry, pool: s.pool, materializer: s.materializer,
	})
	registerOnline(s.grpc, &onlineService{
		registry: s.registry, reader: s.online, head: s.head,
		served: s.served, log: &readLogger{reads: s.reads, registry: s.registry}, guard: s.guard, closing: s.closing,
	})
	builder := dataset.NewBuilder(s.pool, s.config.Version)
	if s.config.NoProfiles {
		builder.WithoutProfiles()
	}
	builder.Keep(s.kept)
	if err := builder.KeepConnections(); err != nil {
		return err
	}
	s.builder = builder
	datasets := &datasetService{
		registry: s.registry, pool: s.pool, builder: builder, databases: s.databases, bounds: s.config.ViewBounds, policies: policies,
		reads: s.reads, log: s.config.Log,
	}
	builder.Require(approvedGate, datasets.requirements()...)
	headwaterv1.RegisterDatasetServiceServer(s.grpc, datasets)
	headwaterv1.RegisterApprovalServiceServer(s.grpc, &approvalService{pool: s.pool, datasets: datasets})
	headwaterv1.RegisterRetentionServiceServer(s.grpc, &retentionService{
		registry: s.registry, pool: s.pool, materializer: s.materializer, datasets: datasets, reads: s.reads, feedback: s.feedback, historyRetention: s.config.HistoryRetention,
		step: s.config.Reached,
	})
	readLog := &readLogService{registry: s.registry, pool: s.pool, reads: s.reads}
	headwaterv1.RegisterReadLogServiceServer(s.grpc, readLog)
	headwaterv1.RegisterBiasServiceServer(s.grpc, &biasService{registry: s.registry, pool: s.pool, datasets: datasets})
	names, err := s.openLineageNames()
	if err != nil {
		return err
	}
	s.lineage = &lineageService{
		registry: s.registry, pool: s.pool, onlineRows: s.materializer.OnlineRows, reads: readLog, datasets: datasets,
		impacts: make(chan struct{}, maxImpacts), impactTime: maxImpactTime, names: names, receiver: s.config.OpenLineage.receiver(),
		flush: s.audit.Flush, closing: s.closing,
	}
	headwaterv1.RegisterLineageServiceServer(s.grpc, s.lineage)
	s.scores = &scorer{pool: s.pool, databases: s.databases, registry: s.registry, head: s.head, calls: s.guard.Calls, log: s.config.Log, lowScore: s.config.LowScore}
	if err := s.metrics.registry.Register(newScoreMetrics(s.scores)); err != nil {
		return err
	}
	s.quality = &qualityService{
		registry: s.registry, pool: s.pool, datasets: datasets, reads: s.reads, readLog: readLog, head: s.head, maxViewRows: maxViewRows,
		lineage: s.lineage, skewReads: maxSkewReads, skewEntities: maxSkewEntities, scores: s.scores,
	}
	headwaterv1.RegisterQualityServiceServer(s.grpc, s.quality)
	headwaterv1.RegisterFeedbackServiceServer(s.grpc, &feedbackService{registry: s.registry, pool: s.pool, store: s.feedback, reads: s.reads, lineage: s.lineage, maxEvaluated: defaultMaxEvaluated})
	headwaterv1.RegisterAccessServiceServer(s.grpc, NewAccessService(s.pool, policies, s.audit, s.secrets, s.registry, s.served))
	s.health = reportHealth(s.grpc.GetServiceInfo(), s.pool, s.redis)
	healthv1.RegisterHealthServer(s.grpc, s.health.server)
	if !s.config.NoReflection {
		reflection.Register(s.grpc)
	}
	return CheckMethods(s.grpc.GetServiceInfo())
}

// Serve answers calls on l until Close.
func (s *Server) Serve(l net.Listener) error { return s.grpc.Serve(rawconn.Listener(l, pingTimeout)) }

// CreateAdminToken makes a token of the built-in role without a call, for whoever holds the database itself. Returns its
// secret.
func CreateAdminToken(ctx context.Context, pool *pgxpool.Pool, principal string) (secret string, err error) {
	_, secret, err = access.CreateToken(ctx, pool, access.NewToken{
		Principal: principal, Roles: []string{feature.AdminRole}, CreatedBy: principal,
	}, access.NewPolicy(nil).HasRole)
	return secret, err
}

// CreateAdminToken is CreateAdminToken in the server's database.
func (s *Server) CreateAdminToken(ctx context.Context, principal string) (secret string, err error) {
	return CreateAdminToken(ctx, s.pool, principal)
}

// AcceptsToken reports whether a token is taken now.
func (s *Server) AcceptsToken(ctx context.Context, token string) bool {
	if s.auth == nil {
		return true
	}
	_, err := s.auth.Authenticate(ctx, strings.TrimSpace(token))
	return err == nil
}

// Close lets calls and runs end, for a while, and closes everything. First gRPC's health service says that the server does not
// serve, then connections are told to go elsewhere, and calls that came end in peace. What a run could not finish is undone and
// taken up again by the next server.
func (s *Server) Close(ctx context.Context) error {
	if s.health != nil {
		s.health.drain()
		s.linger()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cmp.Or(s.config.DrainTime, defaultDrainTime))
	defer cancel()
	s.closed.Do(func() { close(s.closing) })
	var errs []error
	if s.grpc != nil {
		stop := context.AfterFunc(ctx, s.grpc.Stop)
		s.grpc.GracefulStop()
		stop()
	}
	if s.health != nil {
		s.health.close()
	}
	if s.materializer != nil {
		errs = append(errs, s.materializer.Stop(ctx))
	}
	if s.events != nil {
		s.events.Close()
	}
	if s.notifier != nil {
		s.notifier.Close()
	}
	if s.scores != nil && s.scores.stop != nil {
		s.scores.close()
	}
	if s.elevations != nil {
		s.elevations.Close()
	}
	if s.auth != nil {
		s.auth.Close()
	}
	if s.head != nil {
		s.head.close()
	}
	if s.served != nil {
		s.served.close()
	}
	s.sweeping.Wait()
	s.rotating.Wait()
	if s.audit != nil {
		errs = append(errs, s.audit.Close())
	}
	if s.reads != nil {
		errs = append(errs, s.reads.Close())
	}
	if s.feedback != nil {
		s.feedback.Close()
	}
	if s.registry != nil {
		s.registry.Close()
	}
	if s.online != nil {
		s.online.Close()
	}
	if s.redis != nil {
		errs = append(errs, s.redis.Close())
	}
	if s.builder != nil {
		s.builder.Close()
	}
	if s.pool != nil {
		s.pool.Close()
	}
	if err := s.tracer.Close(ctx); err != nil {
		// A collector that is away fails no server that ends.
		s.config.Log.WarnContext(ctx, "the last spans were not sent", "error", err)
	}
	return errors.Join(errs...)
}

// linger goes on answering for DrainDelay.
func (s *Server) linger() {
	select {
	case <-s.closing:
	case <-time.After(s.config.DrainDelay):
	}
}

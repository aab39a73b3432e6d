package dataset

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/semaphore"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/tracing"
	"github.com/headwaterhq/headwater/offline"
	"github.com/headwaterhq/headwater/quality"
	"github.com/headwaterhq/headwater/read"
	"github.com/headwaterhq/headwater/retention"
)

// DefaultTimestampColumn is the spine's column that says for when, unless the request names another.
const DefaultTimestampColumn = "timestamp"

// Builder builds datasets and has them again. Safe for concurrent use.
type Builder struct {
	pool    *pgxpool.Pool
	version string
	// turns bounds how many results are assembled at once, and stages how many stages these have: each holds a connection, and
	// some hold more.
	turns  chan struct{}
	stages *semaphore.Weighted
	joiner *offline.Joiner
	// connections are those of the joins, where they are kept; nil: each is opened, and closed.
	connections *pgxpool.Pool
	// kept has results that need not be computed again; nil: none.
	kept *Kept
	// requirements are what must hold before rows are given out, and approved finds what opens one.
	requirements []Requirement
	approved     Approved
	// noProfiles has datasets be built without a profile that is kept.
	noProfiles bool
	// diffPart is how large a part of a dataset may be that is in memory while it is compared, in bytes on disk.
	diffPart int64
}

// maxAssemblies is how many results one process assembles at once. The others wait.
const maxAssemblies = 4

// maxStages is how many sets of key columns the joins of a dataset may have views read by, and how many stages the results have
// that one process assembles at once, but for one that has more by itself.
const maxStages = 16

// NewBuilder makes a Builder. version is the server's, for manifests.
func NewBuilder(pool *pgxpool.Pool, version string) *Builder {
	connect := func(ctx context.Context) (*pgx.Conn, error) {
		return pgx.ConnectConfig(ctx, pool.Config().ConnConfig.Copy())
	}
	return &Builder{
		pool: pool, version: version, turns: make(chan struct{}, maxAssemblies), stages: semaphore.NewWeighted(maxStages),
		joiner: offline.NewJoiner(connect, offline.Options{}), diffPart: diffPart,
	}
}

// Keep makes builds leave their results in kept, and fetches take them from there. It is called before the Builder is used.
func (b *Builder) Keep(kept *Kept) { b.kept = kept }

// maxConnections is more than the joins of all stages may have.
const maxConnections = 1 << 10

// KeepConnections has joins leave their connections to those after them, as long as the pool leaves its own. It is called before the Builder is
// used, and Close after.
func (b *Builder) KeepConnections() error {
	config := b.pool.Config()
	config.MinConns, config.MinIdleConns, config.MaxConns = 0, 0, maxConnections
	// A join that finds Postgres gone after it began fails.
	config.ShouldPing = func(context.Context, pgxpool.ShouldPingParams) bool { return true }
	// Statements name tables of the join.
	config.AfterRelease = func(conn *pgx.Conn) bool {
		ctx, cancel := context.WithTimeout(context.Background(), forgetTime)
		defer cancel()
		return conn.DeallocateAll(ctx) == nil
	}
	var err error
	if b.connections, err = pgxpool.NewWithConfig(context.Background(), config); err == nil {
		b.joiner.Keep(b.connections)
	}
	return err
}

// forgetTime is how long a connection may take to forget a join's statements.
const forgetTime = 5 * time.Second

// Close closes connections that were kept. Nothing may be built any more.
func (b *Builder) Close() {
	if b.connections != nil {
		b.connections.Close()
	}
}

// WithoutProfiles has datasets be built without a profile that is kept. It is called before the Builder is used.
func (b *Builder) WithoutProfiles() { b.noProfiles = true }

// Request is a dataset to build.
type Request struct {
	// Plan is that of the service, for the caller.
	Plan *read.Plan
	// Follow is set for a service that follows views as published: it makes the plan of what is published at the position
	// that AsOf stands for, and takes Plan's place.
	Follow func(ctx context.Context, position int64) (*read.Plan, error)
	// Name of the dataset; empty: the service's, which then must have one.
	Name string
	// TimestampColumn of the spine; empty: DefaultTimestampColumn, or for the events of a source its event time.
	TimestampColumn string
	// Origin is where the server reads the spine itself. nil: it is sent.
	Origin *offline.SpineScope
	// AsOf is `pos:17`, `run:VIEW@2/5`, an RFC 3339 time, or empty for the newest position.
	AsOf       string
	KeyMapping map[string]string
	// Joins are those of the plan, as ResolveJoins gives them.
	Joins []Join
	// Features are those of a plan whose service has no name, `VIEW@VERSION.FEATURE`, in order.
	Features []string
	// Knowledge is what rows may know.
	Knowledge Knowledge
	// AllowPartial builds also rows of times that no run of a view covered, and of views without a run.
	AllowPartial bool
	// WithStatuses asks for a column of statuses behind each feature.
	WithStatuses bool
	// LeaveOut are the rules by which rows are left out: the first that matches a row is the one that counts it.
	LeaveOut  []LeaveOut
	Principal string
	// Use is one of feature.Uses, empty for training.
	Use string
	// Roles and Attributes are the principal's, for the manifest.
	Roles      []string
	Attributes map[string][]string
	// Tags tells by which tags it is held, when the columns of its spine are known; it may refuse them, and note in the manifest what its service asks for. nil: by none.
	Tags func(m *Manifest, spine []feature.Column, plan *read.Plan) ([]ImpactTag, error)
	// Give is told of the dataset before any of it is written to the caller, who gets nothing where it fails. nil: nobody is.
	Give func(m *Manifest) error
}

// Build reads the spine, an Arrow IPC stream unless the request says where the server reads it itself, writes the result to out as
// one, and returns the manifest of the dataset, which exists from then on. After an error nothing of it does, and what was written to out is to be thrown away; out is
// written to when the whole result is there, and nothing in Postgres waits for it. Of a dataset that is held, in state Built, nothing is written.
func (b *Builder) Build(ctx context.Context, req Request, spine io.Reader, out io.Writer) (*Manifest, error) {
	if req.TimestampColumn == "" {
		req.TimestampColumn = timestampOf(req.Origin)
	}
	if req.Name == "" {
		req.Name = req.Plan.Service.Name
	}
	t := &telling{began: time.Now()}
	defer t.end()
	m, err := b.build(ctx, req, spine, out, t)
	if err != nil {
		b.tellFailed(ctx, t, err)
	}
	return m, err
}

func (b *Builder) build(ctx context.Context, req Request, spine io.Reader, out io.Writer, t *telling) (*Manifest, error) {
	m := &Manifest{
		ID: "ds_" + strings.ToLower(rand.Text()), Name: req.Name, State: Released,
		TimestampColumn: req.TimestampColumn, KeyMapping: req.KeyMapping, Joins: req.Joins, Features: req.Features, Purpose: req.Plan.Purpose, Use: req.Use,
		Knowledge: req.Knowledge, MayLeak: req.Knowledge == KnowledgeEvent,
		ArrowWriter: ArrowWriter, Principal: req.Principal, ServerVersion: b.version, Roles: req.Roles, WithStatuses: req.WithStatuses,
	}
	if s := req.Plan.Service; s.Name != "" {
		m.Service, m.ServiceVersion, m.ServiceFingerprint = s.Name, s.Version, s.Fingerprint.String()
	}
	head, err := retention.Head(ctx, b.pool)
	if err != nil {
		return nil, err
	}
	if m.Versions, err = versionsNow(ctx, b.pool); err != nil {
		return nil, err
	}
	if m.Position, err = offline.ResolveAsOf(ctx, b.pool, req.AsOf); err != nil {
		return nil, err
	}
	if req.Follow != nil {
		if req.Plan, err = req.Follow(ctx, m.Position); err != nil {
			return nil, err
		}
		m.Followed = map[string]int{}
		for i := range req.Plan.Service.Pins {
			if pin := &req.Plan.Service.Pins[i]; pin.Published {
				m.Followed[pin.View.Name] = pin.View.Version
			}
		}
	}
	if m.Policies = req.Plan.Rules(); len(m.Policies) > 0 {
		m.Attributes = req.Attributes
	}
	if err := checkKnowledge(req.Knowledge, req.Plan); err != nil {
		return nil, err
	}
	a := &assembly{plan: req.Plan, timestamp: req.TimestampColumn}
	covered, err := b.coverageAt(ctx, req.Plan, m.Position, req.AsOf == "", req.AllowPartial)
	if err != nil {
		return nil, err
	}
	for i := range req.Plan.Views {
		v := &req.Plan.Views[i]
		a.views = append(a.views, offline.AsOf{View: v.Version, Seq: covered.of(v.Version).at.Seq, TTL: v.TTL, AnyArrival: req.Knowledge == KnowledgeEvent})
	}
	for _, v := range covered.views {
		view := ManifestView{
			View: v.version.Name, Version: v.version.Version, Fingerprint: v.version.Fingerprint.String(), Seq: v.at.Seq,
		}
		if hull := v.at.Covered.Hull(); !hull.IsEmpty() {
			from, to := hull.Start.Calendar(), hull.End.Calendar()
			view.CoveredFrom, view.CoveredTo = &from, &to
		}
		m.Views = append(m.Views, view)
	}
	for _, v := range req.Plan.OnDemand {
		m.OnDemand = append(m.OnDemand, ManifestView{View: v.Name, Version: v.Version, Fingerprint: v.Fingerprint.String()})
	}
	if err := offline.CheckReadable(ctx, b.pool, a.views, false); err != nil {
		return nil, err
	}
	phase := tracing.Phase(ctx, "spine")
	a.spine, m.SpineOrigin, err = b.takeIn(ctx, &req, spine, func(columns []feature.Column) error {
		if err := checkSpine(columns, req.Plan, req.TimestampColumn); err != nil {
			return err
		}
		if req.Tags != nil {
			if m.ImpactTags, err = req.Tags(m, columns, req.Plan); err != nil {
				return err
			}
		}
		return a.prepare(columns, req.WithStatuses, req.LeaveOut)
	})
	phase()
	if err != nil {
		return nil, err
	}
	defer a.spine.close()
	if err := t.begin(ctx, b, m); err != nil {
		return nil, err
	}
	if err := covered.look(a.spine, req.Plan, req.TimestampColumn); err != nil {
		return nil, err
	}
	if err := covered.refusal(a.spine.rows, feature.TimeOf(time.Now())); err != nil && !req.AllowPartial {
		return nil, err
	}
	m.Partial = covered.partial()
	file, err := newScratch()
	if err != nil {
		return nil, err
	}
	defer file.close()
	phase = tracing.Phase(ctx, "assemble")
	res, err := b.assemble(ctx, a, file)
	phase()
	if err != nil {
		return nil, err
	}
	m.SpineDigest = a.spine.digest.String()
	m.take(res)
	if !b.noProfiles {
		m.profile = res.profile
	}
	if m.Gates, err = b.Look(ctx, b.pool, m); err != nil {
		return nil, err
	}
	var keeping *keeping
	if Hold(m.Gates) {
		if req.Give != nil {
			if err := req.Give(m); err != nil {
				return nil, err
			}
		}
		keeping = b.kept.begin(m)
		defer keeping.abort()
		phase = tracing.Phase(ctx, "send")
		err = file.copyTo(out, keeping)
		phase()
		if err != nil {
			return nil, err
		}
	} else {
		m.State = Built
	}
	phase = tracing.Phase(ctx, "commit")
	err = pgx.BeginFunc(ctx, b.pool, func(tx pgx.Tx) error {
		if err := refuseErased(ctx, tx, head); err != nil {
			return err
		}
		if err := b.stillApproved(ctx, tx, m); err != nil {
			return err
		}
		if err := insert(ctx, tx, m, a.views, a.spine); err != nil {
			return err
		}
		if !b.noProfiles {
			if err := quality.KeepDatasetProfile(ctx, tx, m.ID, res.profile); err != nil {
				return err
			}
		}
		return t.built(ctx, tx, m)
	})
	phase()
	if err != nil {
		return nil, err
	}
	keeping.commit()
	return m, nil
}

// checkKnowledge refuses views whose values mean nothing without arrival: the value of a window is computed of what had arrived by
// its point of the grid.
func checkKnowledge(k Knowledge, plan *read.Plan) error {
	if k != KnowledgeEvent {
		return nil
	}
	var windowed []string
	for i := range plan.Views {
		if v := plan.Views[i].Version; v.Aggregation != nil && !slices.Contains(windowed, v.Ref()) {
			windowed = append(windowed, v.Ref())
		}
	}
	if windowed == nil {
		return nil
	}
	return fault.New(fault.InvalidArgument, "knowledge: found event with windowed aggregations, expected arrival: their values are computed of what had "+
		"arrived by each point of time, in view %s; leave these out, or build with knowledge arrival", strings.Join(windowed, ", "))
}

func (b *Builder) assemble(ctx context.Context, a *assembly, out io.Writer) (*result, error) {
	select {
	case b.turns <- struct{}{}:
		defer func() { <-b.turns }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	stages := min(int64(len(a.stages())), maxStages)
	if err := b.stages.Acquire(ctx, stages); err != nil {
		return nil, err
	}
	defer b.stages.Release(stages)
	a.joiner = b.joiner
	return a.assemble(ctx, out)
}

// checkSpine compares the spine's columns with what the plan needs of them.
func checkSpine(columns []feature.Column, plan *read.Plan, timestamp string) error {
	byName := map[string]feature.Type{}
	for _, c := range columns {
		byName[c.Name] = c.Type
	}
	has := listColumns(columns)
	switch t, ok := byName[timestamp]; {
	case !ok:
		return fault.New(fault.InvalidSpine, "spine: found no column %s, expected one that says for when each row is; the spine has "+
			"%s. If one of them is it, name it: --timestamp COLUMN", timestamp, has)
	case t != feature.TypeTimestamp:
		return fault.New(fault.InvalidSpine, "spine: column %s: found %s, expected timestamp", timestamp, t)
	}
	for i := range plan.Views {
		v := &plan.Views[i]
		for k, name := range v.KeyColumns {
			key := v.Version.EntityVersion.JoinKeys[k]
			switch t, ok := byName[name]; {
			case !ok && v.Prefix != "":
				return fault.New(fault.InvalidSpine, "spine: found no column %s, expected the join key %s of entity %s, which view %s "+
					"needs in join %s; the spine has %s. If one of them is it, map it: --join %s:%s=COLUMN",
					name, key.Name, v.Version.Entity, v.Version.Name, v.Prefix, has, v.Prefix, key.Name)
			case !ok:
				return fault.New(fault.InvalidSpine, "spine: found no column %s, expected the join key %s of entity %s, which view %s "+
					"needs; the spine has %s. If one of them is it, map it: --key-mapping %s=COLUMN",
					name, key.Name, v.Version.Entity, v.Version.Name, has, key.Name)
			case t != key.Type:
				return fault.New(fault.InvalidSpine, "spine: column %s: found %s, expected %s, the type of join key %s of entity %s",
					name, t, key.Type, key.Name, v.Version.Entity)
			}
		}
	}
	of := plan.Service.Title()
	for i := range plan.Inputs {
		in := &plan.Inputs[i]
		switch t, ok := byName[in.Name]; {
		case !ok:
			return fault.New(fault.InvalidSpine, "spine: found no column %s, expected one of type %s: the input of that name of on-demand "+
				"features of %s; the spine has %s. Add the column, NULL where it is not known", in.Name, in.Type, of, has)
		case t != in.Type:
			return fault.New(fault.InvalidSpine, "spine: column %s: found %s, expected %s, the type of the input of that name of on-demand "+
				"features of %s", in.Name, t, in.Type, of)
		}
	}
	for _, c := range plan.Columns {
		if _, ok := byName[c.Name]; ok {
			return fault.New(fault.InvalidSpine, "spine: column %s has the name of a feature of %s; rename it", c.Name, of)
		}
	}
	return nil
}

// listColumns is the names of columns for a message, as many as a reader looks through.
func listColumns(columns []feature.Column) string {
	const most = 20
	var names []string
	for _, c := range columns[:min(len(columns), most)] {
		names = append(names, c.Name)
	}
	list := strings.Join(names, ", ")
	if more := len(columns) - len(names); more > 0 {
		list += fmt.Sprintf(" and %d more", more)
	}
	return list
}

// Fetch writes the same bytes to out that the build of a manifest's dataset did: those that were kept, or those that it computes
// again, after it has made sure that they are. plan is that of the manifest's service version. Nothing is written when they are
// not: the fault says what differs. It returns the manifest of what was written: the one given, or where another writer made
// that one's bytes, one with this writer and its bytes' SHA-256. A dataset that erasures
// touched is refused.
func (b *Builder) Fetch(ctx context.Context, m *Manifest, plan *read.Plan, out io.Writer) (*Manifest, error) {
	if err := m.checkReleased(); err != nil {
		return nil, err
	}
	if err := m.refuseErased(false); err != nil {
		return nil, err
	}
	return b.FetchLeft(ctx, m, plan, out)
}

// FetchLeft is Fetch for what erasures left of a dataset, where there were any.
func (b *Builder) FetchLeft(ctx context.Context, m *Manifest, plan *read.Plan, out io.Writer) (*Manifest, error) {
	if err := m.checkReleased(); err != nil {
		return nil, err
	}
	if err := m.refuseErased(true); err != nil {
		return nil, err
	}
	begun, done, err := b.kept.send(ctx, b.pool, m, out)
	if done || err != nil {
		return m, err
	}
	file, err := newScratch()
	if err != nil {
		return nil, err
	}
	defer file.close()
	res, differences, err := b.again(ctx, m, plan, file, nil)
	if err != nil {
		return nil, err
	}
	if len(differences) > 0 {
		return nil, fault.New(fault.DigestMismatch, "dataset %s cannot be had again: %s; nothing was sent", m.ID,
			strings.Join(differences, "; "))
	}
	sent := *m
	sent.ArrowWriter, sent.ArrowSHA256 = ArrowWriter, res.arrowSHA256.String()
	if begun.bytes > 0 || sent.ArrowSHA256 != m.ArrowSHA256 {
		return &sent, file.rest(begun, out)
	}
	keeping := b.kept.begin(m)
	defer keeping.abort()
	if err := file.copyTo(out, keeping); err != nil {
		return nil, err
	}
	keeping.commit()
	return &sent, nil
}

// Verification is what computing a dataset again found.
type Verification struct {
	// ContentDigest and ArrowSHA256 are zero when there was nothing to compute from.
	ContentDigest, ArrowSHA256 feature.Digest
	// Differences from the manifest, or from what erasures left as it says: none when it is the same.
	Differences []string
}

// Verify computes the dataset of a manifest again and compares digests.
func (b *Builder) Verify(ctx context.Context, m *Manifest, plan *read.Plan) (*Verification, error) {
	res, differences, err := b.again(ctx, m, plan, io.Discard, nil)
	if err != nil {
		return nil, err
	}
	return &Verification{ContentDigest: res.content, ArrowSHA256: res.arrowSHA256, Differences: differences}, nil
}

// again computes the result from the kept spine and the history at the manifest's sequences, and says how it differs from
// the manifest. When that is in what it would be computed from, the result is empty. What is read beside it is for the tap alone.
func (b *Builder) again(ctx context.Context, m *Manifest, plan *read.Plan, out io.Writer, tap rowTap, beside ...Beside) (*result, []string, error) {
	a, differences, err := assemblyOf(m, plan)
	if err != nil {
		return nil, nil, err
	}
	a.tap = tap
	spine, difference, err := loadSpine(ctx, b.pool, m)
	if err != nil {
		return nil, nil, err
	}
	if difference != "" {
		differences = append(differences, difference)
	} else {
		defer spine.close()
	}
	if len(differences) > 0 {
		return &result{}, differences, nil
	}
	a.spine = spine
	if err := a.prepare(spine.columns, m.WithStatuses, m.leaveOutOf()); err != nil {
		return nil, nil, err
	}
	if err := a.readBeside(ctx, b.pool, m.Position, beside); err != nil {
		return nil, nil, err
	}
	if tap != nil {
		tap.spine(spine.rows)
	}
	res, err := b.assemble(ctx, a, out)
	if err != nil {
		return nil, nil, err
	}
	return res, compare(m, res), nil
}

// assemblyOf is what a manifest's result is computed from, but for the spine, and how it differs from what the manifest says.
func assemblyOf(m *Manifest, plan *read.Plan) (*assembly, []string, error) {
	a := &assembly{plan: plan, timestamp: m.TimestampColumn, anyArrival: m.Knowledge == KnowledgeEvent}
	var differences []string
	read := map[string]bool{}
	for i := range plan.Views {
		v := &plan.Views[i]
		kept := m.view(v.Version)
		if kept == nil {
			return nil, nil, fmt.Errorf("dataset %s: the plan reads %s, and the manifest has no such view", m.ID, v.Version.Ref())
		}
		if !read[v.Version.Ref()] && v.Version.Fingerprint.String() != kept.Fingerprint {
			differences = append(differences, fmt.Sprintf("view: found %s with fingerprint %s, expected %[1]s with %[3]s",
				v.Version.Ref(), v.Version.Fingerprint, kept.Fingerprint))
		}
		read[v.Version.Ref()] = true
		a.views = append(a.views, offline.AsOf{View: v.Version, Seq: kept.Seq, TTL: v.TTL, AnyArrival: a.anyArrival})
	}
	if len(read) != len(m.Views) {
		return nil, nil, fmt.Errorf("dataset %s: the plan reads %d views, the manifest has %d", m.ID, len(read), len(m.Views))
	}
	if len(plan.OnDemand) != len(m.OnDemand) {
		return nil, nil, fmt.Errorf("dataset %s: the plan has %d on-demand views, the manifest %d", m.ID, len(plan.OnDemand), len(m.OnDemand))
	}
	for i, v := range plan.OnDemand {
		if kept := &m.OnDemand[i]; v.Ref() != fmt.Sprintf("%s@%d", kept.View, kept.Version) || v.Fingerprint.String() != kept.Fingerprint {
			differences = append(differences, fmt.Sprintf("view: found %s with fingerprint %s, expected %s@%d with %s",
				v.Ref(), v.Fingerprint, kept.View, kept.Version, kept.Fingerprint))
		}
	}
	return a, differences, nil
}

// compare lists how a result differs from the manifest. Other bytes of the same content are a difference only where the
// writer is the one that made them.
func compare(m *Manifest, res *result) []string {
	var differences []string
	if res.rows != m.Rows {
		differences = append(differences, fmt.Sprintf("found %d rows, expected %d", res.rows, m.Rows))
	}
	content, _ := m.left()
	if found := res.content.String(); found != content && content != "" {
		differences = append(differences, fmt.Sprintf("found content digest %s, expected %s", found, content))
	}
	if found := res.arrowSHA256.String(); found != m.ArrowSHA256 && m.ArrowWriter == ArrowWriter && len(m.Erasures) == 0 {
		differences = append(differences, fmt.Sprintf("found Arrow SHA-256 %s, expected %s", found, m.ArrowSHA256))
	}
	for i, c := range res.columns {
		if i >= len(m.Columns) {
			break
		}
		kept := &m.Columns[i]
		if c.Nulls != kept.Nulls {
			differences = append(differences, fmt.Sprintf("column %s: found %d missing values, expected %d", c.Name, c.Nulls, kept.Nulls))
		}
		if !maps.Equal(c.Statuses, kept.Statuses) {
			differences = append(differences, fmt.Sprintf("column %s: found %s, expected %s", c.Name,
				describeStatuses(c.Statuses), describeStatuses(kept.Statuses)))
		}
	}
	return append(differences, compareTallies(m, res)...)
}

func describeStatuses(counts map[string]int64) string {
	parts := make([]string, 0, len(counts))
	for _, status := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%s in %d rows", status, counts[status]))
	}
	if len(parts) == 0 {
		return "no rows"
	}
	return strings.Join(parts, ", ")
}

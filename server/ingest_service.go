package server

import (
	"context"
	"errors"
	"io"
	"iter"
	"time"

	"google.golang.org/grpc"

	"github.com/headwaterhq/headwater/access"
	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/tabular"
	"github.com/headwaterhq/headwater/offline"
	"github.com/headwaterhq/headwater/registry"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// ingestService takes rows into landing sources.
type ingestService struct {
	headwaterv1.UnimplementedIngestServiceServer
	registry *registry.Registry
	pool     *pgxpool.Pool
	// changed is called in the transaction of a load or a retraction, and returns the runs that it queues there.
	changed func(ctx context.Context, tx pgx.Tx, source, principal string) (runs []int64, err error)
	turns   chan struct{}
	// patience is how long the server waits for the next message of a stream.
	patience time.Duration
	step     steps
}

// stepIngested is the step of an ingest before the client hears of what is committed.
const stepIngested = "ingested"

const (
	// maxIngests is how many ingests one server takes in at once.
	maxIngests = 16
	// ingestPatience bounds how long a client that sends nothing holds one of them.
	ingestPatience = time.Minute
	// maxBatchRows and maxBatches bound the batches of one stream.
	maxBatchRows = 100_000
	maxBatches   = 10_000
	// maxRowsBytes bounds a batch that is sent as rows.
	maxRowsBytes = 4 << 20
)

func newIngestService(r *registry.Registry, pool *pgxpool.Pool,
	changed func(ctx context.Context, tx pgx.Tx, source, principal string) ([]int64, error),
) *ingestService {
	return &ingestService{registry: r, pool: pool, changed: changed, turns: make(chan struct{}, maxIngests), patience: ingestPatience}
}

func (s *ingestService) Ingest(stream grpc.ClientStreamingServer[headwaterv1.IngestRequest, headwaterv1.IngestResponse]) error {
	ctx := stream.Context()
	in := receive(stream, s.patience)
	defer in.close()
	first, err := in.next()
	if err != nil {
		return err
	}
	header := first.GetHeader()
	if first.GetSource() == "" || header == nil {
		return fault.New(fault.InvalidArgument, "the first message of an ingest has no source or no header, expected both")
	}
	source, err := s.newest(first.GetSource())
	if err != nil {
		return err
	}
	if err := offline.RefuseForeign(source, "takes no rows"); err != nil {
		return err
	}
	sum, err := fileDigest(header)
	if err != nil {
		return err
	}
	ignored := header.GetIgnoredColumns()
	if len(ignored) > 0 && !source.IgnoreNewColumns {
		return undeclared(source, header.GetFileName(), ignored[0])
	}
	resp := &headwaterv1.IngestResponse{}
	req := offline.LoadRequest{
		Source: source, FileName: header.GetFileName(), FileSize: header.GetFileSize(), FileSHA256: sum,
		Replaces: header.GetReplaces(), Principal: access.PrincipalFrom(ctx).Name, IgnoredColumns: ignored,
		Committing: func(ctx context.Context, tx pgx.Tx, l *offline.Load) (err error) {
			resp.Runs, err = s.changed(ctx, tx, l.Source, l.Principal)
			return err
		},
	}
	take := s.takeFile
	if header.GetBatches() {
		take = s.takeBatches
	}
	if err := take(ctx, in, first, req, resp); err != nil {
		return err
	}
	if err := s.step.reached(stepIngested); err != nil {
		return err
	}
	return stream.SendAndClose(resp)
}

// fileDigest is what a file is told by. Zero: by its rows.
func fileDigest(header *headwaterv1.IngestHeader) (sum feature.Digest, err error) {
	switch {
	case header.GetBatches() && (header.GetFileSha256() != "" || header.GetFileSize() != 0):
		return sum, fault.New(fault.InvalidArgument, "header: found batches together with the size or SHA-256 of a file, expected one of them: "+
			"batches are told by their keys")
	case header.GetFileSha256() == "":
		return sum, nil
	}
	if sum, err = feature.ParseDigest(header.GetFileSha256()); err != nil {
		err = fault.New(fault.InvalidArgument, "header.file_sha256: %v", err)
	}
	return sum, err
}

// takeFile takes the rest of a stream as the Arrow stream of a file.
func (s *ingestService) takeFile(ctx context.Context, in *inbox, first *headwaterv1.IngestRequest, req offline.LoadRequest,
	resp *headwaterv1.IngestResponse,
) error {
	part := func(m *headwaterv1.IngestRequest) ([]byte, error) {
		if m.GetBatch() != nil {
			return nil, fault.New(fault.InvalidArgument, "found a batch in an ingest whose header does not say `batches`, expected parts of one Arrow stream")
		}
		return m.GetArrow(), nil
	}
	begin, err := part(first)
	if err != nil {
		return err
	}
	parts := &arrowParts{part: begin, next: func() ([]byte, error) {
		m, err := in.more()
		if err != nil {
			return nil, err
		}
		return part(m)
	}}
	rows, others, err := landingRows(req.Source, parts, req.FileName)
	if err != nil {
		return err
	}
	req.IgnoredColumns = append(req.IgnoredColumns, others...)
	conn, done, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer done()
	load, err := offline.AppendLoad(ctx, conn, req, rows)
	if err != nil {
		return err
	}
	resp.Load, resp.Accepted, resp.Reasons = loadOf(load), load.Rows, loadReasonsOf(load)
	return nil
}

// newest finds a source that rows are sent to. An earlier version of it takes none: its columns are not all there are.
func (s *ingestService) newest(ref string) (*feature.SourceVersion, error) {
	catalog := s.registry.Catalog()
	source, err := catalog.Source(ref)
	if err != nil {
		return nil, err
	}
	now, err := catalog.Source(source.Name)
	if err == nil && now.Version != source.Version {
		err = fault.New(fault.FailedPrecondition, "source %s: found version %d, expected the newest, %d: rows are taken in the shape that it "+
			"declares; name the source without a version", source.Name, source.Version, now.Version)
	}
	return now, err
}

// connect opens a connection for one ingest, which holds it for as long as its client takes to send: the pool's are for
// calls that come to an end by themselves. It waits while maxIngests are at work.
func (s *ingestService) connect(ctx context.Context) (conn *pgx.Conn, done func(), err error) {
	select {
	case s.turns <- struct{}{}:
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
	conn, err = pgx.ConnectConfig(ctx, s.pool.Config().ConnConfig.Copy())
	if err != nil {
		<-s.turns
		return nil, nil, err
	}
	return conn, func() {
		_ = conn.Close(context.WithoutCancel(ctx))
		<-s.turns
	}, nil
}

// maxShownName bounds what messages repeat of a name of the caller's choosing.
const maxShownName = 64

func undeclared(source *feature.SourceVersion, file, column string) error {
	return fault.New(fault.InvalidRows, "%s: found column %s, which source %s does not declare; declare it, leave it out of the file, or have "+
		"such columns left out (schema_changes: ignore_new_columns)", file, shorten(column, maxShownName), source.Name)
}

// landingRows decodes the Arrow stream of an ingest, which must have the source's columns, in any order. others is the columns
// that it has beside them, when the source lets those be left out.
func landingRows(source *feature.SourceVersion, in io.Reader, place string) (rows iter.Seq2[[]feature.Value, error], others []string, err error) {
	// What is wrong with the rows is told from what the sender's side of the stream failed with.
	bad := func(err error) error {
		var wrong *tabular.StreamError
		if !errors.As(err, &wrong) {
			return err
		}
		return fault.New(fault.InvalidRows, "%s: %s", place, wrong).Because(err)
	}
	r, err := tabular.NewStreamReader(in)
	if err != nil {
		return nil, nil, bad(err)
	}
	names := make([]string, len(r.Columns))
	for i, c := range r.Columns {
		names[i] = c.Name
	}
	at, others, err := placed(source, names, place)
	if err != nil {
		return nil, nil, err
	}
	for i, c := range source.Columns {
		if found := r.Columns[at[i]].Type; found != c.Type {
			return nil, nil, fault.New(fault.InvalidRows, "%s: column %s: found %s, expected %s; convert it in the file, or declare a source of "+
				"another name", place, c.Name, found, c.Type)
		}
	}
	return func(yield func([]feature.Value, error) bool) {
		ordered := make([]feature.Value, len(at))
		for row, err := range r.Rows() {
			if err != nil {
				yield(nil, bad(err))
				return
			}
			for i, j := range at {
				ordered[i] = row[j]
			}
			if !yield(ordered, nil) {
				return
			}
		}
	}, others, nil
}

// placed says where the source's columns stand among names, which must be there all. others is the names beside them, when
// the source lets those be left out.
func placed(source *feature.SourceVersion, names []string, place string) (at []int, others []string, err error) {
	byName := map[string]int{}
	for i, name := range names {
		if _, twice := byName[name]; twice {
			return nil, nil, fault.New(fault.InvalidRows, "%s: found column %s a second time, expected each once", place, shorten(name, maxShownName))
		}
		byName[name] = i
		if source.Column(name) != nil {
			continue
		}
		if !source.IgnoreNewColumns {
			return nil, nil, undeclared(source, place, name)
		}
		others = append(others, name)
	}
	at = make([]int, len(source.Columns))
	for i, c := range source.Columns {
		j, ok := byName[c.Name]
		if !ok {
			return nil, nil, fault.New(fault.InvalidRows, "%s: found no column %s, expected one of type %s; add it to the file, with NULL where "+
				"there is no value", place, c.Name, c.Type)
		}
		at[i] = j
	}
	return at, others, nil
}

func (s *ingestService) ListLoads(ctx context.Context, req *headwaterv1.ListLoadsRequest) (*headwaterv1.ListLoadsResponse, error) {
	source, err := s.registry.Catalog().Source(req.GetSource())
	if err != nil {
		return nil, err
	}
	if err := offline.RefuseForeign(source, "has no loads"); err != nil {
		return nil, err
	}
	loads, err := offline.ListLoads(ctx, s.pool, source.Name)
	if err != nil {
		return nil, err
	}
	resp := &headwaterv1.ListLoadsResponse{}
	for _, l := range loads {
		resp.Loads = append(resp.Loads, loadWithoutDigests(ctx, loadOf(l)))
	}
	return resp, nil
}

func (s *ingestService) GetLoad(ctx context.Context, req *headwaterv1.GetLoadRequest) (*headwaterv1.GetLoadResponse, error) {
	load, err := s.permittedLoad(ctx, req.GetId(), access.ActionList)
	if err != nil {
		return nil, err
	}
	batches, err := offline.ListBatches(ctx, s.pool, load.ID, maxShownBatches)
	if err != nil {
		return nil, err
	}
	return &headwaterv1.GetLoadResponse{Load: loadWithoutDigests(ctx, loadOf(load)), Batches: batchResultsOf(batches)}, nil
}

func (s *ingestService) RetractLoad(ctx context.Context, req *headwaterv1.RetractLoadRequest) (*headwaterv1.RetractLoadResponse, error) {
	if _, err := s.permittedLoad(ctx, req.GetId(), access.ActionIngest); err != nil {
		return nil, err
	}
	resp := &headwaterv1.RetractLoadResponse{}
	principal := access.PrincipalFrom(ctx).Name
	load, err := offline.RetractLoad(ctx, s.pool, req.GetId(), req.GetReason(), principal,
		func(ctx context.Context, tx pgx.Tx, l *offline.Load) (err error) {
			resp.Runs, err = s.changed(ctx, tx, l.Source, principal)
			return err
		})
	if err != nil {
		return nil, err
	}
	resp.Load = loadWithoutDigests(ctx, loadOf(load))
	return resp, nil
}

// permittedLoad reads a load. One of a source that the caller may not act on looks as if it were not there.
func (s *ingestService) permittedLoad(ctx context.Context, id int64, action access.Action) (*offline.Load, error) {
	load, err := offline.GetLoad(ctx, s.pool, id)
	if err != nil {
		return nil, missing(ctx, action, access.KindSource, err)
	}
	none := fault.New(fault.NotFound, "there is no load %d; `headwater loads list SOURCE` shows those there are", id)
	return load, requireOr(ctx, action, access.KindSource, load.Source, none)
}

package lineage

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

const live = 9223372036854775807

// seed writes the records that applying, ingesting, materializing and building datasets would commit, without their work.
type seed struct {
	t interface {
		Helper()
		Fatalf(string, ...any)
	}
	tx pgx.Tx
	// analysis is that of the next view: nil, or inputs as the registry stores them.
	analysis any
	// hours is the time, from 2001-01-01, of what is written next.
	hours int
}

func (s *seed) now() time.Time {
	s.hours++
	return time.Date(2001, 1, 1, s.hours, 0, 0, 0, time.UTC)
}

func (s *seed) exec(sql string, args ...any) {
	s.t.Helper()
	if _, err := s.tx.Exec(context.Background(), sql, args...); err != nil {
		s.t.Fatalf("%s: %v", sql, err)
	}
}

func (s *seed) id(sql string, args ...any) (id int64) {
	s.t.Helper()
	if err := s.tx.QueryRow(context.Background(), sql, args...).Scan(&id); err != nil {
		s.t.Fatalf("%s: %v", sql, err)
	}
	return id
}

func digest(of string) []byte {
	sum := sha256.Sum256([]byte(of))
	return sum[:]
}

func (s *seed) definition(kind, name string, version int, body *headwaterv1.DefinitionFile, resolved map[string]any) int64 {
	s.t.Helper()
	encoded, err := protojson.Marshal(body)
	if err != nil {
		s.t.Fatalf("%v", err)
	}
	if resolved == nil {
		resolved = map[string]any{}
	}
	at := s.now()
	id := s.id(`
		INSERT INTO headwater.definition (kind, name, version, fingerprint, body, resolved, revision, applied_at, applied_by, origin, analysis)
		VALUES ($1, $2, $3, $4, $5, $6, 1, $7, 'ada', $8, $9) RETURNING id`,
		kind, name, version, digest(fmt.Sprint(kind, name, version)), json.RawMessage(encoded), resolved, at, name+".yaml", s.analysis)
	s.analysis = nil
	s.exec(`SELECT headwater.note_definition($1, $2)`, id, at)
	return id
}

func (s *seed) source(name string) {
	s.t.Helper()
	s.definition("source", name, 1, &headwaterv1.DefinitionFile{Sources: []*headwaterv1.Source{{
		Name: name, EventTime: "date", Owner: "data@example.com",
		Columns: []*headwaterv1.Column{{Name: "date", Type: "timestamp"}},
	}}}, nil)
	s.exec(`INSERT INTO headwater.landing (source) VALUES ($1)`, name)
}

// view makes a view version with an empty history table.
func (s *seed) view(name string, version int, features []string, sources ...string) int64 {
	s.t.Helper()
	return s.viewOver(name, version, features, nil, sources...)
}

// viewOver is view, for one that reads other views too.
func (s *seed) viewOver(name string, version int, features []string, views map[string]int, sources ...string) int64 {
	s.t.Helper()
	view := &headwaterv1.FeatureView{Name: name, Entity: "airport"}
	for _, f := range features {
		view.Features = append(view.Features, &headwaterv1.Feature{Name: f, Type: "float64", Description: "The " + f + "."})
	}
	resolved := map[string]int{}
	if views == nil {
		views = map[string]int{}
	}
	for _, source := range sources {
		resolved[source] = 1
	}
	id := s.definition("view", name, version, &headwaterv1.DefinitionFile{FeatureViews: []*headwaterv1.FeatureView{view}},
		map[string]any{"entity": 1, "sources": resolved, "views": views})
	s.exec(`INSERT INTO headwater.view_state (view_id) VALUES ($1)`, id)
	s.exec(fmt.Sprintf(`CREATE TABLE headwater_history."%s_v%d" (seq_from bigint, seq_to bigint)`, name, version))
	return id
}

// service makes a service version. picks are features by view, nil for all.
func (s *seed) service(name string, version int, pins map[string]int, picks map[string][]string) {
	s.t.Helper()
	service := &headwaterv1.FeatureService{Name: name}
	for _, view := range slices.Sorted(maps.Keys(pins)) {
		service.Views = append(service.Views, &headwaterv1.ServiceView{View: view, Features: picks[view]})
	}
	s.definition("service", name, version, &headwaterv1.DefinitionFile{FeatureServices: []*headwaterv1.FeatureService{service}},
		map[string]any{"views": pins})
}

// consumer makes a version of a consumer that reads nodes, of datasets by name.
func (s *seed) consumer(name string, version int, reads ...NodeRef) {
	s.t.Helper()
	c := &headwaterv1.Consumer{Name: name, Kind: "dashboard", Owner: "bi@example.com", Url: "https://bi.example.com/" + name, Reads: &headwaterv1.ConsumerReads{}}
	for _, r := range reads {
		_, ref, _ := strings.Cut(r.String(), ":")
		switch r.Kind {
		case Service:
			c.Reads.Services = append(c.Reads.Services, ref)
		case View:
			c.Reads.Views = append(c.Reads.Views, ref)
		case Feature:
			c.Reads.Features = append(c.Reads.Features, ref)
		case Dataset:
			c.Reads.Datasets = append(c.Reads.Datasets, ref)
		case Model:
			c.Reads.Models = append(c.Reads.Models, ref)
		}
	}
	id := s.definition("consumer", name, version, &headwaterv1.DefinitionFile{Consumers: []*headwaterv1.Consumer{c}}, nil)
	s.change("consumer", name, version, "revive", s.id(`SELECT extract(epoch FROM applied_at)::bigint FROM headwater.definition WHERE id = $1`, id))
}

// removeConsumer is what removing one would write.
func (s *seed) removeConsumer(name string, version int) {
	s.t.Helper()
	s.change("consumer", name, version, "remove", s.now().Unix())
}

func (s *seed) change(kind, name string, version int, change string, at int64) {
	s.t.Helper()
	s.exec(`INSERT INTO headwater.definition_change (kind, name, version, change, revision, changed_at, changed_by, origin)
		VALUES ($1, $2, $3, $4, 1, to_timestamp($5), 'ada', '')`, kind, name, version, change, at)
	s.exec(`SELECT headwater.note_consumer($1, to_timestamp($2))`, name, at)
}

func (s *seed) number(source string) int64 {
	s.t.Helper()
	return s.id(`UPDATE headwater.landing SET last_number = last_number + 1 WHERE source = $1 RETURNING last_number`, source)
}

// load makes a load that replaces another, or none for 0.
func (s *seed) load(id int64, source, file string, rows, replaces int64) {
	s.t.Helper()
	at := s.now()
	s.exec(`
		INSERT INTO headwater.load (id, source, number, ends, file_name, file_size, file_sha256, rows, event_time_min, event_time_max,
			principal, committed_at)
		VALUES ($1, $2, $3, nullif($4::bigint, 0), $5, $6, $7, $6, $8, $9, 'ada', $9)`,
		id, source, s.number(source), replaces, file, rows, digest(file), at.Add(-time.Hour), at)
}

func (s *seed) retract(id int64, source string, ends int64, reason string) {
	s.t.Helper()
	s.exec(`
		INSERT INTO headwater.load (id, source, number, ends, retract_reason, file_name, file_size, file_sha256, rows, principal,
			committed_at)
		VALUES ($1, $2, $3, $4, $5, '', 0, '', 0, 'ada', $6)`, id, source, s.number(source), ends, reason, s.now())
}

// run makes the record of a run that took a sequence, with what it read of each source and load. One that is published gets
// its position; of one that is not, no input is recorded.
func (s *seed) run(view, seq int64, state string, inserted, withdrawn int64, sources []string, loads map[int64]int64) int64 {
	s.t.Helper()
	queued := s.now()
	id := s.id(`
		INSERT INTO headwater.run (view_id, seq, state, scope, fingerprint, principal, queued_at, started_at)
		VALUES ($1, $2, 'running', 'interval', $3, 'grace', $4, $4) RETURNING id`, view, seq, digest("fingerprint"), queued)
	s.exec(`UPDATE headwater.view_state SET last_seq = $2 WHERE view_id = $1`, view, seq)
	switch state {
	case "failed":
		s.exec(`UPDATE headwater.run SET state = 'failed', ended_at = $2, error = E'column x: found NULL,\nexpected a time'
			WHERE id = $1`, id, s.now())
		return id
	case "running":
		return id
	}
	for _, source := range sources {
		s.exec(`INSERT INTO headwater.run_input (run_id, source, source_version, source_fingerprint, load_number, rows_read)
			SELECT $1, $2, 1, $3, last_number, $4 FROM headwater.landing WHERE source = $2`,
			id, source, digest(source), 100*len(loads))
	}
	for load, rows := range loads {
		s.exec(`INSERT INTO headwater.run_load (run_id, load_id, rows) VALUES ($1, $2, $3)`, id, load, rows)
	}
	s.exec(`UPDATE headwater.run_input i SET loads = (SELECT count(*) FROM headwater.run_load rl JOIN headwater.load l ON l.id = rl.load_id
		WHERE rl.run_id = i.run_id AND l.source = i.source) WHERE i.run_id = $1`, id)
	position := s.id(`UPDATE headwater.publish_head SET position = position + 1 RETURNING position`)
	at := s.now()
	s.exec(`INSERT INTO headwater.publish_log (position, view_id, seq, run_id, published_at) VALUES ($1, $2, $3, $4, $5)`,
		position, view, seq, id, at)
	s.exec(`
		UPDATE headwater.run SET state = 'published', position = $2, interval_start = $3, interval_end = $4, digest = $5, spans = tstzmultirange(tstzrange($3, $4)),
			ended_at = $4, computed = $6, produced = $6, inserted = $6, live_before = $7, withdrawn = $7, live_after = $6,
			-- Runs of before have it in the log alone.
			published_at = CASE WHEN seq % 2 = 0 THEN $4::timestamptz END
		WHERE id = $1`, id, position, at.Add(-24*time.Hour), at, digest(fmt.Sprint("run", view, seq)), inserted, withdrawn)
	s.exec(`UPDATE headwater.view_state SET published_seq = $2, live_rows = live_rows + $3, covered = covered + tstzmultirange(tstzrange($4, $5))
		WHERE view_id = $1`, view, seq, inserted-withdrawn, at.Add(-24*time.Hour), at)
	return id
}

// spans notes of all published runs what publishing them would have noted: which rows of theirs are in the histories, and which they
// ended.
func (s *seed) spans() {
	s.t.Helper()
	s.exec(`DELETE FROM headwater.run_span`)
	s.exec(`DELETE FROM headwater.run_correction`)
	type history struct {
		View int64
		Name string
	}
	list, err := collect[history](context.Background(), s.tx, `SELECT id, name || '_v' || version FROM headwater.definition WHERE kind = 'view'`)
	if err != nil {
		s.t.Fatalf("%v", err)
	}
	for _, h := range list {
		rows := fmt.Sprintf(`(SELECT h.seq_from, coalesce(p.seq, %d) AS seq_to, p.run_id FROM headwater_history."%s" h
			LEFT JOIN headwater.publish_log p ON p.view_id = %d AND p.seq = h.seq_to) r`, int64(live), h.Name, h.View)
		s.exec(fmt.Sprintf(`INSERT INTO headwater.run_span (run_id, view_id, seq, ended, live_rows)
			SELECT p.run_id, p.view_id, p.seq, greatest(p.seq + 1, max(r.seq_to)), count(*) FILTER (WHERE r.seq_to = %d)
			FROM headwater.publish_log p LEFT JOIN %s ON r.seq_from = p.seq WHERE p.view_id = %d GROUP BY 1, 2, 3`, int64(live), rows, h.View))
		s.exec(fmt.Sprintf(`INSERT INTO headwater.run_correction (run_id, corrected_id, rows)
			SELECT r.run_id, p.run_id, count(*) FROM %s JOIN headwater.publish_log p ON p.view_id = %d AND p.seq = r.seq_from
			WHERE r.run_id IS NOT NULL GROUP BY 1, 2`, rows, h.View))
	}
}

// row puts a row into a history table.
func (s *seed) row(view string, from, to int64) {
	s.t.Helper()
	s.exec(fmt.Sprintf(`INSERT INTO headwater_history."%s" VALUES ($1, $2)`, view), from, to)
}

// end closes rows of a history table that are live.
func (s *seed) end(view string, from, to int64) {
	s.t.Helper()
	s.exec(fmt.Sprintf(`UPDATE headwater_history."%s" SET seq_to = $2 WHERE seq_from = $1 AND seq_to = $3`, view), from, to, int64(live))
}

func (s *seed) dataset(id, name string, version int, service string, serviceVersion int, views map[int64]int64) {
	s.t.Helper()
	s.exec(`
		INSERT INTO headwater.dataset (id, name, version, state, service, service_version, position, manifest, created_at)
		SELECT $1, $2, $3, 'released', $4, $5, position, $6, $7 FROM headwater.publish_head`,
		id, name, version, service, serviceVersion,
		json.RawMessage(`{"rows": 20000, "spine_digest": "5b", "content_digest": "c0", "principal": "ada", "columns": []}`), s.now())
	for view, seq := range views {
		s.exec(`INSERT INTO headwater.dataset_view (dataset_id, view_id, seq) VALUES ($1, $2, $3)`, id, view, seq)
	}
}

// spine notes what the server read a dataset's spine from: rows of loads by source, of none for those that have no load.
func (s *seed) spine(dataset string, loads map[int64]int64, sources ...string) {
	s.t.Helper()
	for _, source := range sources {
		s.exec(`INSERT INTO headwater.dataset_source (dataset_id, source, rows) VALUES ($1, $2, 9)`, dataset, source)
	}
	for load, rows := range loads {
		s.exec(`INSERT INTO headwater.dataset_load (dataset_id, load_id, rows) VALUES ($1, $2, $3)`, dataset, load, rows)
	}
}

// read logs an online read of a service version, which was given rows of runs of views, an entity's in each place.
func (s *seed) read(id, service string, version int, features []*headwaterv1.LoggedFeature, given ...*headwaterv1.ViewProvenance) *headwaterv1.LoggedRead {
	s.t.Helper()
	s.exec(`CREATE TABLE IF NOT EXISTS headwater.read_log_seeded PARTITION OF headwater.read_log FOR VALUES FROM ('2001-01-01') TO ('2002-01-01')`)
	at := s.now()
	r := &headwaterv1.LoggedRead{
		ReadId: id, ServedAt: timestamppb.New(at), Service: service, ServiceVersion: int32(version), Log: "all", Principal: "ada", Purpose: "checkout",
		Position: s.id(`SELECT position FROM headwater.publish_head`), Entities: 1, Features: features, Provenance: given,
	}
	for _, p := range given {
		r.Entities = max(r.Entities, int32(len(p.RunSeqs)))
		counted := map[int64]int64{}
		for _, seq := range p.RunSeqs {
			if seq > 0 {
				counted[seq]++
			}
		}
		for seq, rows := range counted {
			s.exec(`INSERT INTO headwater.read_log_count AS c VALUES ($1::timestamptz AT TIME ZONE 'UTC', $2, $3, $4, $5, $6, 1, $7)
				ON CONFLICT (day, service, service_version, view, view_version, run_seq) DO UPDATE SET reads = c.reads + 1, rows = c.rows + excluded.rows`,
				at, service, version, p.View, p.ViewVersion, seq, rows)
		}
	}
	s.log(r)
	return r
}

// log writes the record of a read.
func (s *seed) log(r *headwaterv1.LoggedRead) {
	s.t.Helper()
	record, err := proto.Marshal(r)
	if err != nil {
		s.t.Fatalf("%v", err)
	}
	s.exec(`INSERT INTO headwater.read_log (day, read_id, served_at, service, service_version, log, position, principal, purpose, prediction_id, entities, entity_hashes, record)
		VALUES ($1::timestamptz AT TIME ZONE 'UTC', $2, $1, $3, $4, 'all', $5, 'ada', '', '', $6, '{}', $7)
		ON CONFLICT (read_id, day) DO UPDATE SET record = excluded.record`,
		r.GetServedAt().AsTime(), r.GetReadId(), r.GetService(), r.GetServiceVersion(), r.GetPosition(), r.GetEntities(), record)
}

// predicted logs what a model version predicted, of a read.
func (s *seed) predicted(id, model string, version int, read string) {
	s.t.Helper()
	s.exec(`CREATE TABLE IF NOT EXISTS headwater.prediction_seeded PARTITION OF headwater.prediction FOR VALUES FROM ('2001-01-01') TO ('2002-01-01')`)
	s.exec(`INSERT INTO headwater.prediction (day, model, model_version, id, predicted_at, logged_at, principal, service, read_id, read_row, entity_hashes, score, digest)
		VALUES ($1::timestamptz AT TIME ZONE 'UTC', $2, $3, $4, $1, $1, 'ada', '', $5, 0, '{}', 0.5, $6)`, s.now(), model, version, id, read, digest(id))
}

// text is a graph as a tree from its root, then its nodes with their properties.
func text(g *Graph, dir Direction) string {
	far := map[string][]Edge{}
	for _, e := range g.Edges {
		if dir == Up {
			far[e.To] = append(far[e.To], e)
		} else {
			far[e.From] = append(far[e.From], e)
		}
	}
	titles := map[string]string{}
	for _, n := range g.Nodes {
		titles[n.ID] = n.Title
	}
	var b strings.Builder
	seen := map[string]bool{}
	var write func(id, indent string)
	write = func(id, indent string) {
		if seen[id] {
			fmt.Fprintf(&b, "%s (above)\n", id)
			return
		}
		seen[id] = true
		fmt.Fprintf(&b, "%s: %s\n", id, titles[id])
		for _, e := range far[id] {
			next := e.To
			if dir == Up {
				next = e.From
			}
			fmt.Fprintf(&b, "%s  %s ", indent, e.Kind)
			write(next, indent+"  ")
		}
	}
	write(g.Root, "")
	for _, n := range g.Nodes {
		fmt.Fprintf(&b, "\n%s\n", n.ID)
		for _, name := range slices.Sorted(maps.Keys(n.Properties)) {
			fmt.Fprintf(&b, "  %s = %q\n", name, n.Properties[name])
		}
	}
	return b.String()
}

package lineage

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"google.golang.org/protobuf/proto"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

// A prediction is a logged read. There are millions, so that a walk begins at one and never meets one: down from runs, services and models the
// logged reads of a service version are one node, which the counts of reads by run tell of.

// loggedRead is the read with an id, as the log has it. Where the walk is not of now, it was answered by then.
func (w *walker) loggedRead(ctx context.Context, readID string) (*headwaterv1.LoggedRead, error) {
	var record []byte
	err := w.q.QueryRow(ctx, `SELECT record FROM headwater.read_log WHERE read_id = $1 AND ($2 OR served_at < $3)`, readID, w.now(), w.at.Before).Scan(&record)
	if err != nil {
		return nil, err
	}
	r := &headwaterv1.LoggedRead{}
	if err := proto.Unmarshal(record, r); err != nil {
		return nil, fmt.Errorf("the logged read %s cannot be decoded: %w", readID, err)
	}
	return r, nil
}

// now reports whether the walk is not asked for as of a moment. Of later pages it is as of the first one's.
func (w *walker) now() bool { return w.Query.At == Instant{} }

// readView is a view of a read, by name.
type readView struct {
	name    string
	version int32
}

func (v readView) ref() string { return v.name + "@" + strconv.Itoa(int(v.version)) }

// predictionUp goes from the read to the service version that answered it, to the runs whose rows it was given, and to the models that it was for.
func (w *walker) predictionUp(ctx context.Context, predictions []node) error {
	r, to := w.read, predictions[0]
	served := atTime(r.GetServedAt().AsTime())
	type service struct{ ID int64 }
	var services []int64
	err := each(ctx, w.q, func(s *service) {
		services = append(services, s.ID)
		w.follow(node{kind: Service, id: s.ID}, to, Definition, fact{from: served})
	}, `SELECT id FROM headwater.definition WHERE kind = 'service' AND name = $1 AND version = $2`, r.GetService(), r.GetServiceVersion())
	if err != nil {
		return err
	}
	if err := w.runsOfRead(ctx, to, served); err != nil {
		return err
	}
	return w.modelsOfRead(ctx, to, services)
}

// runsOfRead follows the edges from the runs that wrote the rows which the read was given. Those of erased rows are not known any more.
func (w *walker) runsOfRead(ctx context.Context, to node, served stamp) error {
	type given struct {
		view readView
		seq  int64
	}
	rows := map[given]int64{}
	for _, p := range w.read.GetProvenance() {
		view := readView{p.GetView(), p.GetViewVersion()}
		if w.HidesRuns != nil && w.HidesRuns(view.ref()) {
			continue
		}
		for _, seq := range p.GetRunSeqs() {
			if seq > 0 {
				rows[given{view, seq}]++
			}
		}
	}
	var names []string
	var versions []int32
	var seqs, counts []int64
	for g, n := range rows {
		names, versions, seqs, counts = append(names, g.view.name), append(versions, g.view.version), append(seqs, g.seq), append(counts, n)
	}
	type run struct{ ID, Rows int64 }
	return each(ctx, w.q, func(r *run) {
		w.given = append(w.given, r.ID)
		w.follow(node{kind: Run, id: r.ID}, to, Read, fact{rows: r.Rows, from: served})
	}, `
		SELECT p.run_id, g.rows FROM unnest($1::text[], $2::integer[], $3::bigint[], $4::bigint[]) AS g (view, version, seq, rows)
		JOIN headwater.definition d ON d.kind = 'view' AND d.name = g.view AND d.version = g.version
		JOIN headwater.publish_log p ON p.view_id = d.id AND p.seq = g.seq LIMIT $5`, names, versions, seqs, counts, w.room())
}

// modelsOfRead follows the edges from models. Which version predicted something of the read is known where that was logged; of a model of which nothing
// was, it is the newest version that there was for the service when the read was answered.
func (w *walker) modelsOfRead(ctx context.Context, to node, services []int64) error {
	type row struct {
		Name    string
		Version int64
		From    time.Time
		To      *time.Time
	}
	follow := func(kind EdgeKind) func(*row) {
		return func(r *row) { w.follow(node{kind: Model, id: r.Version, name: r.Name}, to, kind, span(r.From, r.To)) }
	}
	err := each(ctx, w.q, follow(Wrote), `
		SELECT m.name, m.version::bigint, min(p.logged_at), NULL::timestamptz FROM headwater.prediction p
		JOIN headwater.model m ON m.name = p.model AND m.version = p.model_version
		WHERE p.read_id = $3 AND p.read_id <> '' AND p.logged_at < $1 GROUP BY m.name, m.version LIMIT $2`, w.within(to.name)...)
	if err != nil {
		return err
	}
	return each(ctx, w.q, follow(Definition), `
		SELECT m.name, m.version::bigint, $4::timestamptz, l.first FROM (
			SELECT DISTINCT ON (name) name, version FROM headwater.model
			WHERE service_id = ANY ($5) AND registered_at < $1 AND registered_at <= $4 ORDER BY name, version DESC) m
		CROSS JOIN LATERAL (
			SELECT min(p.logged_at) AS first FROM headwater.prediction p WHERE p.read_id = $3 AND p.read_id <> '' AND p.model = m.name) l
		WHERE l.first IS NULL OR l.first >= $1 LIMIT $2`, w.within(to.name, w.read.GetServedAt().AsTime(), services)...)
}

// wroteGiven goes from views to those of the runs behind them whose rows the read was given: what else they had then, and have now, it did not see.
func (w *walker) wroteGiven(ctx context.Context, views []node) error {
	asked := map[int64]bool{}
	for _, v := range views {
		asked[v.id] = true
	}
	spans, err := w.runSpans(ctx, w.given)
	if err != nil {
		return err
	}
	ended, err := w.endedAt(ctx, spans)
	if err != nil {
		return err
	}
	for _, s := range spans {
		if asked[s.View] {
			w.follow(node{kind: Run, id: s.Run}, node{kind: View, id: s.View}, Wrote, fact{from: w.publishedAt(s.Run), to: atPosition(ended[s.Run])})
		}
	}
	return nil
}

// columnsOfPredictionUp goes from the read to the columns of views that it was made of, as a service has them: features by value, the keys that they were
// found by, and the times that decided which was the newest.
func (w *walker) columnsOfPredictionUp(ctx context.Context, predictions []node) error {
	served := atTime(w.read.GetServedAt().AsTime())
	var names, columns []string
	var versions []int32
	add := func(v readView, column string) {
		names, versions, columns = append(names, v.name), append(versions, v.version), append(columns, column)
	}
	for _, f := range w.read.GetFeatures() {
		add(readView{f.GetView(), f.GetViewVersion()}, f.GetFeature())
	}
	for _, p := range w.read.GetProvenance() {
		add(readView{p.GetView(), p.GetViewVersion()}, "")
	}
	type row struct {
		View       int64
		Name, Role string
	}
	kinds := map[string]EdgeKind{"feature": Value, "key": Join, "time": Order}
	return each(ctx, w.q, func(r *row) {
		w.follow(node{kind: ViewColumn, id: r.View, name: r.Name}, predictions[0], kinds[r.Role], fact{from: served})
	}, `
		SELECT DISTINCT c.definition_id, c.name, c.role FROM unnest($1::text[], $2::integer[], $3::text[]) AS r (view, version, name)
		JOIN headwater.definition d ON d.kind = 'view' AND d.name = r.view AND d.version = r.version
		JOIN headwater.definition_column c ON c.definition_id = d.id AND (c.role = 'feature' AND c.name = r.name OR r.name = '' AND c.role IN ('key', 'time'))
		LIMIT $4`, names, versions, columns, w.room())
}

// describePrediction describes the root that is one. What it was given is data, which reads show and trace tell.
func (w *walker) describePrediction(_ context.Context, nodes []node, described map[node]*Node) error {
	r := w.read
	p := properties{}
	service := NodeRef{Kind: Service, Name: r.GetService(), Version: int(r.GetServiceVersion())}
	p.text("service", service.String())
	at := r.GetServedAt().AsTime()
	p.time("served_at", &at)
	p.text("log", r.GetLog())
	p.text("principal", r.GetPrincipal())
	p.text("purpose", r.GetPurpose())
	p.text("prediction_id", r.GetPredictionId())
	p.number("position", r.GetPosition())
	p.number("rows", int64(r.GetEntities()))
	p.number("features", int64(len(r.GetFeatures())))
	title := fmt.Sprintf("%s for %s by %s@%d at position %d", count(int64(len(r.GetFeatures())), "feature"), count(int64(r.GetEntities()), "row"),
		service.Name, service.Version, r.GetPosition())
	if n := len(r.GetErased()); n > 0 {
		p.number("rows_erased", int64(n))
		title += fmt.Sprintf(", of which %s erased since: what wrote what they were given is not known any more", were(n))
	}
	described[nodes[0]] = &Node{ID: NodeRef{Kind: Prediction, ReadID: r.GetReadId()}.String(), Title: title, Properties: p, subject: service.Name}
	return nil
}

func were(n int) string {
	if n == 1 {
		return "1 was"
	}
	return thousands(int64(n)) + " were"
}

// has says what there is any of, once it was asked: where there is none, no level of a walk asks further.
type has struct{ consumers, reads bool }

func (w *walker) hasAny(ctx context.Context) (has, error) {
	if w.has == nil {
		var found has
		err := w.q.QueryRow(ctx, `SELECT EXISTS (SELECT FROM headwater.consumer_input), EXISTS (SELECT FROM headwater.read_log_count)`).Scan(&found.consumers, &found.reads)
		if err != nil {
			return found, err
		}
		w.has = &found
	}
	return *w.has, nil
}

// showsReads reports whether a walk down goes on to logged reads. They are counted by days, and kept for a time: as of a moment they are not told.
func (w *walker) showsReads(ctx context.Context) (bool, error) {
	if !w.now() {
		return false, nil
	}
	found, err := w.hasAny(ctx)
	return found.reads, err
}

// readsOfRuns goes from runs to the logged reads that had rows of theirs.
func (w *walker) readsOfRuns(ctx context.Context, spans []runSpan) error {
	if shows, err := w.showsReads(ctx); !shows {
		return err
	}
	var runs, views, seqs, positions []int64
	for _, s := range spans {
		runs, views, seqs, positions = append(runs, s.Run), append(views, s.View), append(seqs, s.Seq), append(positions, w.runs[s.Run].Position)
	}
	type read struct{ Run, Service, Reads, Position int64 }
	return each(ctx, w.q, func(r *read) {
		w.follow(node{kind: Run, id: r.Run}, node{kind: Predictions, id: r.Service}, Read, fact{rows: r.Reads, from: atPosition(r.Position)})
	}, `
		SELECT r.run, s.id, sum(c.reads)::bigint, r.position
		FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[]) AS r (run, view_id, seq, position)
		JOIN headwater.definition v ON v.id = r.view_id
		JOIN headwater.read_log_count c ON c.view = v.name AND c.view_version = v.version AND c.run_seq = r.seq
		JOIN headwater.definition s ON s.kind = 'service' AND s.name = c.service AND s.version = c.service_version
		GROUP BY r.run, s.id, r.position LIMIT $5`, runs, views, seqs, positions, w.room())
}

// readDays are the days, in UTC, of the first and the last logged reads of a service version that had rows of any run.
type readDays struct {
	Service     int64
	Name        string
	Version     int
	First, Last time.Time
}

// daysOfReads looks for them by the counts of reads: some for each day that is kept, and not for each read.
func (w *walker) daysOfReads(ctx context.Context, services []int64) ([]readDays, error) {
	return collect[readDays](ctx, w.q, `
		SELECT s.id, s.name, s.version, min(d.day)::timestamp AT TIME ZONE 'UTC', max(d.day)::timestamp AT TIME ZONE 'UTC'
		FROM headwater.definition s CROSS JOIN LATERAL (
			SELECT g.day::date AS day FROM (SELECT min(day)::timestamp AS first, max(day)::timestamp AS last FROM headwater.read_log_count) k,
				generate_series(k.first, k.last, '1 day') AS g (day)) d
		WHERE s.id = ANY ($1) AND EXISTS (SELECT FROM headwater.read_log_count c WHERE c.day = d.day AND c.service = s.name AND c.service_version = s.version)
		GROUP BY s.id, s.name, s.version`, services)
}

// readsOfServices goes from services to their logged reads. From a load or a run these are reached by what they had alone, as datasets are.
func (w *walker) readsOfServices(ctx context.Context, services []node) error {
	if w.root.kind == Load || w.root.kind == Run {
		return nil
	}
	if shows, err := w.showsReads(ctx); !shows {
		return err
	}
	days, err := w.daysOfReads(ctx, ids(services))
	for _, d := range days {
		w.follow(node{kind: Service, id: d.Service}, node{kind: Predictions, id: d.Service}, Definition, fact{from: atTime(d.First)})
	}
	return err
}

// readsOfModels goes from models to the logged reads of the services that they read.
func (w *walker) readsOfModels(ctx context.Context, models []node) error {
	if w.root.kind == Load || w.root.kind == Run {
		return nil
	}
	if shows, err := w.showsReads(ctx); !shows {
		return err
	}
	type row struct {
		Name             string
		Version, Service int64
		RegisteredAt     time.Time
	}
	names, versions := modelsAndVersions(models)
	rows, err := collect[row](ctx, w.q, `SELECT name, version::bigint, service_id, registered_at FROM headwater.model
		WHERE (name, version) IN (SELECT * FROM unnest($1::text[], $2::integer[]))`, names, versions)
	if err != nil {
		return err
	}
	days, err := w.daysOfReads(ctx, rowIDs(rows, func(r row) int64 { return r.Service }))
	for _, d := range days {
		for _, r := range rows {
			if r.Service != d.Service {
				continue
			}
			from := d.First
			if r.RegisteredAt.After(from) {
				from = r.RegisteredAt
			}
			w.follow(node{kind: Model, id: r.Version, name: r.Name}, node{kind: Predictions, id: d.Service}, Definition, fact{from: atTime(from)})
		}
	}
	return err
}

// describePredictions describes logged reads of service versions. How many had rows of the runs that they were met by is told; a read that had rows of
// two of them counts twice in that.
func (w *walker) describePredictions(ctx context.Context, nodes []node, described map[node]*Node) error {
	reads, runs := map[node]int64{}, map[node]int{}
	for _, e := range w.edges {
		if to := w.met[e.to].node; to.kind == Predictions && e.kind == Read {
			reads[to] += e.known.rows
			runs[to]++
		}
	}
	days, err := w.daysOfReads(ctx, ids(nodes))
	for _, d := range days {
		n := node{kind: Predictions, id: d.Service}
		ref := NodeRef{Kind: Predictions, Name: d.Name, Version: d.Version}
		list := fmt.Sprintf("headwater reads list --service %s@%d", d.Name, d.Version)
		first, last := d.First.UTC().Format(time.DateOnly), d.Last.UTC().Format(time.DateOnly)
		p := properties{"first_day": first, "last_day": last, "list": list}
		p.text("service", NodeRef{Kind: Service, Name: d.Name, Version: d.Version}.String())
		title := "logged reads from " + first + " to " + last
		if first == last {
			title = "logged reads of " + first
		}
		switch runs[n] {
		case 0:
		case 1:
			p.number("reads", reads[n])
			title = count(reads[n], "logged read") + " had rows of it"
		default:
			p.number("reads_at_most", reads[n])
			title = fmt.Sprintf("at most %s had rows of the runs", count(reads[n], "logged read"))
		}
		described[n] = &Node{ID: ref.String(), Title: title + "; those of the service: `" + list + "`", Properties: p, subject: d.Name}
	}
	return err
}

// errNoRoot is of a walk from what stands for many.
func errNoRoot(query string, ref NodeRef) error {
	return fault.New(fault.InvalidArgument, "node: found %q, which are many, and which no walk begins at; ask for one of them, `prediction:READ_ID`: "+
		"`headwater reads list --service %s@%d` lists them", query, ref.Name, ref.Version)
}

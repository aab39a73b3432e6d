package lineage

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
)

// describeNodes reads the records of nodes, each at its place of all that were met: a query per kind, two for sources and three for runs, and of
// many nodes one for each part.
func (w *walker) describeNodes(ctx context.Context, all []node) ([]*Node, error) {
	kinds := byKind(all)
	if runs := ids(kinds[Run]); len(runs) > 0 {
		views, ofSources, ofViews := w.viewsOf(runs), w.runsReading(runs, ofSources), w.runsReading(runs, ofViews)
		err := w.together(ctx, func(ctx context.Context) error { return w.learnRuns(ctx, runs) }, func(ctx context.Context) error {
			return w.learnViews(ctx, views)
		}, func(ctx context.Context) error {
			return w.learnInputs(ctx, ofSources)
		}, func(ctx context.Context) error {
			return w.learnViewInputs(ctx, ofViews)
		})
		if err != nil {
			return nil, err
		}
		// Of nearly all it was known of which views they are.
		if err := w.learnViews(ctx, w.viewsOf(runs)); err != nil {
			return nil, err
		}
	}
	// Parts are described side by side: none of them changes the walk.
	var each []func(context.Context) error
	var parts []map[node]*Node
	for _, describe := range []struct {
		kinds []NodeKind
		nodes func(context.Context, []node, map[node]*Node) error
	}{
		{[]NodeKind{Source}, w.describeSources},
		{[]NodeKind{Load}, w.describeLoads},
		{[]NodeKind{View, Feature, Service, Consumer}, w.describeDefinitions},
		{[]NodeKind{SourceColumn, ViewColumn}, w.describeColumns},
		{[]NodeKind{Run}, w.describeRuns},
		{[]NodeKind{Dataset}, w.describeDatasets},
		{[]NodeKind{Model}, w.describeModels},
		{[]NodeKind{Prediction}, w.describePrediction},
		{[]NodeKind{Predictions}, w.describePredictions},
		{[]NodeKind{OutsideJob}, w.describeOutsideJobs},
		{[]NodeKind{OutsideTable}, w.describeOutsideTables},
		{[]NodeKind{OutsideColumn}, w.describeOutsideColumns},
	} {
		var nodes []node
		for _, kind := range describe.kinds {
			nodes = append(nodes, kinds[kind]...)
		}
		for nodes := range slices.Chunk(nodes, partOf(len(nodes))) {
			part := make(map[node]*Node, len(nodes))
			parts = append(parts, part)
			each = append(each, func(ctx context.Context) error { return describe.nodes(ctx, nodes, part) })
		}
	}
	if err := w.together(ctx, each...); err != nil {
		return nil, err
	}
	described, count := make([]*Node, len(w.met)), 0
	for _, part := range parts {
		for n, d := range part {
			described[w.places.of(n)] = d
		}
		count += len(part)
	}
	if count < len(all) {
		return nil, errTakenBack
	}
	return described, nil
}

var errTakenBack = fault.New(fault.NotFound, "a dataset or an unpublished run was taken back while the lineage was read; ask again")

// named is the node at a place by its id, and whose it is.
type named struct {
	place       int32
	id, subject string
}

// namesOf are all nodes that were met, by id, once they are described.
func namesOf(described []*Node) []named {
	list := make([]named, len(described))
	for place, d := range described {
		list[place] = named{int32(place), d.ID, d.subject}
	}
	sortNamed(list)
	return list
}

func sortNamed(list []named) {
	slices.SortFunc(list, func(a, b named) int { return strings.Compare(a.id, b.id) })
}

// name names all nodes that were met, by id.
func (w *walker) name(ctx context.Context) ([]named, error) {
	met := byKind(w.nodes())
	list := make([]named, 0, len(w.met))
	add := func(n node, ref NodeRef, subject string) {
		list = append(list, named{w.places.of(n), ref.String(), subject})
	}
	for _, n := range met[Source] {
		add(n, NodeRef{Kind: Source, Name: n.name}, n.name)
	}
	for _, n := range met[SourceColumn] {
		add(n, NodeRef{Kind: SourceColumn, Name: n.name, Column: n.column}, n.name)
	}
	for _, n := range met[Model] {
		add(n, NodeRef{Kind: Model, Name: n.name, Version: int(n.id)}, n.name)
	}
	for _, n := range met[Prediction] {
		add(n, NodeRef{Kind: Prediction, ReadID: n.name}, w.read.GetService())
	}
	type load struct {
		ID     int64
		Source string
	}
	err := each(ctx, w.q, func(l *load) { add(node{kind: Load, id: l.ID}, NodeRef{Kind: Load, LoadID: l.ID}, l.Source) },
		`SELECT id, source FROM headwater.load WHERE id = ANY ($1)`, ids(met[Load]))
	if err != nil {
		return nil, err
	}
	type dataset struct{ ID, Name string }
	err = each(ctx, w.q, func(d *dataset) {
		add(node{kind: Dataset, name: d.ID}, NodeRef{Kind: Dataset, DatasetID: d.ID}, d.Name)
	},
		`SELECT id, name FROM headwater.dataset WHERE id = ANY ($1)`, names(met[Dataset]))
	if err != nil {
		return nil, err
	}
	type run struct {
		ID      int64
		View    string
		Version int
		Seq     int64
	}
	err = each(ctx, w.q, func(r *run) {
		add(node{kind: Run, id: r.ID}, NodeRef{Kind: Run, Name: r.View, Version: r.Version, Seq: r.Seq}, r.View)
	}, `
		SELECT r.id, d.name, d.version, r.seq FROM headwater.run r JOIN headwater.definition d ON d.id = r.view_id
		WHERE r.id = ANY ($1) AND r.seq IS NOT NULL`, ids(met[Run]))
	if err != nil {
		return nil, err
	}
	of := slices.Concat(met[View], met[Feature], met[Service], met[Consumer], met[Predictions], met[ViewColumn])
	versions, err := w.versionsOf(ctx, ids(of))
	if err != nil {
		return nil, err
	}
	for _, n := range of {
		v := versions[n.id]
		if v == nil {
			continue
		}
		ref := NodeRef{Kind: n.kind, Name: v.Name, Version: v.Version}
		switch n.kind {
		case Feature:
			ref.Feature = n.name
		case ViewColumn:
			ref.Column = n.name
		}
		add(n, ref, v.Name)
	}
	if err := w.nameOutside(ctx, met, add); err != nil {
		return nil, err
	}
	if len(list) < len(w.met) {
		return nil, errTakenBack
	}
	sortNamed(list)
	return list, nil
}

// version is what a definition is called.
type version struct {
	ID      int64
	Name    string
	Version int
}

// versionsOf is what definitions are called, by id.
func (w *walker) versionsOf(ctx context.Context, ids []int64) (map[int64]*version, error) {
	versions := map[int64]*version{}
	if len(ids) == 0 {
		return versions, nil
	}
	slices.Sort(ids)
	err := each(ctx, w.q, func(v *version) { versions[v.ID] = v }, `SELECT id, name, version FROM headwater.definition WHERE id = ANY ($1)`, slices.Compact(ids))
	return versions, err
}

func (w *walker) describeSources(ctx context.Context, nodes []node, described map[node]*Node) error {
	newest, err := w.selectDefinitions(ctx, `WHERE d.kind = 'source' AND d.name = ANY ($1) AND d.version = (
		SELECT max(v.version) FROM headwater.definition v WHERE v.kind = 'source' AND v.name = d.name AND v.applied_at < $2)`, names(nodes), w.at.Before)
	if err != nil {
		return err
	}
	type sum struct {
		Source            string
		Loads, Live, Rows int64
	}
	sums, err := collect[sum](ctx, w.q, `
		SELECT l.source, count(*) FILTER (WHERE l.retract_reason IS NULL),
			count(*) FILTER (WHERE l.retract_reason IS NULL AND e.id IS NULL),
			coalesce(sum(l.rows) FILTER (WHERE e.id IS NULL), 0)::bigint
		FROM headwater.load l LEFT JOIN headwater.load e ON e.ends = l.id AND e.committed_at < $2
		WHERE l.source = ANY ($1) AND l.committed_at < $2 GROUP BY l.source`, names(nodes), w.at.Before)
	if err != nil {
		return err
	}
	bySource := map[string]sum{}
	for _, s := range sums {
		bySource[s.Source] = s
	}
	for _, d := range newest {
		s := bySource[d.Name]
		p := d.properties(d.source.Description, d.source.Owner)
		p.text("event_time", d.source.EventTime)
		if o := d.source.GetPostgres(); o != nil {
			origin := feature.PostgresOrigin{Database: o.Database, Schema: o.Schema, Table: o.Table}
			p.text("relation", origin.String())
			p.text("change_column", o.ChangeColumn)
			described[node{kind: Source, name: d.Name}] = &Node{
				ID: NodeRef{Kind: Source, Name: d.Name}.String(), Title: "table " + origin.String() + " of others", Properties: p, subject: d.Name,
			}
			continue
		}
		p.number("loads", s.Loads)
		p.number("live_loads", s.Live)
		p.number("live_rows", s.Rows)
		described[node{kind: Source, name: d.Name}] = &Node{
			ID:         NodeRef{Kind: Source, Name: d.Name}.String(),
			Title:      fmt.Sprintf("%s in %s", count(s.Rows, "row"), count(s.Live, "load")),
			Properties: p, subject: d.Name,
		}
	}
	return nil
}

func (w *walker) describeLoads(ctx context.Context, nodes []node, described map[node]*Node) error {
	type row struct {
		ID, Number, Ends           int64
		Source, Retracts           string
		EndedBy                    int64
		Retracted                  *string
		FileName                   string
		FileSize                   int64
		SHA256                     []byte
		Rows                       int64
		EventTimeMin, EventTimeMax *time.Time
		Principal                  string
		CommittedAt                time.Time
	}
	rows, err := collect[row](ctx, w.q, `
		SELECT l.id, l.number, coalesce(l.ends, 0), l.source, coalesce(l.retract_reason, ''), coalesce(e.id, 0), e.retract_reason,
			l.file_name, l.file_size, l.file_sha256, l.rows, l.event_time_min, l.event_time_max, l.principal, l.committed_at
		FROM headwater.load l LEFT JOIN headwater.load e ON e.ends = l.id AND e.committed_at < $2 WHERE l.id = ANY ($1)`, ids(nodes), w.at.Before)
	if err != nil {
		return err
	}
	for _, r := range rows {
		p := properties{}
		p.text("source", r.Source)
		p.number("number", r.Number)
		p.text("principal", r.Principal)
		p.time("committed_at", &r.CommittedAt)
		ref := NodeRef{Kind: Load, LoadID: r.ID}
		var title string
		if r.Retracts != "" {
			p.text("retracts", loadID(r.Ends))
			p.text("reason", r.Retracts)
			title = fmt.Sprintf("retracts load %d, because %s", r.Ends, oneLine(r.Retracts))
		} else {
			p.text("replaces", loadID(r.Ends))
			p.text("file_name", r.FileName)
			p.number("file_size", r.FileSize)
			p.text("file_sha256", hex.EncodeToString(r.SHA256))
			p.number("rows", r.Rows)
			p.time("event_time_min", r.EventTimeMin)
			p.time("event_time_max", r.EventTimeMax)
			title = fmt.Sprintf("%s"+titleDigest+"%s, %s", oneLine(r.FileName), short(r.SHA256), count(r.Rows, "row"))
		}
		switch {
		case r.Retracted != nil:
			p.text("retracted_by", loadID(r.EndedBy))
			title += fmt.Sprintf(", retracted by load %d", r.EndedBy)
		case r.EndedBy != 0:
			p.text("replaced_by", loadID(r.EndedBy))
			title += fmt.Sprintf(", replaced by load %d", r.EndedBy)
		}
		described[node{kind: Load, id: r.ID}] = &Node{ID: ref.String(), Title: title, Properties: p, subject: r.Source}
	}
	return nil
}

// loadID is the id of a load's node, "" for 0.
func loadID(id int64) string {
	if id == 0 {
		return ""
	}
	return NodeRef{Kind: Load, LoadID: id}.String()
}

// describeDefinitions describes views, features, services and consumers.
func (w *walker) describeDefinitions(ctx context.Context, nodes []node, described map[node]*Node) error {
	list, err := w.selectDefinitions(ctx, `WHERE d.id = ANY ($1)`, ids(nodes))
	if err != nil {
		return err
	}
	definitions := make(map[int64]*definition, len(list))
	for _, d := range list {
		definitions[d.ID] = d
	}
	kinds := byKind(nodes)
	for _, n := range kinds[Feature] {
		described[n] = definitions[n.id].featureNode(n.name)
	}
	for _, n := range kinds[Service] {
		described[n] = definitions[n.id].serviceNode()
	}
	for _, n := range kinds[Consumer] {
		described[n] = definitions[n.id].consumerNode()
	}
	return w.describeViews(ctx, kinds[View], definitions, described)
}

func (w *walker) describeViews(ctx context.Context, nodes []node, definitions map[int64]*definition, described map[node]*Node) error {
	if len(nodes) == 0 {
		return nil
	}
	type state struct {
		View, Published, Live int64
		From, To              *time.Time
	}
	rows, err := collect[state](ctx, w.q, `
		SELECT v.id, r.seq, CASE r.seq WHEN s.published_seq THEN s.live_rows ELSE r.live_after END,
			CASE r.seq WHEN s.published_seq THEN lower(s.covered) ELSE c.starts END, CASE r.seq WHEN s.published_seq THEN upper(s.covered) ELSE c.ends END
		FROM unnest($1::bigint[]) AS v (id) JOIN headwater.view_state s ON s.view_id = v.id
		CROSS JOIN LATERAL (SELECT p.run_id FROM headwater.publish_log p WHERE p.view_id = v.id AND p.position <= $2 ORDER BY p.seq DESC LIMIT 1) p
		JOIN headwater.run r ON r.id = p.run_id
		LEFT JOIN LATERAL (
			SELECT min(lower(e.spans)) AS starts, max(upper(e.spans)) AS ends FROM headwater.run e
			WHERE e.view_id = v.id AND e.seq <= r.seq AND e.state = 'published' AND r.seq <> s.published_seq) c ON true`,
		ids(nodes), w.at.Position)
	if err != nil {
		return err
	}
	states := map[int64]state{}
	for _, r := range rows {
		states[r.View] = r
	}
	for _, n := range nodes {
		d, s := definitions[n.id], states[n.id]
		p := d.properties(d.view.Description, d.view.Owner)
		if d.view.Entity != "" {
			p.text("entity", d.view.Entity)
			p.number("entity_version", int64(d.EntityVersion))
		}
		p.duration("ttl", d.view.Ttl)
		p.duration("grain", d.view.Grain)
		p.duration("lookback", d.view.Lookback)
		p.duration("hop", d.view.GetAggregation().GetHop())
		p.number("features", int64(len(d.view.Features)))
		title := fmt.Sprintf("%s of %s, ", count(int64(len(d.view.Features)), "feature"), d.view.Entity)
		if d.view.GetOnDemand() != nil {
			title = count(int64(len(d.view.Features)), "feature") + " computed when read"
		} else if s.Published == 0 {
			title += "not materialized"
		} else {
			p.number("published_seq", s.Published)
			p.number("live_rows", s.Live)
			p.time("covered_from", s.From)
			p.time("covered_to", s.To)
			title += count(s.Live, "live row") + ", " + p.interval("covered_from", "covered_to")
		}
		described[n] = &Node{
			ID: NodeRef{Kind: View, Name: d.Name, Version: d.Version}.String(), Title: title, Properties: p, subject: d.Name,
		}
	}
	return nil
}

func (d *definition) featureNode(name string) *Node {
	f := d.feature(name)
	p := properties{}
	p.text("view", d.ref())
	p.text("type", f.GetType())
	p.text("description", f.GetDescription())
	p.text("tags", strings.Join(f.GetTags(), ","))
	return &Node{
		ID:         NodeRef{Kind: Feature, Name: d.Name, Version: d.Version, Feature: name}.String(),
		Title:      f.GetType(),
		Properties: p, subject: d.Name,
	}
}

func (d *definition) serviceNode() *Node {
	p := d.properties(d.service.Description, d.service.Owner)
	views := int64(len(d.service.Views))
	p.number("views", views)
	return &Node{
		ID:         NodeRef{Kind: Service, Name: d.Name, Version: d.Version}.String(),
		Title:      "features of " + count(views, "view"),
		Properties: p, subject: d.Name,
	}
}

func (d *definition) properties(description, owner string) properties {
	p := properties{}
	p.number("version", int64(d.Version))
	p.text("fingerprint", hex.EncodeToString(d.Fingerprint))
	p.text("description", description)
	p.text("owner", owner)
	p.time("applied_at", &d.AppliedAt)
	p.text("applied_by", d.AppliedBy)
	p.text("origin", d.Origin)
	return p
}

func (w *walker) describeDatasets(ctx context.Context, nodes []node, described map[node]*Node) error {
	type manifest struct {
		Rows          int64    `json:"rows"`
		SpineDigest   string   `json:"spine_digest"`
		ContentDigest string   `json:"content_digest"`
		Purpose       string   `json:"purpose"`
		Principal     string   `json:"principal"`
		Features      []string `json:"features"`
	}
	type row struct {
		ID, Name       string
		Version        int
		State, Service string
		ServiceVersion int
		Position       int64
		Manifest       manifest
		CreatedAt      time.Time
	}
	rows, err := collect[row](ctx, w.q, `
		SELECT id, name, version, state, service, service_version, position, manifest, created_at
		FROM headwater.dataset WHERE id = ANY ($1)`, names(nodes))
	if err != nil {
		return err
	}
	for _, r := range rows {
		service := NodeRef{Kind: Service, Name: r.Service, Version: r.ServiceVersion}.String()
		p := properties{}
		p.text("name", r.Name)
		p.number("version", int64(r.Version))
		p.text("state", r.State)
		of := strings.TrimPrefix(service, "service:")
		if r.Service == "" {
			of = count(int64(len(r.Manifest.Features)), "feature")
			p.number("features", int64(len(r.Manifest.Features)))
		} else {
			p.text("service", service)
		}
		p.number("position", r.Position)
		p.number("rows", r.Manifest.Rows)
		p.text("spine_digest", r.Manifest.SpineDigest)
		p.text("content_digest", r.Manifest.ContentDigest)
		p.text("purpose", r.Manifest.Purpose)
		p.text("principal", r.Manifest.Principal)
		p.time("created_at", &r.CreatedAt)
		described[node{kind: Dataset, name: r.ID}] = &Node{
			ID: NodeRef{Kind: Dataset, DatasetID: r.ID}.String(),
			Title: fmt.Sprintf("%s@%d, %s for %s at position %d", r.Name, r.Version, count(r.Manifest.Rows, "row"),
				of, r.Position),
			Properties: p, subject: r.Name,
		}
	}
	w.describeRead(Dataset, described)
	return nil
}

// properties is a node's, of which empty ones are left out.
type properties map[string]string

func (p properties) text(name, value string) {
	if value != "" {
		p[name] = value
	}
}

func (p properties) number(name string, n int64) { p[name] = strconv.FormatInt(n, 10) }

func (p properties) time(name string, t *time.Time) {
	if t != nil {
		p[name] = feature.TimeOf(*t).String()
	}
}

func (p properties) duration(name string, d *durationpb.Duration) {
	if d != nil {
		p[name] = d.AsDuration().String()
	}
}

// count is a number for people, with what it counts: `1 row`, `112,233 rows`.
func count(n int64, what string) string {
	if n != 1 {
		what += "s"
	}
	return thousands(n) + " " + what
}

func thousands(n int64) string {
	digits := []byte(strconv.FormatInt(n, 10))
	for i := len(digits) - 3; i > 0 && digits[i-1] != '-'; i -= 3 {
		digits = slices.Insert(digits, i, ',')
	}
	return string(digits)
}

// short is as much of a digest as people compare.
func short(digest []byte) string {
	s := hex.EncodeToString(digest)
	if len(s) > 12 {
		return s[:12] + "…"
	}
	return s
}

// interval is `FROM to TO`, the end open, of two times among the properties.
func (p properties) interval(from, to string) string {
	if p[from] == "" || p[to] == "" {
		return "no interval"
	}
	return p[from] + " to " + p[to]
}

// oneLine is what a caller has sent, without what would break or hide parts of a line.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, s)
}

package lineage

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/testenv"
)

// model is a small world by its rows: what the walk computes from tables, it knows from having made it.
type model struct {
	seed     *seed
	views    []*modelView
	services []*modelService
	loads    []*modelLoad
	runs     []*modelRun
	datasets []*modelDataset
	models   []*modelModel
	reads    []*modelRead
	// consumers are the versions of the only one; removed says that it is there no more.
	consumers []*modelConsumer
	removed   bool
	// predictions is how many were logged.
	predictions int
}

type modelView struct {
	id       int64
	name     string
	version  int
	features []string
	sources  []string
	reads    []*modelView
	seq      int64
	// published is the newest sequence that is.
	published int64
	rows      []*modelRow
	// busy: a run is at work.
	busy bool
}

type modelRow struct{ from, to int64 }

type modelService struct {
	name    string
	version int
	// picks is what is read of each view.
	picks map[*modelView][]string
}

type modelLoad struct {
	id         int64
	source     string
	ends       int64
	retraction bool
	ended      bool
}

type modelRun struct {
	view      *modelView
	seq       int64
	published bool
	loads     []*modelLoad
	// reads is the sequences of other views.
	reads map[*modelView]int64
	// corrected is the sequences of which it ended rows.
	corrected map[int64]bool
}

type modelDataset struct {
	id      string
	service *modelService
	at      map[*modelView]int64
	// sources and loads are what the spine was read from.
	sources []string
	loads   []*modelLoad
}

// modelModel is a version of a model that is registered. dataset may be nil.
type modelModel struct {
	version int
	dataset *modelDataset
	service *modelService
}

// modelRead is a logged read of a service version, with the runs whose rows it was given and the versions of the model that predicted something of it.
type modelRead struct {
	id      string
	service *modelService
	runs    []*modelRun
	models  []*modelModel
	// newest is the newest version of the model for the service when the read was answered, or nil.
	newest *modelModel
}

// modelConsumer is a version of the consumer, by the nodes that it reads, which may have no version.
type modelConsumer struct {
	version int
	reads   []NodeRef
}

// read is the node that a read of the consumer stands for, "" for none.
func (m *model) read(n NodeRef) string {
	newest := NodeRef{}
	take := func(of NodeRef, node string) {
		if of.Name == n.Name && (n.Version == 0 || n.Version == of.Version) && of.Version > newest.Version {
			newest = of
			if newest.DatasetID = ""; n.Kind == Dataset {
				newest.DatasetID = node
			}
		}
	}
	for _, v := range m.views {
		if n.Kind == View || n.Kind == Feature {
			take(NodeRef{Kind: n.Kind, Name: v.name, Version: v.version, Feature: n.Feature}, "")
		}
	}
	for _, s := range m.services {
		if n.Kind == Service {
			take(NodeRef{Kind: Service, Name: s.name, Version: s.version}, "")
		}
	}
	for i, d := range m.datasets {
		if n.Kind == Dataset {
			take(NodeRef{Kind: Dataset, Name: "d", Version: i + 1}, d.id)
		}
	}
	for _, r := range m.models {
		if n.Kind == Model {
			take(NodeRef{Kind: Model, Name: "m", Version: r.version}, "")
		}
	}
	if newest.Version == 0 {
		return ""
	}
	if n.Kind == Feature && !slices.ContainsFunc(m.views, func(v *modelView) bool {
		return v.name == newest.Name && v.version == newest.Version && slices.Contains(v.features, n.Feature)
	}) {
		return ""
	}
	if n.Kind == Dataset {
		return "dataset:" + newest.DatasetID
	}
	return newest.String()
}

func (c *modelConsumer) node() string { return fmt.Sprintf("consumer:c@%d", c.version) }
func (r *modelModel) node() string    { return fmt.Sprintf("model:m@%d", r.version) }
func (v *modelView) ref() string      { return fmt.Sprintf("%s@%d", v.name, v.version) }
func (r *modelRead) node() string     { return "prediction:" + r.id }
func (r *modelRun) node() string      { return fmt.Sprintf("run:%s/%d", r.view.ref(), r.seq) }
func (s *modelService) node() string  { return fmt.Sprintf("service:%s@%d", s.name, s.version) }
func (l *modelLoad) node() string     { return fmt.Sprintf("load:%d", l.id) }

// behind asks each row.
func (r *modelRun) behind(seq int64, runs []*modelRun) bool {
	if !r.published || r.seq > seq {
		return false
	}
	newest := true
	for _, other := range runs {
		if other.view == r.view && other.published && other.seq > r.seq && other.seq <= seq {
			newest = false
		}
	}
	for _, row := range r.view.rows {
		if row.from == r.seq && row.from <= seq && seq < row.to {
			return true
		}
	}
	return newest
}

// edges is all there are, with views asked at seqOf.
func (m *model) edges(seqOf func(*modelView) int64) []Edge {
	var list []Edge
	add := func(from, to string, kind EdgeKind) { list = append(list, Edge{From: from, To: to, Kind: kind}) }
	for _, v := range m.views {
		for _, s := range v.sources {
			add("source:"+s, "view:"+v.ref(), Definition)
		}
		for _, input := range v.reads {
			add("view:"+input.ref(), "view:"+v.ref(), Definition)
		}
		for _, f := range v.features {
			add("view:"+v.ref(), "feature:"+v.ref()+"."+f, Definition)
		}
	}
	for _, s := range m.services {
		for v, picks := range s.picks {
			add("view:"+v.ref(), s.node(), Definition)
			for _, f := range picks {
				add("feature:"+v.ref()+"."+f, s.node(), Definition)
			}
		}
	}
	for _, l := range m.loads {
		add("source:"+l.source, l.node(), Definition)
		if l.ends != 0 {
			add(fmt.Sprintf("load:%d", l.ends), l.node(), Replaced)
		}
	}
	for _, r := range m.runs {
		if !r.published {
			continue
		}
		for _, s := range r.view.sources {
			found := false
			for _, l := range r.loads {
				if l.source == s {
					add(l.node(), r.node(), Read)
					found = true
				}
			}
			if !found {
				add("source:"+s, r.node(), Read)
			}
		}
		for _, reader := range m.runs {
			if seq, reads := reader.reads[r.view]; reads && reader.published && r.behind(seq, m.runs) {
				add(r.node(), reader.node(), Read)
			}
		}
		if r.behind(seqOf(r.view), m.runs) {
			add(r.node(), "view:"+r.view.ref(), Wrote)
		}
		for _, d := range m.datasets {
			if seq, reads := d.at[r.view]; reads && r.behind(seq, m.runs) {
				add(r.node(), "dataset:"+d.id, Read)
			}
		}
	}
	for _, d := range m.datasets {
		add(d.service.node(), "dataset:"+d.id, Definition)
		for _, s := range d.sources {
			found := false
			for _, l := range d.loads {
				if l.source == s {
					add(l.node(), "dataset:"+d.id, Read)
					found = true
				}
			}
			if !found {
				add("source:"+s, "dataset:"+d.id, Read)
			}
		}
	}
	for _, r := range m.models {
		add(r.service.node(), r.node(), Definition)
		if r.dataset != nil {
			add("dataset:"+r.dataset.id, r.node(), Definition)
		}
	}
	for _, r := range m.reads {
		all := fmt.Sprintf("predictions:%s@%d", r.service.name, r.service.version)
		once := func(from string, kind EdgeKind) {
			if !slices.Contains(list, Edge{From: from, To: all, Kind: kind}) {
				add(from, all, kind)
			}
		}
		add(r.service.node(), r.node(), Definition)
		for _, run := range r.runs {
			add(run.node(), r.node(), Read)
			once(run.node(), Read)
		}
		for _, predicted := range r.models {
			add(predicted.node(), r.node(), Wrote)
		}
		if r.newest != nil && len(r.models) == 0 {
			add(r.newest.node(), r.node(), Definition)
		}
		if len(r.runs) == 0 {
			continue
		}
		once(r.service.node(), Definition)
		for _, of := range m.models {
			if of.service == r.service {
				once(of.node(), Definition)
			}
		}
	}
	if n := len(m.consumers); n > 0 && !m.removed {
		for _, r := range m.consumers[n-1].reads {
			if from := m.read(r); from != "" && !slices.Contains(list, Edge{From: from, To: m.consumers[n-1].node(), Kind: Definition}) {
				add(from, m.consumers[n-1].node(), Definition)
			}
		}
	}
	return list
}

// walk follows the edges from root, one at a time.
func (m *model) walk(root string, dir Direction, depth int) (nodes []string, edges []Edge) {
	ref, _ := Parse(root)
	seqOf := func(v *modelView) int64 { return v.published }
	for _, d := range m.datasets {
		if dir == Up && root == "dataset:"+d.id {
			seqOf = func(v *modelView) int64 {
				if seq, reads := d.at[v]; reads {
					return seq
				}
				return 0
			}
		}
	}
	all := m.edges(seqOf)
	// From a read, the runs behind views are those whose rows it was given. Down, no read is met.
	for _, r := range m.reads {
		if dir == Up && root == r.node() {
			all = slices.DeleteFunc(all, func(e Edge) bool { return e.Kind == Wrote && strings.HasPrefix(e.To, "view:") })
			for _, run := range r.runs {
				all = append(all, Edge{From: run.node(), To: "view:" + run.view.ref(), Kind: Wrote})
			}
		}
	}
	if dir == Down {
		all = slices.DeleteFunc(all, func(e Edge) bool { return strings.HasPrefix(e.To, "prediction:") })
	}
	met := map[string]bool{root: true}
	// aside is loads that only stand in for others.
	aside := map[string]bool{}
	level := []string{root}
	for n := 0; len(level) > 0 && (depth == 0 || n < depth); n++ {
		var next []string
		for _, at := range level {
			for _, e := range all {
				near, far := e.From, e.To
				if dir == Up {
					near, far = far, near
				}
				toDataset := e.Kind == Definition && (strings.HasPrefix(far, "dataset:") || strings.HasPrefix(far, "predictions:"))
				if near != at || aside[at] && e.Kind != Replaced || toDataset && (ref.Kind == Load || ref.Kind == Run) {
					continue
				}
				edges = append(edges, e)
				if !met[far] {
					met[far] = true
					aside[far] = dir == Down && e.Kind == Replaced
					next = append(next, far)
				}
			}
		}
		level = next
	}
	// Corrections are shown of the root alone.
	for _, r := range m.runs {
		for _, old := range m.runs {
			shown, other := r.node(), old.node()
			if dir == Down {
				shown, other = other, shown
			}
			if r.published && old.view == r.view && r.corrected[old.seq] && shown == root {
				met[other] = true
				edges = append(edges, Edge{From: old.node(), To: r.node(), Kind: Corrected})
			}
		}
	}
	slices.SortFunc(edges, compareEdges)
	return slices.Sorted(maps.Keys(met)), edges
}

// drawModel makes a random world, in the tables and in the model alike, and calls moment, if there is one, now and then.
func drawModel(t *rapid.T, tx pgx.Tx, moment func(*model)) *model {
	m := &model{seed: &seed{t: t, tx: tx}}
	sources := []string{"a", "b"}
	for _, s := range sources {
		m.seed.source(s)
	}
	for _, name := range []string{"v", "w", "z"} {
		for version := range rapid.IntRange(1, 2).Draw(t, "versions of "+name) {
			v := &modelView{name: name, version: version + 1, features: []string{"x", "y"}[:rapid.IntRange(1, 2).Draw(t, "features")]}
			v.sources = sources[rapid.IntRange(0, 1).Draw(t, "first source"):]
			inputs := map[string]int{}
			for _, input := range m.views {
				if _, twice := inputs[input.name]; !twice && input.name != name && rapid.Bool().Draw(t, "reads a view") {
					v.reads, inputs[input.name] = append(v.reads, input), input.version
				}
			}
			v.id = m.seed.viewOver(v.name, v.version, v.features, inputs, v.sources...)
			m.views = append(m.views, v)
		}
	}
	for version := range rapid.IntRange(1, 2).Draw(t, "versions of the service") {
		m.drawService(t, version+1)
	}
	for range rapid.IntRange(8, 24).Draw(t, "events") {
		if moment != nil && rapid.IntRange(0, 9).Draw(t, "a moment") == 0 {
			moment(m)
		}
		switch rapid.IntRange(0, 9).Draw(t, "event") {
		case 0:
			m.drawLoad(t, sources)
		case 1, 2, 3:
			m.drawRun(t)
		case 4:
			m.drawDataset(t)
		case 5:
			m.drawRegistered(t)
		case 6, 7:
			m.drawConsumer(t)
		case 8:
			m.drawRead(t)
		case 9:
			m.drawPredicted(t)
		}
	}
	m.seed.spans()
	return m
}

func (m *model) drawService(t *rapid.T, version int) {
	s := &modelService{name: "s", version: version, picks: map[*modelView][]string{}}
	pins, picks := map[string]int{}, map[string][]string{}
	for _, v := range m.views {
		if _, pinned := pins[v.name]; pinned || !rapid.Bool().Draw(t, "pinned") {
			continue
		}
		pins[v.name], s.picks[v] = v.version, v.features
		if rapid.Bool().Draw(t, "picks") {
			s.picks[v] = v.features[:1]
			picks[v.name] = s.picks[v]
		}
	}
	m.services = append(m.services, s)
	m.seed.service(s.name, version, pins, picks)
}

func (m *model) drawLoad(t *rapid.T, sources []string) {
	l := &modelLoad{id: int64(len(m.loads) + 1), source: rapid.SampledFrom(sources).Draw(t, "source")}
	for _, old := range m.loads {
		if !old.ended && !old.retraction && old.source == l.source && rapid.Bool().Draw(t, "ends") {
			old.ended, l.ends = true, old.id
			l.retraction = rapid.Bool().Draw(t, "retracts")
			break
		}
	}
	if l.retraction {
		m.seed.retract(l.id, l.source, l.ends, "wrong")
	} else {
		m.seed.load(l.id, l.source, fmt.Sprintf("%d.csv", l.id), 10, l.ends)
	}
	m.loads = append(m.loads, l)
}

func (m *model) drawRun(t *rapid.T) {
	v := rapid.SampledFrom(m.views).Draw(t, "view")
	if v.busy {
		return
	}
	v.seq++
	r := &modelRun{view: v, seq: v.seq, corrected: map[int64]bool{}}
	state := rapid.SampledFrom([]string{"published", "published", "published", "failed", "running"}).Draw(t, "state")
	r.published, v.busy = state == "published", state == "running"
	m.runs = append(m.runs, r)
	reads := map[int64]int64{}
	for _, l := range m.loads {
		if r.published && !l.ended && !l.retraction && slices.Contains(v.sources, l.source) && rapid.Bool().Draw(t, "reads") {
			r.loads = append(r.loads, l)
			reads[l.id] = 3
		}
	}
	if state != "failed" {
		for from := range r.seq {
			if !rapid.Bool().Draw(t, "ends rows") {
				continue
			}
			m.seed.end(fmt.Sprintf("%s_v%d", v.name, v.version), from, r.seq)
			for _, row := range v.rows {
				if row.from == from && row.to == live {
					row.to = r.seq
					r.corrected[from] = true
				}
			}
		}
		for range rapid.IntRange(0, 2).Draw(t, "rows") {
			m.seed.row(fmt.Sprintf("%s_v%d", v.name, v.version), r.seq, live)
			v.rows = append(v.rows, &modelRow{r.seq, live})
		}
	}
	run := m.seed.run(v.id, r.seq, state, 0, 0, v.sources, reads)
	r.reads = map[*modelView]int64{}
	for _, input := range v.reads {
		if r.published && input.published > 0 {
			r.reads[input] = input.published
			m.seed.exec(`INSERT INTO headwater.run_view_input (run_id, view_id, seq, rows_read) VALUES ($1, $2, $3, 7)`,
				run, input.id, input.published)
		}
	}
	if r.published {
		v.published = r.seq
	}
}

func (m *model) drawDataset(t *rapid.T) {
	if len(m.services) == 0 {
		return
	}
	d := &modelDataset{
		id: fmt.Sprintf("ds_%d", len(m.datasets)+1), service: rapid.SampledFrom(m.services).Draw(t, "service"),
		at: map[*modelView]int64{},
	}
	at := map[int64]int64{}
	for v := range d.service.picks {
		if v.published == 0 {
			return
		}
		d.at[v], at[v.id] = v.published, v.published
	}
	m.datasets = append(m.datasets, d)
	m.seed.dataset(d.id, "d", len(m.datasets), d.service.name, d.service.version, at)
	d.sources = []string{"a", "b"}[:rapid.IntRange(0, 2).Draw(t, "sources of the spine")]
	read := map[int64]int64{}
	for _, l := range m.loads {
		if !l.ended && !l.retraction && slices.Contains(d.sources, l.source) && rapid.Bool().Draw(t, "the spine reads") {
			d.loads = append(d.loads, l)
			read[l.id] = 5
		}
	}
	m.seed.spine(d.id, read, d.sources...)
}

// drawRegistered registers a version of the model.
func (m *model) drawRegistered(t *rapid.T) {
	r := &modelModel{version: len(m.models) + 1, service: rapid.SampledFrom(m.services).Draw(t, "service")}
	var dataset *string
	if len(m.datasets) > 0 && rapid.Bool().Draw(t, "trained on a dataset") {
		r.dataset = rapid.SampledFrom(m.datasets).Draw(t, "dataset")
		dataset = &r.dataset.id
	}
	m.seed.exec(`
		INSERT INTO headwater.model (name, version, dataset_id, service_id, run_uri, description, owner, registered_at, registered_by)
		SELECT 'm', $1, $2, id, '', '', '', $5, 'ada' FROM headwater.definition WHERE kind = 'service' AND name = $3 AND version = $4`,
		r.version, dataset, r.service.name, r.service.version, m.seed.now())
	m.models = append(m.models, r)
}

// drawRead reads two entities of a service: each is given a row of some published run of each view, or of none.
func (m *model) drawRead(t *rapid.T) {
	r := &modelRead{id: fmt.Sprintf("rd_%d", len(m.reads)+1), service: rapid.SampledFrom(m.services).Draw(t, "service")}
	var given []*headwaterv1.ViewProvenance
	var features []*headwaterv1.LoggedFeature
	for _, v := range m.views {
		if _, reads := r.service.picks[v]; !reads {
			continue
		}
		p := &headwaterv1.ViewProvenance{View: v.name, ViewVersion: int32(v.version)}
		for range 2 {
			runs := []*modelRun{nil}
			for _, run := range m.runs {
				if run.view == v && run.published {
					runs = append(runs, run)
				}
			}
			run := rapid.SampledFrom(runs).Draw(t, "row of")
			if run == nil {
				p.RunSeqs = append(p.RunSeqs, 0)
				continue
			}
			p.RunSeqs = append(p.RunSeqs, run.seq)
			if !slices.Contains(r.runs, run) {
				r.runs = append(r.runs, run)
			}
		}
		given = append(given, p)
		for _, f := range r.service.picks[v] {
			features = append(features, &headwaterv1.LoggedFeature{Name: v.name + "__" + f, View: v.name, ViewVersion: int32(v.version), Feature: f})
		}
	}
	for _, of := range m.models {
		if of.service == r.service {
			r.newest = of
		}
	}
	m.seed.read(r.id, r.service.name, r.service.version, features, given...)
	m.reads = append(m.reads, r)
}

// drawPredicted has a version of the model predict something of a read.
func (m *model) drawPredicted(t *rapid.T) {
	if len(m.models) == 0 || len(m.reads) == 0 {
		return
	}
	of, r := rapid.SampledFrom(m.models).Draw(t, "model"), rapid.SampledFrom(m.reads).Draw(t, "read")
	m.predictions++
	m.seed.predicted(fmt.Sprint("p", m.predictions), "m", of.version, r.id)
	if !slices.Contains(r.models, of) {
		r.models = append(r.models, of)
	}
}

// drawConsumer removes the consumer, or applies a version of it.
func (m *model) drawConsumer(t *rapid.T) {
	if n := len(m.consumers); n > 0 && !m.removed && rapid.IntRange(0, 3).Draw(t, "is removed") == 0 {
		m.removed = true
		m.seed.removeConsumer("c", n)
		return
	}
	c := &modelConsumer{version: len(m.consumers) + 1}
	version := func(of []int) int {
		return rapid.SampledFrom(append([]int{0}, of...)).Draw(t, "version")
	}
	may := func(n NodeRef, of []int) {
		if rapid.IntRange(0, 2).Draw(t, "reads "+n.String()) == 0 {
			n.Version = version(of)
			c.reads = append(c.reads, n)
		}
	}
	byView := map[string][]int{}
	for _, v := range m.views {
		byView[v.name] = append(byView[v.name], v.version)
	}
	for _, name := range slices.Sorted(maps.Keys(byView)) {
		may(NodeRef{Kind: View, Name: name}, byView[name])
		may(NodeRef{Kind: Feature, Name: name, Feature: "x"}, byView[name])
		may(NodeRef{Kind: Feature, Name: name, Feature: "y"}, byView[name])
	}
	var services, datasets, models []int
	for _, s := range m.services {
		services = append(services, s.version)
	}
	for i := range m.datasets {
		datasets = append(datasets, i+1)
	}
	for _, r := range m.models {
		models = append(models, r.version)
	}
	may(NodeRef{Kind: Service, Name: "s"}, services)
	may(NodeRef{Kind: Dataset, Name: "d"}, datasets)
	may(NodeRef{Kind: Model, Name: "m"}, models)
	m.seed.consumer("c", c.version, c.reads...)
	m.consumers, m.removed = append(m.consumers, c), false
}

// roots is every node there is.
func (m *model) roots() []string {
	list := []string{"source:a", "source:b"}
	for _, v := range m.views {
		list = append(list, "view:"+v.ref())
		for _, f := range v.features {
			list = append(list, "feature:"+v.ref()+"."+f)
		}
	}
	for _, s := range m.services {
		list = append(list, s.node())
	}
	for _, l := range m.loads {
		list = append(list, l.node())
	}
	for _, r := range m.runs {
		list = append(list, r.node())
	}
	for _, d := range m.datasets {
		list = append(list, "dataset:"+d.id)
	}
	for _, r := range m.models {
		list = append(list, r.node())
	}
	for _, c := range m.consumers {
		list = append(list, c.node())
	}
	for _, r := range m.reads {
		list = append(list, r.node())
	}
	return list
}

// A walk finds what following every edge of the world by hand finds, from any node, either way, at any depth.
func TestWalkAgainstModel(t *testing.T) {
	pool := testenv.Postgres(t)
	ctx := context.Background()
	rapid.Check(t, func(t *rapid.T) {
		tx, err := pool.Begin(ctx)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = tx.Rollback(ctx) }()
		m := drawModel(t, tx, nil)
		for range 12 {
			root := rapid.SampledFrom(m.roots()).Draw(t, "root")
			dir := rapid.SampledFrom([]Direction{Up, Down}).Draw(t, "direction")
			depth := rapid.IntRange(0, 4).Draw(t, "depth")
			g, err := Walk(ctx, tx, Query{Node: root, Direction: dir, Depth: depth})
			if err != nil {
				t.Fatal(err)
			}
			nodes, edges := m.walk(root, dir, depth)
			if g.Root != root || !slices.Equal(nodeIDs(g), nodes) || !slices.Equal(timeless(g.Edges), edges) {
				t.Fatalf("from %s:\nfound    %v %v\nexpected %v %v", g.Root, nodeIDs(g), g.Edges, nodes, edges)
			}
		}
	})
}

// timeless is edges without their validity.
func timeless(edges []Edge) []Edge {
	list := slices.Clone(edges)
	for i := range list {
		list[i].ValidFrom, list[i].ValidTo = 0, 0
	}
	return list
}

// As of a moment the graph is what it was shown to be then, and its edges were valid at that position.
func TestWalkAsOf(t *testing.T) {
	pool := testenv.Postgres(t)
	ctx := context.Background()
	type shown struct {
		query Query
		graph *Graph
	}
	rapid.Check(t, func(t *rapid.T) {
		tx, err := pool.Begin(ctx)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = tx.Rollback(ctx) }()
		var then []shown
		drawModel(t, tx, func(m *model) {
			m.seed.spans()
			at := Instant{Position: m.seed.id(`SELECT position FROM headwater.publish_head`), Before: m.seed.now()}
			for range 3 {
				query := Query{
					Node:      rapid.SampledFrom(m.roots()).Draw(t, "root"),
					Direction: rapid.SampledFrom([]Direction{Up, Down}).Draw(t, "direction"),
				}
				query.Columns = rapid.Bool().Draw(t, "columns") && !strings.HasPrefix(query.Node, "load:") && !strings.HasPrefix(query.Node, "run:")
				graph, err := Walk(ctx, tx, query)
				if err != nil {
					t.Fatal(err)
				}
				query.At = at
				// Reads are counted by days, and not told as of a moment.
				graph.Nodes = slices.DeleteFunc(graph.Nodes, func(n Node) bool { return strings.HasPrefix(n.ID, "predictions:") })
				graph.Edges = slices.DeleteFunc(graph.Edges, func(e Edge) bool { return strings.HasPrefix(e.To, "predictions:") })
				then = append(then, shown{query, graph})
			}
		})
		for _, s := range then {
			g, err := Walk(ctx, tx, s.query)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(nodeIDs(g), nodeIDs(s.graph)) || !slices.Equal(timeless(g.Edges), timeless(s.graph.Edges)) {
				t.Fatalf("from %s as of %+v:\nfound    %v %v\nexpected %v %v", g.Root, s.query.At, nodeIDs(g), g.Edges, nodeIDs(s.graph), s.graph.Edges)
			}
			// A dataset and a prediction have views at the sequences that they read, which may have ended before that moment.
			dataset := strings.HasPrefix(g.Root, "dataset:") || strings.HasPrefix(g.Root, "model:") || strings.HasPrefix(g.Root, "consumer:") || strings.HasPrefix(g.Root, "prediction:")
			for i, e := range g.Edges {
				ended := e.ValidTo != 0 && e.ValidTo <= s.query.At.Position
				if strings.HasPrefix(e.To, "consumer:") && e.ValidTo == s.query.At.Position {
					// It ended after the moment, and before another run was published.
					ended = false
				}
				if e.ValidFrom != s.graph.Edges[i].ValidFrom || e.ValidFrom > s.query.At.Position || ended && !dataset {
					t.Fatalf("from %s as of %+v: found %+v, which was %+v", g.Root, s.query.At, e, s.graph.Edges[i])
				}
			}
			for i, n := range g.Nodes {
				// Of a run that was not published then, it is told what became of it.
				was := s.graph.Nodes[i]
				if !strings.HasPrefix(n.ID, "run:") && n.Title != was.Title {
					t.Fatalf("%s as of %+v: found %q, expected %q", n.ID, s.query.At, n.Title, was.Title)
				}
			}
		}
	})
}

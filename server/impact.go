package server

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/access"
	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/lineage"
	"github.com/headwaterhq/headwater/offline"
	"github.com/headwaterhq/headwater/registry"
)

// What rows of a source reach is told row by row to who may read the source and the views as wholes: which rows of which histories they have
// a part in (offline.Affected), which datasets and which logged reads were given one of those. To others it is told by the records of runs, of which
// they may read the lineage: what they are told depends on no row. Where rows cannot be told apart, more counts, and is said to.

const (
	// maxImpacts is how many impacts a server tells at a time.
	maxImpacts = 2
	// maxImpactNodes is how many nodes an answer has at most.
	maxImpactNodes = 10_000
	// maxImpactDatasetRows is how many rows of datasets are computed again for one impact, and maxImpactReads how many logged reads are read.
	maxImpactDatasetRows = 1_000_000
	maxImpactReads       = 200_000
	// maxImpactTime is how long one may take, its place included.
	maxImpactTime = 2 * time.Minute
)

// errImpactTime ends what takes longer.
var errImpactTime = errors.New("an impact took too long")

// impact is one on its way.
type impact struct {
	*lineageService
	ctx      context.Context
	request  *headwaterv1.GetImpactRequest
	resp     *headwaterv1.GetImpactResponse
	catalog  *registry.Catalog
	tx       pgx.Tx
	affected *offline.Affected
	load     *offline.Load
	reach    reach
	views    []*impactedView
	byID     map[int64]*impactedView
	nodes    []impactedNode
	noted    map[string]bool
	// datasets are those that are told, and services those of which a model may have been given something.
	datasets []*impactedDataset
	services []*impactedService
	models   []*lineage.ModelVersion
	// consumers are those outside that are to be told.
	consumers []impactedConsumer
}

// impactedView is a view version with the features that are affected. rows is nil of one that is computed when it is read.
type impactedView struct {
	*feature.ViewVersion
	rows     *offline.AffectedView
	features map[string]ways
	// of are the views with histories that an on-demand feature is computed of, as far as they are affected.
	of      map[string][]*impactedView
	visible bool
}

// impactedNode is a node with what orders it.
type impactedNode struct {
	kind lineage.NodeKind
	*headwaterv1.ImpactedNode
}

var impactOrder = []lineage.NodeKind{lineage.View, lineage.Feature, lineage.Service, lineage.Dataset, lineage.Model, lineage.Consumer}

func compareImpacted(a, b impactedNode) int {
	return cmp.Or(cmp.Compare(slices.Index(impactOrder, a.kind), slices.Index(impactOrder, b.kind)), cmp.Compare(a.GetId(), b.GetId()))
}

func badImpact(field, format string, args ...any) error {
	description := fmt.Sprintf(format, args...)
	return fault.New(fault.InvalidArgument, "%s: %s", field, description).Violating(fault.Violation{Field: field, Description: description})
}

// GetImpact says what rows of a source reach.
func (s *lineageService) GetImpact(ctx context.Context, req *headwaterv1.GetImpactRequest) (*headwaterv1.GetImpactResponse, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.impactTime, errImpactTime)
	defer cancel()
	began := false
	resp, err := s.impact(ctx, req, &began)
	switch {
	case err == nil || context.Cause(ctx) != errImpactTime:
		return resp, err
	case !began:
		return nil, fault.New(fault.ResourceExhausted, "impact: this server tells of %d at a time, and none of those had ended after %s; ask again later", maxImpacts, s.impactTime)
	}
	return nil, fault.New(fault.DeadlineExceeded, "impact: found that what rows of source %s reach takes longer than %s to tell, which is how long one may take; ask for less: "+
		"for one load (--load), for a shorter window of event times (--from, --to) or for one column (--column)", req.GetSource(), s.impactTime)
}

// impact sets began once it has its place.
func (s *lineageService) impact(ctx context.Context, req *headwaterv1.GetImpactRequest, began *bool) (*headwaterv1.GetImpactResponse, error) {
	i := &impact{
		lineageService: s, ctx: ctx, request: req, resp: &headwaterv1.GetImpactResponse{}, catalog: s.registry.Catalog(),
		reach: reach{source: req.GetSource(), column: req.GetColumn(), known: map[int64]map[string]ways{}},
		byID:  map[int64]*impactedView{}, noted: map[string]bool{},
	}
	rows, err := i.rows()
	if err != nil {
		return nil, err
	}
	after, err := i.after()
	if err != nil {
		return nil, err
	}
	select {
	case s.impacts <- struct{}{}:
		*began = true
		defer func() { <-s.impacts }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	// Reads that were answered by now are in Postgres before they are looked for.
	if err := s.reads.reads.Flush(ctx); err != nil {
		return nil, database.Fault(err)
	}
	if err := s.flush(ctx); err != nil {
		return nil, err
	}
	err = pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead}, func(tx pgx.Tx) error {
		i.tx = tx
		if i.affected, err = offline.NewAffected(ctx, tx, rows); err != nil {
			return err
		}
		i.affected.Name = i.viewName
		for _, find := range []func() error{i.findViews, i.findOnDemand, i.tellViews, i.findDatasets, i.findServices, i.findByReference, i.findModels} {
			if err := find(); err != nil {
				return err
			}
		}
		i.findConsumers()
		return nil
	})
	if err != nil {
		return nil, database.Fault(err)
	}
	slices.SortFunc(i.nodes, compareImpacted)
	if after.ID == "" {
		i.repair()
	}
	return i.page(after)
}

// rows is what is asked for.
func (i *impact) rows() (rows offline.SourceRows, err error) {
	req := i.request
	name := req.GetSource()
	src := i.catalog.NewestSource(name)
	if src == nil {
		return rows, lineage.NotFound(lineage.NodeRef{Kind: lineage.Source, Name: name})
	}
	rows.Source = src
	if c := req.GetColumn(); c != "" && src.Column(c) == nil && c != "event_time" && c != "available_at" {
		return rows, lineage.NotFound(lineage.NodeRef{Kind: lineage.SourceColumn, Name: name, Column: c})
	}
	for field, t := range map[string]interface {
		CheckValid() error
	}{"from": req.GetFrom(), "to": req.GetTo()} {
		if given := field == "from" && req.GetFrom() != nil || field == "to" && req.GetTo() != nil; given && t.CheckValid() != nil {
			return rows, badImpact(field, "found a time that there is not, expected one from the year 1 to 9999")
		}
	}
	if req.GetFrom() != nil {
		at := feature.TimeOf(req.GetFrom().AsTime())
		rows.From = &at
	}
	if req.GetTo() != nil {
		at := feature.TimeOf(req.GetTo().AsTime())
		rows.To = &at
	}
	if rows.From != nil && rows.To != nil && *rows.From >= *rows.To {
		return rows, badImpact("to", "found %s, which is not after %s, expected a window of event times", *rows.To, *rows.From)
	}
	if rows.Load = req.GetLoad(); rows.Load == 0 {
		return rows, nil
	}
	if rows.From != nil || rows.To != nil {
		return rows, badImpact("load", "found one beside a window, expected one of them")
	}
	loads, err := offline.LoadsByID(i.ctx, i.pool, []int64{rows.Load})
	switch {
	case err != nil:
		return rows, database.Fault(err)
	case len(loads) == 0 || loads[0].Source != name:
		return rows, fault.New(fault.NotFound, "source %s has no load %d; `headwater loads list %[1]s` shows those of the source", name, rows.Load)
	case loads[0].RetractReason != "":
		return rows, badImpact("load", "found load %d, which took load %d back and has no rows; ask for load %[2]d", rows.Load, loads[0].Replaces)
	}
	if i.load = loads[0]; i.load.Replaces != 0 {
		i.note("load %d replaced load %d: what became of rows that it took away is not told here; headwater impact %s --load %[2]d does", rows.Load, i.load.Replaces, name)
	}
	return rows, nil
}

// allows reports whether the caller may read the lineage of something; what it may not is counted.
func (i *impact) allows(kind access.Kind, name string) bool {
	return access.Allows(i.ctx, access.ActionReadLineage, kind, name)
}

// viewName is what a view is called beside what is told of others.
func (i *impact) viewName(v *feature.ViewVersion) string {
	if i.allows(access.KindView, v.Name) {
		return "view " + v.Ref()
	}
	return "a view that you may not see"
}

// because is why what is made of a view is not told row by row.
func (i *impact) because(v *impactedView) string {
	return "of " + i.viewName(v.ViewVersion) + ", " + v.rows.Why
}

func (i *impact) note(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	if !i.noted[line] {
		i.noted[line] = true
		i.resp.Notes = append(i.resp.Notes, line)
	}
}

func (i *impact) add(kind lineage.NodeKind, visible bool, n *headwaterv1.ImpactedNode) {
	if !visible {
		i.resp.Hidden++
		return
	}
	i.nodes = append(i.nodes, impactedNode{kind, n})
}

// apartOf is what offline.Apart says of a view version. It is the same for ever.
func (i *impact) apartOf(v *feature.ViewVersion) (found map[string]map[string]string) {
	if known, ok := i.apart.Load(v.ID); ok {
		return known.(map[string]map[string]string)
	}
	err := pgx.BeginFunc(i.ctx, i.pool, func(tx pgx.Tx) (err error) {
		found, err = offline.Apart(i.ctx, tx, v)
		return err
	})
	if err != nil {
		// What cannot be analysed is not told apart.
		return nil
	}
	i.apart.Store(v.ID, found)
	return found
}

// findViews finds the views with histories, each behind those that it reads.
func (i *impact) findViews() error {
	ids, err := i.affected.Readers(i.ctx)
	if err != nil {
		return err
	}
	source := i.request.GetSource()
	readable := access.AllowsRows(i.ctx, access.KindSource, source)
	for _, id := range ids {
		v, err := i.catalog.ViewByID(id)
		if err != nil {
			continue
		}
		features, unknown := i.reach.features(v)
		if unknown {
			for _, f := range v.Features {
				features[f.Name] = 0
			}
		}
		// What is computed from an attribute alone is of views over this one.
		if len(features) == 0 && !i.reach.attributes(v) {
			continue
		}
		byRow, why := true, ""
		switch {
		case !readable:
			byRow, why = false, fmt.Sprintf("you may not read_offline source:%s as a whole, so all counts that runs wrote which read those rows", source)
		case !access.AllowsRows(i.ctx, access.KindView, v.Name):
			what := "it"
			if i.allows(access.KindView, v.Name) {
				what = "view:" + v.Name
			}
			byRow, why = false, fmt.Sprintf("you may not read_offline %s as a whole, so all counts that its runs wrote which read those rows", what)
		}
		var apart map[string]map[string]string
		if byRow {
			apart = i.apartOf(v)
		}
		rows, err := i.affected.Find(i.ctx, v, byRow, why, apart)
		if err != nil {
			return err
		}
		if rows == nil {
			continue
		}
		found := &impactedView{ViewVersion: v, rows: rows, features: features, visible: i.allows(access.KindView, v.Name)}
		if unknown {
			rows.Why = strings.TrimPrefix(rows.Why+"; it is not kept what its features are computed from, so all count", "; ")
		}
		if len(features) > 0 {
			i.views, i.byID[id] = append(i.views, found), found
		}
	}
	return nil
}

// findOnDemand finds the views of which features are computed of affected ones when they are read.
func (i *impact) findOnDemand() error {
	var find func(v *feature.ViewVersion) *impactedView
	find = func(v *feature.ViewVersion) *impactedView {
		if known, ok := i.byID[v.ID]; ok || v.OnDemand == nil {
			return known
		}
		i.byID[v.ID] = nil
		found := &impactedView{ViewVersion: v, features: map[string]ways{}, of: map[string][]*impactedView{}, visible: i.allows(access.KindView, v.Name)}
		columns := i.reach.columns(v)
		for _, below := range v.ViewVersions {
			of := find(below)
			if of == nil || v.Analysis == nil {
				continue
			}
			for _, in := range v.Analysis.Inputs {
				if _, affected := of.features[in.InputColumn]; in.Relation != below.Name || !affected {
					continue
				}
				found.features[in.Column] = columns[in.Column] | of.features[in.InputColumn]
				behind := []*impactedView{of}
				if of.rows == nil {
					behind = of.of[in.InputColumn]
				}
				for _, b := range behind {
					if !slices.Contains(found.of[in.Column], b) {
						found.of[in.Column] = append(found.of[in.Column], b)
					}
				}
			}
		}
		if len(found.features) == 0 {
			return nil
		}
		i.views, i.byID[v.ID] = append(i.views, found), found
		return found
	}
	for _, v := range i.catalog.ViewVersions() {
		find(v)
	}
	return nil
}

// tellViews tells of views and their features, and how many entities hold it now.
func (i *impact) tellViews() error {
	var counted []*feature.ViewVersion
	for _, v := range i.views {
		n := &headwaterv1.ImpactedNode{Id: "view:" + v.Ref(), Owner: v.Owner, Title: "computed when it is read", Exact: true}
		if v.rows != nil {
			n.Exact, n.Why = v.rows.ByRow && v.rows.Why == "", v.rows.Why
			n.Title = fmt.Sprintf("by %d of its runs", len(v.rows.Runs))
			if v.rows.ByRow {
				n.Entities, n.Rows, n.LiveRows = v.rows.Entities, v.rows.Rows, v.rows.Live
				if n.Title += ", " + rowsText(n.Rows); n.LiveRows == 0 {
					n.Title += ", none of them visible now"
				}
				if v.Aggregation != nil {
					n.Title += "; not those at which such rows leave the longest window, which are made without them"
				}
				if v.visible {
					counted = append(counted, v.ViewVersion)
				}
			}
			if v.visible && n.Why != "" {
				i.note("view %s: %s", v.Ref(), n.Why)
			}
		}
		for _, name := range sortedKeys(v.of) {
			for _, of := range v.of[name] {
				if n.Exact && (!of.rows.ByRow || of.rows.Why != "") {
					n.Exact, n.Why = false, i.because(of)
				}
			}
		}
		i.add(lineage.View, v.visible, n)
		for _, name := range sortedKeys(v.features) {
			i.add(lineage.Feature, v.visible, &headwaterv1.ImpactedNode{
				Id: "feature:" + v.Ref() + "." + name, Owner: v.Owner, Title: "of view " + v.Ref(), How: v.features[name].String(), Exact: n.Exact, Why: n.Why,
			})
		}
	}
	var err error
	i.resp.Entities, err = i.affected.Entities(i.ctx, counted)
	return err
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

// impactToken is what a page token holds.
type impactToken struct {
	Query []byte `json:"q"`
	Kind  int    `json:"k"`
	ID    string `json:"i"`
}

func (i *impact) query() []byte {
	r := i.request
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %s %s %s %d", r.GetSource(), r.GetColumn(), r.GetFrom(), r.GetTo(), r.GetLoad()))
	return sum[:12]
}

func (i *impact) after() (t impactToken, err error) {
	if i.request.GetPageToken() == "" {
		return t, nil
	}
	encoded, err := base64.RawURLEncoding.DecodeString(i.request.GetPageToken())
	if err == nil {
		err = json.Unmarshal(encoded, &t)
	}
	if err != nil || t.ID == "" || string(t.Query) != string(i.query()) {
		return t, badImpact("page_token", "found %q, expected the next_page_token of the page before, with all else as it was asked for",
			shorten(i.request.GetPageToken(), maxShownName))
	}
	return t, nil
}

// page is the nodes behind one, and the token of the next.
func (i *impact) page(after impactToken) (*headwaterv1.GetImpactResponse, error) {
	nodes := i.nodes
	if after.ID != "" {
		last := impactedNode{lineage.NodeKind(after.Kind), &headwaterv1.ImpactedNode{Id: after.ID}}
		first := sort.Search(len(nodes), func(n int) bool { return compareImpacted(nodes[n], last) > 0 })
		nodes = nodes[first:]
	}
	size := int(i.request.GetPageSize())
	if size == 0 && len(nodes) > maxImpactNodes {
		return nil, fault.New(fault.ResourceExhausted, "impact: found %d nodes, expected at most %d in one answer; ask for pages", len(nodes), maxImpactNodes)
	}
	if size > 0 && len(nodes) > size {
		nodes = nodes[:size]
		last := nodes[size-1]
		encoded, err := json.Marshal(impactToken{Query: i.query(), Kind: int(last.kind), ID: last.GetId()})
		if err != nil {
			return nil, err
		}
		i.resp.NextPageToken = base64.RawURLEncoding.EncodeToString(encoded)
	}
	for _, n := range nodes {
		i.resp.Nodes = append(i.resp.Nodes, n.ImpactedNode)
	}
	return i.resp, nil
}

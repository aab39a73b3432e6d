package server

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/headwaterhq/headwater/access"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/lineage"
)

const (
	// defaultUses is how many readings a page has unless it is said.
	defaultUses = 100
	// defaultUsesOf is how far back they go unless it is said.
	defaultUsesOf = 30 * 24 * time.Hour
)

// ListUses joins the graph with the audit: who read what comes from a source or a column of one, or what the runs of a view read. The
// guard has decided that the caller may read the audit.
func (s *lineageService) ListUses(ctx context.Context, req *headwaterv1.ListUsesRequest) (*headwaterv1.ListUsesResponse, error) {
	ref, err := lineage.Parse(req.GetNode())
	if err != nil {
		return nil, err
	}
	filter := access.UsageFilter{Limit: int(req.GetPageSize())}
	if filter.Limit == 0 {
		filter.Limit = defaultUses
	}
	if since := req.GetSince(); since != nil {
		if !since.IsValid() {
			return nil, errNoTime("since")
		}
		filter.Since = since.AsTime()
	}
	after, err := usesAfter(req)
	if err != nil {
		return nil, err
	}
	switch {
	case after != nil:
		filter.Since, filter.Before = time.UnixMicro(after.Since), &access.UsageKey{Time: time.UnixMicro(after.Time), Writer: after.Writer, Number: after.Number}
	case req.GetSince() == nil:
		filter.Since = time.Now().Add(-defaultUsesOf).Truncate(time.Second)
	}
	var path func(r *access.Usage) []string
	switch ref.Kind {
	case lineage.Source, lineage.SourceColumn:
		path, err = s.usesOfSource(ctx, ref, &filter)
	case lineage.View:
		path, err = s.usesOfView(ctx, ref, &filter)
	default:
		return nil, fault.New(fault.InvalidArgument, "node: found %s, expected source:NAME or source:NAME#COLUMN for who read what comes of it, or view:NAME[@VERSION] for "+
			"which sources were read to make it", ref)
	}
	if err != nil {
		return nil, err
	}
	// What this server has decided up to now is among it.
	if err := s.flush(ctx); err != nil {
		return nil, err
	}
	limit := filter.Limit
	filter.Limit++
	readings, err := access.Usages(ctx, s.pool, filter)
	if err != nil {
		return nil, err
	}
	resp := &headwaterv1.ListUsesResponse{Since: timestamppb.New(filter.Since)}
	if len(readings) > limit {
		readings = readings[:limit]
		last := &readings[limit-1]
		resp.NextPageToken = usesToken{Asked: usesAsked(req), Since: filter.Since.UnixMicro(), Time: last.Time.UnixMicro(), Writer: last.Writer, Number: last.Number}.String()
	}
	for i := range readings {
		r := &readings[i]
		use := headwaterv1.Use{
			Time: timestamppb.New(r.Time), Principal: r.Principal, Action: "read_" + r.Store, Purpose: r.Purpose, Calls: r.Calls, ReadId: r.ReadID, Dataset: r.Dataset,
			Resource: r.Resource,
		}
		if r.Use == "materialize" {
			use.Action = r.Use
		}
		if ref.Kind != lineage.View {
			use.Path = path(r)
			resp.Uses = append(resp.Uses, &use)
			continue
		}
		for _, source := range r.Sources {
			if !access.Allows(ctx, access.ActionReadLineage, access.KindSource, source) {
				continue
			}
			node := lineage.NodeRef{Kind: lineage.Source, Name: source}.String()
			resp.Uses = append(resp.Uses, &headwaterv1.Use{
				Time: use.Time, Principal: use.Principal, Action: use.Action, Purpose: use.Purpose, Calls: use.Calls, Resource: node,
				Path: append(slices.Clone(path(r)), r.Resource, node),
			})
		}
	}
	return resp, nil
}

// usesOfSource asks for readings of what comes from a source or its column. The path leads to a feature that was given out, or to the run.
func (s *lineageService) usesOfSource(ctx context.Context, ref lineage.NodeRef, filter *access.UsageFilter) (func(*access.Usage) []string, error) {
	none := lineage.NotFound(ref)
	if err := requireOr(ctx, access.ActionReadLineage, access.KindSource, ref.Name, none); err != nil {
		return nil, err
	}
	filter.Source, filter.Column = ref.Name, ref.Column
	graph, err := lineage.Walk(ctx, s.pool, lineage.Query{Node: ref.String(), Direction: lineage.Down, Columns: true})
	if fault.ReasonOf(err) == fault.ResourceExhausted {
		return nil, tooManyUses(ref)
	}
	if err != nil {
		return nil, err
	}
	// Each node is met first by the shortest way.
	down := map[string][]string{}
	for _, e := range graph.Edges {
		down[e.From] = append(down[e.From], e.To)
	}
	from := map[string]string{graph.Root: ""}
	for queue := []string{graph.Root}; len(queue) > 0; queue = queue[1:] {
		for _, to := range down[queue[0]] {
			if _, met := from[to]; !met {
				from[to] = queue[0]
				queue = append(queue, to)
			}
		}
	}
	for id := range from {
		if view, _, column := strings.Cut(strings.TrimPrefix(id, "view:"), "#"); column && strings.HasPrefix(id, "view:") && !slices.Contains(filter.Runs, view) {
			filter.Runs = append(filter.Runs, view)
		}
	}
	return func(r *access.Usage) []string {
		if view, run := strings.CutPrefix(r.Resource, "run:"); run {
			view, _, _ = strings.Cut(view, "/")
			return []string{ref.String(), r.Resource, "view:" + view}
		}
		for _, feature := range r.Features {
			view, name, _ := strings.Cut(feature, ".")
			id := "view:" + view + "#" + name
			if _, met := from[id]; !met {
				continue
			}
			var path []string
			for ; id != ""; id = from[id] {
				path = append(path, id)
			}
			slices.Reverse(path)
			return append(path, r.Resource)
		}
		return []string{ref.String(), r.Resource}
	}, nil
}

// tooManyUses refuses what more is made of than ways to readings are looked for.
func tooManyUses(ref lineage.NodeRef) error {
	column, less := ref.Column, ""
	if column == "" {
		column, less = "COLUMN", fmt.Sprintf("ask for one of its columns, source:%s#COLUMN (`headwater describe source %[1]s` lists them), or ", ref.Name)
	}
	return fault.New(fault.ResourceExhausted, "node: found %s, of which more than %d columns are made, or by more than %d ways, expected at most as many; %sread "+
		"headwater.query_history in SQL, WHERE '%s.%s' = ANY (source_columns)", ref, lineage.MaxNodes, lineage.MaxEdges, less, ref.Name, column)
}

// usesOfView asks for the runs of a view, and of those that it reads. The path leads to the view that the run is of.
func (s *lineageService) usesOfView(ctx context.Context, ref lineage.NodeRef, filter *access.UsageFilter) (func(*access.Usage) []string, error) {
	none := lineage.NotFound(ref)
	if err := requireOr(ctx, access.ActionReadLineage, access.KindView, ref.Name, none); err != nil {
		return nil, err
	}
	paths, err := lineage.ViewsBehind(ctx, s.pool, ref.Name, ref.Version)
	if err != nil {
		return nil, err
	}
	if len(paths) == 0 {
		return nil, none
	}
	for view := range paths {
		name, _, _ := strings.Cut(view, "@")
		if access.Allows(ctx, access.ActionReadLineage, access.KindView, name) {
			filter.Runs = append(filter.Runs, view)
		}
	}
	slices.Sort(filter.Runs)
	return func(r *access.Usage) []string {
		view, _, _ := strings.Cut(strings.TrimPrefix(r.Resource, "run:"), "/")
		return paths[view]
	}, nil
}

// usesToken is what a page token holds.
type usesToken struct {
	// Asked is a digest of what was asked for.
	Asked []byte `json:"q"`
	// Since and Time are in microseconds since 1970.
	Since  int64  `json:"s"`
	Time   int64  `json:"t"`
	Writer string `json:"w"`
	Number int64  `json:"n"`
}

func (t usesToken) String() string {
	// Its fields always have a JSON form.
	text, _ := json.Marshal(t)
	return base64.RawURLEncoding.EncodeToString(text)
}

func usesAsked(req *headwaterv1.ListUsesRequest) []byte {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d", req.GetNode(), req.GetSince().AsTime().UnixNano()))
	return sum[:12]
}

func usesAfter(req *headwaterv1.ListUsesRequest) (t *usesToken, err error) {
	if req.GetPageToken() == "" {
		return nil, nil
	}
	text, err := base64.RawURLEncoding.DecodeString(req.GetPageToken())
	if err == nil {
		err = json.Unmarshal(text, &t)
	}
	if err != nil || t == nil || string(t.Asked) != string(usesAsked(req)) {
		return nil, fault.New(fault.InvalidArgument, "page_token: found %q, expected the next_page_token of the page before, with all else as it was asked for", req.GetPageToken())
	}
	return t, nil
}

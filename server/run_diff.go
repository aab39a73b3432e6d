package server

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/headwaterhq/headwater/access"
	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/materialize"
	"github.com/headwaterhq/headwater/offline"
	"github.com/headwaterhq/headwater/quality"
)

// maxLoadsCompared is how many loads that are not the same are told of each source.
const maxLoadsCompared = 200

// DiffRuns compares two runs of a view, as far as the caller may see them.
func (s *lineageService) DiffRuns(ctx context.Context, req *headwaterv1.DiffRunsRequest) (*headwaterv1.DiffRunsResponse, error) {
	var runs [2]*materialize.Run
	for i, ref := range []string{req.GetA(), req.GetB()} {
		run, err := materialize.Find(ctx, s.pool, ref)
		if err != nil {
			return nil, missing(ctx, access.ActionReadLineage, access.KindView, err)
		}
		none := fault.New(fault.NotFound, "there is no run %s; `headwater runs list` shows those there are", ref)
		if err := requireOr(ctx, access.ActionReadLineage, access.KindView, run.View, none); err != nil {
			return nil, err
		}
		runs[i] = run
	}
	a, b := runs[0], runs[1]
	if a.View != b.View {
		return nil, fault.New(fault.InvalidArgument, "b: found %s, a run of view %s, expected one of view %s as %s is: runs of two views have nothing to be compared by",
			runText(b), b.View, a.View, runText(a))
	}
	d := &runDiff{service: s, a: a, b: b, resp: &headwaterv1.DiffRunsResponse{A: runText(a), B: runText(b)}}
	for _, compare := range []func(context.Context) error{d.definition, d.inputs, d.settings, d.rows, d.checks, d.result} {
		if err := compare(ctx); err != nil {
			return nil, err
		}
	}
	return d.resp, nil
}

// runText names a run, also one that has no sequence yet.
func runText(r *materialize.Run) string {
	if r.Seq == 0 {
		return strconv.FormatInt(r.ID, 10)
	}
	return r.Ref()
}

// runDiff is one comparison.
type runDiff struct {
	service *lineageService
	a, b    *materialize.Run
	resp    *headwaterv1.DiffRunsResponse
}

// tell notes what differs.
func (d *runDiff) tell(about, name, a, b string) {
	if a != b {
		d.resp.Changes = append(d.resp.Changes, &headwaterv1.RunChange{About: about, Name: name, A: a, B: b})
	}
}

func (d *runDiff) numbers(about, name string, a, b int64) {
	d.tell(about, name, strconv.FormatInt(a, 10), strconv.FormatInt(b, 10))
}

func (d *runDiff) leave(format string, args ...any) {
	d.resp.LeftOut = append(d.resp.LeftOut, fmt.Sprintf(format, args...))
}

// listed reports whether the caller may see definitions, checks and what they say.
func (d *runDiff) listed(ctx context.Context) bool {
	return access.Allows(ctx, access.ActionList, access.KindView, d.a.View)
}

func (d *runDiff) definition(ctx context.Context) error {
	const about = "definition"
	d.tell(about, "version", fmt.Sprintf("%s@%d", d.a.View, d.a.ViewVersion), fmt.Sprintf("%s@%d", d.b.View, d.b.ViewVersion))
	d.tell(about, "fingerprint", hexOf(d.a.Fingerprint), hexOf(d.b.Fingerprint))
	if !d.listed(ctx) {
		d.leave("the definition, the checks and the reasons of rows: you may not list view %s", d.a.View)
		return nil
	}
	catalog := d.service.registry.Catalog()
	x, err := catalog.ViewByID(d.a.ViewID)
	if err != nil {
		return err
	}
	y, err := catalog.ViewByID(d.b.ViewID)
	if err != nil {
		return err
	}
	texts := x.SQL != nil && y.SQL != nil
	if texts {
		d.tell(about, "sql.query", x.SQL.Query, y.SQL.Query)
	}
	for _, c := range feature.DiffView(x, y).Changes {
		switch {
		case texts && strings.HasPrefix(c.Name, "sql.query:"):
			// The texts are told whole.
		case c.Before == c.After:
			d.resp.Changes = append(d.resp.Changes, &headwaterv1.RunChange{About: about, Name: c.Name})
		default:
			d.tell(about, c.Name, c.Before, c.After)
		}
	}
	return nil
}

func (d *runDiff) inputs(ctx context.Context) error {
	const about = "inputs"
	d.tell(about, "interval", spansText(d.a), spansText(d.b))
	sources := pairs(d.a.Inputs, d.b.Inputs, func(in *materialize.Input) string { return in.Source })
	hidden := false
	others := false
	for _, p := range sources {
		if !access.Allows(ctx, access.ActionReadLineage, access.KindSource, p.name) {
			hidden = true
			continue
		}
		others = others || cmp.Or(p.a, p.b).Relation != ""
		if err := d.source(ctx, p); err != nil {
			return err
		}
	}
	// What is read of landing is told by its loads; a table of others by when it was looked at.
	if others && d.a.Plan != nil && d.b.Plan != nil {
		d.tell(about, "snapshot", d.a.Plan.Now.String(), d.b.Plan.Now.String())
	}
	for _, p := range pairs(d.a.ViewInputs, d.b.ViewInputs, func(in *materialize.ViewInput) string { return in.View }) {
		if !access.Allows(ctx, access.ActionReadLineage, access.KindView, p.name) {
			hidden = true
			continue
		}
		text := func(in *materialize.ViewInput) string {
			if in == nil {
				return ""
			}
			return fmt.Sprintf("as of run %s, %s", in.Ref(), rowsText(in.Rows))
		}
		d.tell(about, "view:"+p.name, text(p.a), text(p.b))
	}
	// Who may see the definition knows what it reads; to others it is told whatever that is.
	if hidden || !d.listed(ctx) {
		d.leave("what view %s reads, as far as you may not read its lineage", d.a.View)
	}
	return nil
}

// source compares what was read of a source.
func (d *runDiff) source(ctx context.Context, p pair[materialize.Input]) error {
	const about = "inputs"
	name := "source:" + p.name
	if p.a == nil || p.b == nil {
		text := func(in *materialize.Input) string {
			if in == nil {
				return ""
			}
			return fmt.Sprintf("version %d, %s", in.SourceVersion, rowsText(in.Rows))
		}
		d.tell(about, name, text(p.a), text(p.b))
	} else {
		d.numbers(about, name+" version", int64(p.a.SourceVersion), int64(p.b.SourceVersion))
		d.tell(about, name+" fingerprint", hexOf(p.a.SourceFingerprint), hexOf(p.b.SourceFingerprint))
		d.tell(about, name+" relation", p.a.Relation, p.b.Relation)
		d.numbers(about, name+" rows", p.a.Rows, p.b.Rows)
		d.numbers(about, name+" duplicates", p.a.Duplicates, p.b.Duplicates)
		if p.a.Relation == "" && p.b.Relation == "" {
			d.tell(about, name+" loads up to", fmt.Sprintf("number %d", p.a.LoadNumber), fmt.Sprintf("number %d", p.b.LoadNumber))
		}
		digest := func(in *materialize.Input) string {
			if in.RowsDigest == nil {
				return ""
			}
			return in.RowsDigest.String()
		}
		if access.AllowsRows(ctx, access.KindSource, p.name) {
			d.tell(about, name+" rows digest", digest(p.a), digest(p.b))
		}
	}
	return d.loads(ctx, p)
}

// loads tells of the loads that only one of the runs read rows of, or of which they read others.
func (d *runDiff) loads(ctx context.Context, p pair[materialize.Input]) error {
	var lists [2][]materialize.InputLoad
	for i, in := range []*materialize.Input{p.a, p.b} {
		if in != nil {
			lists[i] = in.Loads
		}
	}
	var differ []pair[materialize.InputLoad]
	for _, l := range pairs(lists[0], lists[1], func(l *materialize.InputLoad) string { return strconv.FormatInt(l.ID, 10) }) {
		if l.a == nil || l.b == nil || l.a.Rows != l.b.Rows {
			differ = append(differ, l)
		}
	}
	slices.SortFunc(differ, func(x, y pair[materialize.InputLoad]) int {
		return cmp.Compare(cmp.Or(x.a, x.b).ID, cmp.Or(y.a, y.b).ID)
	})
	if more := len(differ) - maxLoadsCompared; more > 0 {
		d.leave("%d loads of source %s beyond the first %d that are not the same", more, p.name, maxLoadsCompared)
		differ = differ[:maxLoadsCompared]
	}
	var ids []int64
	for _, l := range differ {
		ids = append(ids, cmp.Or(l.a, l.b).ID)
	}
	records, err := offline.LoadsByID(ctx, d.service.pool, ids)
	if err != nil {
		return err
	}
	became := map[int64]string{}
	for _, l := range records {
		switch {
		case l.EndedByRetraction:
			became[l.ID] = fmt.Sprintf("not read; load:%d retracted it: %s", l.EndedBy, l.EndedReason)
		case l.EndedBy != 0:
			became[l.ID] = fmt.Sprintf("not read; load:%d replaced it", l.EndedBy)
		}
	}
	rows := access.AllowsRows(ctx, access.KindSource, p.name)
	for _, l := range differ {
		text := func(in, other *materialize.InputLoad) string {
			if in == nil {
				return cmp.Or(became[other.ID], "not read")
			}
			text := rowsText(in.Rows)
			if in.FileName != "" {
				text += " of " + in.FileName
			}
			if rows && !in.SHA256.IsZero() {
				text += ", sha256 " + in.SHA256.String()
			}
			return text
		}
		d.tell("inputs", "load:"+l.name, text(l.a, l.b), text(l.b, l.a))
	}
	return nil
}

func (d *runDiff) settings(ctx context.Context) error {
	const about = "settings"
	d.tell(about, "scope", string(d.a.Scope), string(d.b.Scope))
	d.tell(about, "asked from", timeText(d.a.AskedFrom), timeText(d.b.AskedFrom))
	d.tell(about, "asked to", timeText(d.a.AskedTo), timeText(d.b.AskedTo))
	d.tell(about, "trigger", string(d.a.Trigger), string(d.b.Trigger))
	var chunks [2]int64
	err := d.service.pool.QueryRow(ctx, `SELECT count(*) FILTER (WHERE run_id = $1), count(*) FILTER (WHERE run_id = $2) FROM headwater.run_chunk
		WHERE run_id IN ($1, $2)`, d.a.ID, d.b.ID).Scan(&chunks[0], &chunks[1])
	if err != nil {
		return err
	}
	d.numbers(about, "chunks", chunks[0], chunks[1])
	x, y := cmp.Or(d.a.Engine, &materialize.Engine{}), cmp.Or(d.b.Engine, &materialize.Engine{})
	d.numbers(about, "rows of a chunk", x.ChunkRows, y.ChunkRows)
	d.tell(about, "server version", x.Headwater, y.Headwater)
	d.tell(about, "postgres version", x.Postgres, y.Postgres)
	d.tell(about, "cel version", x.CEL, y.CEL)
	d.tell(about, "time zone data", x.TimeZones, y.TimeZones)
	return nil
}

func (d *runDiff) rows(ctx context.Context) error {
	const about = "rows"
	x, y := &d.a.Ledger, &d.b.Ledger
	for _, c := range []struct {
		name string
		a, b int64
	}{
		{"read", x.Read, y.Read}, {"accepted", x.Accepted, y.Accepted}, {"quarantined", x.Quarantined, y.Quarantined},
		{"duplicate", x.Duplicate, y.Duplicate}, {"dropped", x.Dropped, y.Dropped}, {"too late", x.TooLate, y.TooLate},
		{"used", x.Used, y.Used}, {"filtered", x.Filtered, y.Filtered}, {"unaccounted", x.Unaccounted, y.Unaccounted},
		{"computed", x.Computed, y.Computed}, {"output quarantined", x.OutputQuarantined, y.OutputQuarantined},
		{"output dropped", x.OutputDropped, y.OutputDropped},
	} {
		d.numbers(about, c.name, c.a, c.b)
	}
	if !d.listed(ctx) {
		return nil
	}
	for _, p := range pairs(d.a.Reasons, d.b.Reasons, func(r *materialize.LedgerReason) string { return r.Bucket + ", " + r.Reason }) {
		count := func(r *materialize.LedgerReason) int64 {
			if r == nil {
				return 0
			}
			return r.Rows
		}
		d.numbers(about, p.name, count(p.a), count(p.b))
	}
	return nil
}

func (d *runDiff) checks(ctx context.Context) error {
	if !d.listed(ctx) {
		return nil
	}
	for _, p := range pairs(d.a.Checks, d.b.Checks, func(c *quality.Result) string { return c.Subject + " " + c.Name }) {
		text := func(c *quality.Result) string {
			if c == nil {
				return ""
			}
			return fmt.Sprintf("%s, found %s, expected %s", strings.ToLower(string(c.State)), c.Found, c.Expected)
		}
		d.tell("checks", p.name, text(p.a), text(p.b))
	}
	for _, p := range pairs(d.a.Gates, d.b.Gates, func(g *materialize.Gate) string { return "gate " + g.Name }) {
		text := func(g *materialize.Gate) string {
			switch {
			case g == nil:
				return ""
			case g.Passed:
				return "passed: " + g.Detail
			}
			return "failed: " + g.Detail
		}
		d.tell("checks", p.name, text(p.a), text(p.b))
	}
	return nil
}

func (d *runDiff) result(ctx context.Context) error {
	const about = "result"
	d.tell(about, "state", string(d.a.State), string(d.b.State))
	if d.listed(ctx) {
		var errs [2]string
		for i, r := range []*materialize.Run{d.a, d.b} {
			var err error
			if errs[i], err = textFor(ctx, d.service.registry.Catalog(), r.View, r.ViewVersion, r.KeptError); err != nil {
				return err
			}
		}
		d.tell(about, "error", errs[0], errs[1])
		d.tell(about, "warnings", strings.Join(d.a.Warnings, "\n"), strings.Join(d.b.Warnings, "\n"))
	}
	if access.AllowsRows(ctx, access.KindView, d.a.View) {
		// The digest of no rows is zero too.
		digest := func(r *materialize.Run) string {
			if r.State != materialize.Published {
				return ""
			}
			return r.Digest.String()
		}
		d.tell(about, "digest", digest(d.a), digest(d.b))
	} else {
		d.leave("digests of rows: you may not read_offline view %s as a whole", d.a.View)
	}
	x, y := &d.a.Ledger, &d.b.Ledger
	d.numbers(about, "rows produced", x.Produced, y.Produced)
	d.numbers(about, "rows unchanged", x.Unchanged, y.Unchanged)
	d.numbers(about, "rows written", x.Inserted, y.Inserted)
	d.numbers(about, "rows closed", x.Withdrawn, y.Withdrawn)
	d.numbers(about, "rows live after", x.LiveAfter, y.LiveAfter)
	var corrects [2]string
	for i, r := range []*materialize.Run{d.a, d.b} {
		err := d.service.pool.QueryRow(ctx, `
			SELECT coalesce(string_agg('run ' || r.seq || ': ' || c.rows, ', ' ORDER BY r.seq), '') FROM headwater.run_correction c
			JOIN headwater.run r ON r.id = c.corrected_id WHERE c.run_id = $1`, r.ID).Scan(&corrects[i])
		if err != nil {
			return err
		}
	}
	d.tell(about, "rows of earlier runs closed", corrects[0], corrects[1])
	var erased [2]int64
	for i, r := range []*materialize.Run{d.a, d.b} {
		for _, e := range r.Erasures {
			erased[i] += e.Rows
		}
	}
	d.numbers(about, "rows erased since", erased[0], erased[1])
	return nil
}

func timeText(t *time.Time) string {
	if t == nil {
		return ""
	}
	return feature.TimeOf(*t).String()
}

// spansText is the event times that a run computed.
func spansText(r *materialize.Run) string {
	var list []string
	for _, s := range r.Spans {
		list = append(list, fmt.Sprintf("[%s, %s)", s.Start, s.End))
	}
	return strings.Join(list, ", ")
}

// pair is what two lists have under one name; nil where one has it not.
type pair[T any] struct {
	name string
	a, b *T
}

// pairs puts two lists together, in the order of the first, and then of the second. Of what a list has several of under one name, the first counts.
func pairs[T any](a, b []T, nameOf func(*T) string) []pair[T] {
	var list []pair[T]
	at := map[string]int{}
	for i := range a {
		name := nameOf(&a[i])
		if _, there := at[name]; !there {
			at[name] = len(list)
			list = append(list, pair[T]{name: name, a: &a[i]})
		}
	}
	for i := range b {
		name := nameOf(&b[i])
		k, there := at[name]
		if !there {
			k = len(list)
			at[name] = k
			list = append(list, pair[T]{name: name})
		}
		if list[k].b == nil {
			list[k].b = &b[i]
		}
	}
	return list
}

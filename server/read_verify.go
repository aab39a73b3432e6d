package server

import (
	"context"
	"crypto/rand"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/access"
	"github.com/headwaterhq/headwater/expr"
	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/wire"
	"github.com/headwaterhq/headwater/offline"
	"github.com/headwaterhq/headwater/online"
	"github.com/headwaterhq/headwater/read"
	"github.com/headwaterhq/headwater/readlog"
)

// maxReadDifferences is how many values are told of that do not match.
const maxReadDifferences = 1000

// VerifyRead computes a read again from the history.
func (s *readLogService) VerifyRead(ctx context.Context, req *headwaterv1.VerifyReadRequest) (*headwaterv1.VerifyReadResponse, error) {
	r, err := s.find(ctx, access.ActionReadOffline, req.GetReadId())
	if err != nil {
		return nil, err
	}
	service, err := s.serviceAsRead(r)
	if err != nil {
		return nil, err
	}
	// The views too, for what is told are values of theirs.
	if err := access.RequireService(ctx, access.ActionReadOffline, service); err != nil {
		return nil, err
	}
	session := access.SessionFrom(ctx)
	if rules, _ := rulesOf(r.GetPolicy()); !session.MayHave(service, rules) {
		return nil, session.Deny(access.ActionReadOffline, access.KindService, service.Ref(), "policies hide some of it from you that the read was answered with", "ask who may see all of it")
	}
	v, err := s.newReadCheck(session.Policy(), service, r)
	if err != nil {
		return nil, err
	}
	if err := session.Read(&access.Read{Plan: v.plan, Rows: int64(v.n), ReadID: r.GetReadId()}); err != nil {
		return nil, err
	}
	if err := v.takeKeys(req.GetKeys(), s.reads); err != nil {
		return nil, err
	}
	if err := v.takeInputs(); err != nil {
		return nil, err
	}
	conn, err := pgx.ConnectConfig(ctx, s.pool.Config().ConnConfig.Copy())
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for view := range v.plan.Views {
		if err := v.recompute(ctx, conn, view); err != nil {
			return nil, err
		}
	}
	return v.compare(s.reads)
}

// readCheck is one read on its way to be computed again.
type readCheck struct {
	read *headwaterv1.LoggedRead
	plan *read.Plan
	n    int
	at   feature.Time
	// rows are those that are looked at, ascending.
	rows []int
	// unlogged: nobody kept what was served, so it is what the position has.
	unlogged bool
	// keys are by view and row.
	keys   [][]online.Key
	inputs [][]feature.Value
	// views are what was found, by view, and found the rows that are made of it.
	views []recomputed
	found map[int]*read.Row
	// unknown says why rows or, by view, all of them cannot be computed; inputsUnknown says it of on-demand features.
	erased        map[int]bool
	hashed        []bool
	inputsUnknown string
}

// recomputed is the winners of one view.
type recomputed struct {
	// winners are those that explain what was served, else those at the read's position; by row.
	winners []read.Winner
	// lag says of a row which other publication or moment it is explained by; empty: by that of the read.
	lag []string
	// unknown is why they are not known.
	unknown string
}

// planAsRead is the plan by which a read was answered, under the rules that its reader was held to.
func (s *readLogService) planAsRead(policy *access.Policy, service *feature.ServiceVersion, r *headwaterv1.LoggedRead, joins []read.Join) (*read.Plan, error) {
	rules, attributes := rulesOf(r.GetPolicy())
	reader := &expr.Principal{Name: r.GetPrincipal(), Roles: r.GetPolicy().GetRoles(), Attributes: attributes}
	built, err := policy.AsBuilt(rules, reader, r.GetPurpose(), service, s.registry.Catalog().PastPolicy)
	if err != nil {
		return nil, fault.New(fault.FailedPrecondition, "read %s cannot be computed again: %v", r.GetReadId(), err)
	}
	return read.NewRestrictedPlan(built, service, r.GetKeyMapping(), r.GetPurpose(), joins...)
}

func (s *readLogService) newReadCheck(policy *access.Policy, service *feature.ServiceVersion, r *headwaterv1.LoggedRead) (*readCheck, error) {
	joins := make([]read.Join, len(r.GetJoins()))
	for i, j := range r.GetJoins() {
		joins[i] = read.Join{Prefix: j.GetPrefix(), KeyMapping: j.GetKeyMapping(), Views: j.GetViews()}
	}
	plan, err := s.planAsRead(policy, service, r, joins)
	if f := fault.As(err); f != nil {
		return nil, err
	}
	if err != nil {
		return nil, fault.New(fault.FailedPrecondition, "read %s cannot be computed again by this version of Headwater: %v", r.GetReadId(), err)
	}
	v := &readCheck{
		read: r, plan: plan, n: int(r.GetEntities()), at: feature.TimeOf(r.GetServedAt().AsTime()), erased: map[int]bool{},
		views: make([]recomputed, len(plan.Views)), keys: make([][]online.Key, len(plan.Views)), hashed: make([]bool, len(plan.Views)),
	}
	for row := range v.n {
		v.rows = append(v.rows, row)
	}
	if len(plan.Views) != len(r.GetProvenance()) || len(plan.Columns) != len(r.GetFeatures()) {
		return nil, fault.New(fault.FailedPrecondition, "read %s cannot be computed again: found a plan of %d views and %d features, expected %d and %d, "+
			"as when it was answered", r.GetReadId(), len(plan.Views), len(plan.Columns), len(r.GetProvenance()), len(r.GetFeatures()))
	}
	for _, i := range r.GetErased() {
		v.erased[int(i)] = true
	}
	for _, f := range r.GetFeatures() {
		readlog.Expand(f.GetValues(), v.n)
	}
	return v, nil
}

// takeKeys takes the keys of the read, or those that the caller gives where they are hashed, once they are known to be the same.
func (v *readCheck) takeKeys(columns map[string]*headwaterv1.KeyColumn, reads *readlog.Log) error {
	for i := range v.plan.Views {
		view := &v.plan.Views[i]
		at := slices.IndexFunc(v.read.GetKeys(), func(k *headwaterv1.LoggedKeys) bool {
			return k.GetEntity() == view.Version.Entity && slices.Equal(k.GetColumns(), view.KeyColumns)
		})
		if at < 0 {
			return fault.New(fault.FailedPrecondition, "read %s cannot be computed again: found no keys of entity %s in it", v.read.GetReadId(), view.Version.Entity)
		}
		k := v.read.GetKeys()[at]
		v.keys[i] = make([]online.Key, v.n)
		if v.hashed[i] = len(k.GetHashes()) > 0; v.hashed[i] {
			if len(columns) == 0 {
				v.views[i].unknown = "its key is kept as a hash; give it, to have the value computed again"
				continue
			}
			if err := v.givenKeys(i, k, columns, reads); err != nil {
				return err
			}
			continue
		}
		for row, key := range k.GetKeys() {
			v.keys[i][row] = online.Key{Text: key, OK: !slices.Contains(k.GetWithout(), int32(row)) && !v.erased[row]}
		}
	}
	return nil
}

// givenKeys takes the keys of one view from the caller, one for each row that is looked at.
func (v *readCheck) givenKeys(i int, k *headwaterv1.LoggedKeys, columns map[string]*headwaterv1.KeyColumn, reads *readlog.Log) error {
	only := &read.Plan{Service: v.plan.Service, Views: v.plan.Views[i : i+1]}
	given := map[string]*headwaterv1.KeyColumn{}
	for _, name := range only.Views[0].KeyColumns {
		if c := columns[name]; c != nil {
			if err := checkLists(name, c, badKey); err != nil {
				return err
			}
			given[name] = c
		}
	}
	keys, err := encodeKeys(only, given, len(v.rows))
	if err != nil {
		return err
	}
	for n, key := range keys[0] {
		row := v.rows[n]
		if v.erased[row] {
			continue
		}
		if !key.OK && slices.Contains(k.GetWithout(), int32(row)) {
			continue
		}
		if !key.OK || !slices.Equal(reads.Hash(v.read.GetHashVersion(), k.GetEntity(), key.Text), k.GetHashes()[row]) {
			return fault.New(fault.InvalidArgument, "keys: row %d: found another %s than the read was of", row+1, k.GetEntity()).
				Violating(fault.Violation{Field: "keys", Description: "expected the keys that were read"})
		}
		v.keys[i][row] = key
	}
	return nil
}

func (v *readCheck) takeInputs() error {
	if len(v.plan.Inputs) == 0 {
		return nil
	}
	columns := map[string]*headwaterv1.KeyColumn{}
	for name, c := range v.read.GetInputs() {
		if err := checkLists(name, c, badInput); err != nil {
			return err
		}
		if lengthOf(c) == 0 {
			v.inputsUnknown = fmt.Sprintf("input %s is not kept, for it is sensitive", name)
			return nil
		}
		columns[name] = c
	}
	inputs, _, err := takeInputs(v.plan, columns, v.n)
	v.inputs = inputs
	return err
}

// A value may have been served that the read's position does not have. A server knows of a position a moment after it was
// published, headLag at most, so what was published between is as good. What is older lags: a run is loaded after it is
// published, and a row that comes due a moment after it did, dueLag at most. lagPublications is how many publications are looked at.
const (
	lagPublications = 8
	dueLag          = 10 * time.Second
	headLag         = 5 * time.Second
)

// candidate is a state of a view that may have been online when a read was answered.
type candidate struct {
	seq int64
	at  feature.Time
	lag string
}

// candidates are those states, the one that the read's position has first.
func (v *readCheck) candidates(ctx context.Context, conn *pgx.Conn, view *feature.ViewVersion) ([]candidate, error) {
	served := v.read.GetServedAt().AsTime()
	rows, err := conn.Query(ctx, `
		(SELECT seq, position FROM headwater.publish_log WHERE view_id = $1 AND position > $2 AND published_at <= $3 ORDER BY position LIMIT $4)
		UNION ALL
		(SELECT seq, position FROM headwater.publish_log WHERE view_id = $1 AND position <= $2 ORDER BY position DESC LIMIT $4 + 1)
		ORDER BY seq`, view.ID, v.read.GetPosition(), served.Add(headLag), lagPublications)
	if err != nil {
		return nil, err
	}
	var now candidate
	var before, after []candidate
	var seq, position int64
	_, err = pgx.ForEachRow(rows, []any{&seq, &position}, func() error {
		c := candidate{seq: seq, at: v.at, lag: fmt.Sprintf("it is what run %s/%d published, before that of the read's position was loaded", view.Ref(), seq)}
		if position <= v.read.GetPosition() {
			if now.seq > 0 {
				before = append(before, now)
			}
			now = c
		} else {
			c.lag = ""
			after = append(after, c)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	now.at, now.lag = v.at, ""
	slices.Reverse(before)
	list := append([]candidate{now}, after...)
	list = append(list, candidate{now.seq, v.at.Add(-dueLag), fmt.Sprintf("it is what was so within %s before", dueLag)})
	list = append(list, before...)
	if now.seq > 0 && len(before) < lagPublications {
		list = append(list, candidate{0, v.at, "it is what was so before the first run of " + view.Ref() + " was loaded"})
	}
	return list, nil
}

// recompute finds the winners of one view.
func (v *readCheck) recompute(ctx context.Context, conn *pgx.Conn, i int) error {
	view, found := &v.plan.Views[i], &v.views[i]
	found.winners, found.lag = make([]read.Winner, v.n), make([]string, v.n)
	if found.unknown != "" {
		return nil
	}
	candidates, err := v.candidates(ctx, conn, view.Version)
	if err != nil {
		return err
	}
	if v.unlogged {
		candidates = candidates[:1]
	}
	horizon, err := offline.Horizon(ctx, conn, view.Version.ID)
	if err != nil {
		return err
	}
	if candidates[0].seq < horizon {
		found.unknown = fmt.Sprintf("the history of %s before its run %d was collected", view.Version.Ref(), horizon)
		return nil
	}
	left := make([]int, 0, len(v.rows))
	for _, row := range v.rows {
		if !v.erased[row] {
			left = append(left, row)
		}
	}
	for c, candidate := range candidates {
		if len(left) == 0 {
			break
		}
		if c > 0 && candidate.seq > 0 && candidate.seq < horizon {
			continue
		}
		winners, err := v.winnersAt(ctx, conn, i, candidate, left)
		if err != nil {
			return err
		}
		var still []int
		for k, row := range left {
			if c == 0 || v.explains(i, row, &winners[k]) {
				found.winners[row], found.lag[row] = winners[k], candidate.lag
			}
			if !v.unlogged && !v.explains(i, row, &winners[k]) {
				still = append(still, row)
			}
		}
		left = still
	}
	return nil
}

// explains reports whether a winner is of the row that was served, or none for the same reason where none was.
func (v *readCheck) explains(view, row int, w *read.Winner) bool {
	p := v.read.GetProvenance()[view]
	if row >= len(p.GetRunSeqs()) {
		return false
	}
	if status := v.missing(view, row); status != 0 && w.RunSeq == 0 && w.Status != status {
		return false
	}
	return p.GetRunSeqs()[row] == w.RunSeq && p.GetEventTimes()[row] == int64(w.EventTime) && p.GetAvailableAts()[row] == int64(w.AvailableAt)
}

// missing is why there was no row, 0 where there was one, or no column tells.
func (v *readCheck) missing(view, row int) read.Status {
	for c := range v.plan.Columns {
		if v.plan.Columns[c].View != view {
			continue
		}
		switch s := read.Status(v.read.GetFeatures()[c].GetValues().GetStatus()[row]); s {
		case read.NoKey, read.NoRow, read.Expired, read.NotYetKnown:
			return s
		}
	}
	return 0
}

// winnersAt finds the winners of rows.
func (v *readCheck) winnersAt(ctx context.Context, conn *pgx.Conn, i int, c candidate, rows []int) ([]read.Winner, error) {
	view := &v.plan.Views[i]
	winners := make([]read.Winner, len(rows))
	var asked []int
	for k, row := range rows {
		winners[k].Status = read.NoKey
		if v.keys[i][row].OK {
			winners[k].Status = read.NoRow
			asked = append(asked, k)
		}
	}
	if len(asked) == 0 || c.seq == 0 {
		return winners, nil
	}
	spine := iter.Seq2[offline.SpineRow, error](func(yield func(offline.SpineRow, error) bool) {
		for n, k := range asked {
			if !yield(offline.SpineRow{Number: int64(n), Key: []byte(v.keys[i][rows[k]].Text), At: c.at}, nil) {
				return
			}
		}
	})
	as := []offline.AsOf{{View: view.Version, Seq: c.seq, TTL: view.TTL}}
	err := offline.PointInTime(ctx, conn, "read_"+strings.ToLower(rand.Text()[:16]), as, spine, func(number int64, found []read.Winner) error {
		w := found[0]
		view.Admit(&w)
		winners[asked[number]] = w
		return nil
	})
	return winners, err
}

// compare holds what was served to what was found.
func (v *readCheck) compare(reads *readlog.Log) (*headwaterv1.VerifyReadResponse, error) {
	resp := &headwaterv1.VerifyReadResponse{ReadId: v.read.GetReadId()}
	err := v.hold(reads, func(c, row int, d *headwaterv1.ReadDifference) { v.tell(resp, &v.plan.Columns[c], row, d) })
	return resp, err
}

// compose makes rows of what was found.
func (v *readCheck) compose() {
	v.found = map[int]*read.Row{}
	for _, row := range v.rows {
		found := v.plan.NewRow()
		v.found[row] = found
		for i := range v.plan.Views {
			*found.Winner(i) = v.views[i].winners[row]
		}
		if v.plan.Computes() && v.unknown(&read.Column{View: read.Computed}, row) == "" {
			var given []feature.Value
			if v.inputs != nil {
				given = v.inputs[row]
			}
			found.Compute(given, v.at)
		}
	}
}

// hold holds what was served to what was found, and tells of each value, by column, then row, what became of it.
func (v *readCheck) hold(reads *readlog.Log, tell func(c, row int, d *headwaterv1.ReadDifference)) error {
	v.compose()
	for c := range v.plan.Columns {
		column, logged := &v.plan.Columns[c], v.read.GetFeatures()[c]
		if len(logged.GetDigest()) > 0 {
			d, err := v.holdDigest(reads, c)
			if err != nil {
				return err
			}
			for _, row := range v.rows {
				tell(c, row, &headwaterv1.ReadDifference{Verdict: d.Verdict, Why: d.Why})
			}
			continue
		}
		for _, row := range v.rows {
			if why := v.unknown(column, row); why != "" {
				tell(c, row, &headwaterv1.ReadDifference{Verdict: headwaterv1.ReadVerdict_READ_VERDICT_NOT_CHECKED, Why: why})
				continue
			}
			served, err := wire.FromVector(logged.GetValues(), row)
			if err != nil {
				return fmt.Errorf("feature %s of read %s: %w", logged.GetName(), v.read.GetReadId(), err)
			}
			status := read.Status(logged.GetValues().GetStatus()[row])
			found, foundStatus := v.found[row].Value(column)
			tell(c, row, v.judge(column, row, served, status, found, foundStatus))
		}
	}
	return nil
}

// judge holds one value.
func (v *readCheck) judge(column *read.Column, row int, served feature.Value, status read.Status, found feature.Value, foundStatus read.Status) *headwaterv1.ReadDifference {
	// Whether a window was computed in time is not kept, and what was unavailable is known by now.
	same := foundStatus == status || status == read.Stale && (foundStatus == read.Present || foundStatus == read.Null)
	same = same && slices.Equal(served.AppendCanonical(nil), found.AppendCanonical(nil))
	lag := v.lagOf(column, row)
	d := &headwaterv1.ReadDifference{
		Verdict: headwaterv1.ReadVerdict_READ_VERDICT_MATCH, Served: valueText(served, status), Recomputed: valueText(found, foundStatus),
	}
	if column.View != read.Computed {
		d.ServedRun, d.RecomputedRun = v.read.GetProvenance()[column.View].GetRunSeqs()[row], v.views[column.View].winners[row].RunSeq
	}
	switch {
	case status == read.Unavailable:
		d.Verdict, d.Why = headwaterv1.ReadVerdict_READ_VERDICT_NOT_CHECKED, "a part of the online store did not answer"
	case same && lag == "":
	case same:
		d.Verdict, d.Why = headwaterv1.ReadVerdict_READ_VERDICT_LAG, lag
	default:
		d.Verdict = headwaterv1.ReadVerdict_READ_VERDICT_MISMATCH
		d.Why = "the history has another value at the position and time of the read, and at none near to them this one"
	}
	return d
}

func valueText(v feature.Value, s read.Status) string {
	if v.IsNull() {
		return s.String()
	}
	return v.Text() + " " + s.String()
}

// holdDigest holds a column whose values are not kept.
func (v *readCheck) holdDigest(reads *readlog.Log, c int) (*headwaterv1.ReadDifference, error) {
	column, logged := &v.plan.Columns[c], v.read.GetFeatures()[c]
	d := &headwaterv1.ReadDifference{Verdict: headwaterv1.ReadVerdict_READ_VERDICT_MATCH}
	if len(v.rows) < v.n {
		d.Verdict = headwaterv1.ReadVerdict_READ_VERDICT_NOT_CHECKED
		d.Why = fmt.Sprintf("of its values of %d entities together a digest is kept; `headwater reads verify` holds them all to it", v.n)
		return d, nil
	}
	vector := wire.NewVector(column.Type, v.n)
	for _, row := range v.rows {
		why, lag := v.unknown(column, row), v.lagOf(column, row)
		switch {
		case why != "":
			d.Verdict, d.Why = headwaterv1.ReadVerdict_READ_VERDICT_NOT_CHECKED, "of its values a digest is kept, and one is not known: "+why
		case lag != "" && d.Verdict == headwaterv1.ReadVerdict_READ_VERDICT_MATCH:
			d.Verdict, d.Why = headwaterv1.ReadVerdict_READ_VERDICT_LAG, lag
		}
		value, status := v.found[row].Value(column)
		// The status as it was, where the value is the same by either: see judge.
		if served := read.Status(logged.GetValues().GetStatus()[row]); served == read.Stale && (status == read.Present || status == read.Null) {
			status = served
		}
		vector.Status[row] = headwaterv1.ValueStatus(status)
		wire.SetVector(vector, row, value)
	}
	if d.Verdict == headwaterv1.ReadVerdict_READ_VERDICT_NOT_CHECKED {
		return d, nil
	}
	digest, err := reads.Digest(v.read.GetHashVersion(), vector, v.n)
	if err == nil && !slices.Equal(digest, logged.GetDigest()) {
		d.Verdict, d.Why = headwaterv1.ReadVerdict_READ_VERDICT_MISMATCH, "of its values a digest is kept, and at least one of them differs"
	}
	return d, err
}

// unknown is why a value cannot be computed again, empty where it can.
func (v *readCheck) unknown(c *read.Column, row int) string {
	if v.erased[row] {
		return "the entity was erased"
	}
	if c.View != read.Computed {
		return v.views[c.View].unknown
	}
	for i := range v.views {
		if why := v.views[i].unknown; why != "" {
			return why
		}
	}
	return v.inputsUnknown
}

// lagOf is by what else than the read's position a value is explained. Of an on-demand feature: those that it may be computed of.
func (v *readCheck) lagOf(c *read.Column, row int) string {
	if c.View != read.Computed {
		return v.views[c.View].lag[row]
	}
	for i := range v.views {
		if slices.ContainsFunc(c.Version.ViewVersions, func(w *feature.ViewVersion) bool { return w.ID == v.plan.Views[i].Version.ID }) && v.views[i].lag[row] != "" {
			return v.views[i].lag[row]
		}
	}
	return ""
}

// tell counts a value, and has the answer show one that does not match.
func (v *readCheck) tell(resp *headwaterv1.VerifyReadResponse, c *read.Column, row int, d *headwaterv1.ReadDifference) {
	switch d.Verdict {
	case headwaterv1.ReadVerdict_READ_VERDICT_MATCH:
		resp.Matching++
		return
	case headwaterv1.ReadVerdict_READ_VERDICT_LAG:
		resp.Lagging++
	case headwaterv1.ReadVerdict_READ_VERDICT_MISMATCH:
		resp.Different++
	default:
		resp.NotChecked++
	}
	if len(resp.Differences) < maxReadDifferences {
		d.Feature, d.Row = c.Name, int32(row)
		resp.Differences = append(resp.Differences, d)
	}
}

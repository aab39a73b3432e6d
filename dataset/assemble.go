package dataset

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"iter"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sync/errgroup"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/tabular"
	"github.com/headwaterhq/headwater/offline"
	"github.com/headwaterhq/headwater/quality/profile"
	"github.com/headwaterhq/headwater/read"
)

// ArrowWriter names what makes the bytes of a result: the same name, the same bytes.
var ArrowWriter = fmt.Sprintf("arrow-go %s, IPC stream, batches of %d rows or %d bytes", arrow.PkgVersion,
	tabular.StreamBatchRows, tabular.StreamBatchBytes)

// result is what assembling a dataset found.
type result struct {
	// rows of the result, spineRows of the spine; leftOut says what became of the others.
	rows, spineRows int64
	// found are the rows of views that were found for rows of the result, without the hidden ones, which filters hide.
	found, hidden int64
	leftOut       []LeftOut
	columns       []ManifestColumn
	profile       *profile.Profile
	// runs are the sequences of the winners of each view version, ascending.
	runs        map[string][]int64
	content     feature.Digest
	arrowSHA256 feature.Digest
}

// assembly is the inputs of a result: all of them, so that equal assemblies give equal results.
type assembly struct {
	plan *read.Plan
	// views are those of the plan, in its order, at the dataset's position.
	views []offline.AsOf
	spine *spool
	// timestamp names the spine's column that says for when.
	timestamp string
	// layout and rules are what prepare made.
	layout *layout
	rules  []*leaveOut
	joiner *offline.Joiner
	// tap is told of each row of the result; nil: nothing is.
	tap rowTap
	// beside are columns that only the tap is told of, and anyArrival how the views that are only read for these are read.
	beside     []slotOf
	anyArrival bool
}

// prepare makes ready for a spine of these columns.
func (a *assembly) prepare(spine []feature.Column, withStatuses bool, leaveOut []LeaveOut) (err error) {
	if a.layout, err = newLayout(spine, a.plan, withStatuses); err != nil {
		return err
	}
	a.rules, err = compileLeaveOut(leaveOut, a.layout)
	return err
}

// stage is the views of one entity that take their keys from the same columns: one spine of keys serves them all.
type stage struct {
	entity *feature.EntityVersion
	// keys are the positions of the key columns in the spine, views those of the views in the plan.
	keys, views []int
	// rows is closed after the last; err, set before, is why there are no more, nil when all were sent.
	rows chan []stageRow
	err  error
	// head is what was received of rows and not yet used.
	head []stageRow
}

type stageRow struct {
	number  int64
	winners []read.Winner
}

// stageBatch is how many rows pass from a stage to the assembly at once.
const stageBatch = 512

// assemble joins the spine to the plan's views and writes the result to out as an Arrow IPC stream.
func (a *assembly) assemble(ctx context.Context, out io.Writer) (*result, error) {
	stages := a.stages()
	group, ctx := errgroup.WithContext(ctx)
	for _, st := range stages {
		group.Go(func() error {
			defer close(st.rows)
			st.err = protect(func() error { return a.runStage(ctx, st) })
			return st.err
		})
	}
	var res *result
	group.Go(func() error {
		return protect(func() (err error) {
			res, err = a.zip(ctx, stages, out)
			return err
		})
	})
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return res, nil
}

// protect turns a panic into an error: in a goroutine of its own it would end the process.
func protect(do func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return do()
}

func (a *assembly) stages() []*stage {
	var stages []*stage
	byKeys := map[string]*stage{}
	for i := range a.plan.Views {
		v := &a.plan.Views[i]
		id := v.Version.Entity + "\x00" + strings.Join(v.KeyColumns, "\x00")
		st := byKeys[id]
		if st == nil {
			st = &stage{entity: v.Version.EntityVersion, rows: make(chan []stageRow, 4)}
			for _, name := range v.KeyColumns {
				st.keys = append(st.keys, slices.IndexFunc(a.spine.columns, func(c feature.Column) bool { return c.Name == name }))
			}
			byKeys[id] = st
			stages = append(stages, st)
		}
		st.views = append(st.views, i)
	}
	return stages
}

func (a *assembly) runStage(ctx context.Context, st *stage) error {
	join := offline.Join{Name: "spine_" + strings.ToLower(rand.Text()), Rows: a.spine.rows}
	for _, v := range st.views {
		view := a.views[v]
		view.Wanted = a.slots(v)
		// Filters and taps may look at times; rows of the result have none.
		view.NoTimes = a.tap == nil && a.plan.Views[v].Filter == nil
		join.Views = append(join.Views, view)
	}
	var batch []stageRow
	send := func() error {
		select {
		case st.rows <- batch:
			batch = nil
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	err := a.joiner.PointInTime(ctx, join, a.spineOf(st), func(number int64, winners []read.Winner) error {
		if batch == nil {
			batch = make([]stageRow, 0, stageBatch)
		}
		batch = append(batch, stageRow{number: number, winners: winners})
		if len(batch) == stageBatch {
			return send()
		}
		return nil
	})
	if err == nil && len(batch) > 0 {
		err = send()
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) && (pg.Code == undefinedTable || pg.Code == undefinedColumn) {
		return fault.New(fault.FailedPrecondition, "the history of %s cannot be read: a table or a column of it is not there; "+
			"bring it back, for runs do not make it again", strings.Join(st.refs(a.plan), " or ")).Because(err)
	}
	return err
}

// SQLSTATEs of a history table that somebody changed by hand.
const (
	undefinedTable  = "42P01"
	undefinedColumn = "42703"
)

func (st *stage) refs(plan *read.Plan) []string {
	refs := make([]string, len(st.views))
	for i, v := range st.views {
		refs[i] = plan.Views[v].Version.Ref()
	}
	return refs
}

// spineOf is the spine of one stage. A row whose key has a NULL is not in it.
func (a *assembly) spineOf(st *stage) iter.Seq2[offline.SpineRow, error] {
	at := slices.IndexFunc(a.spine.columns, func(c feature.Column) bool { return c.Name == a.timestamp })
	return func(yield func(offline.SpineRow, error) bool) {
		row := offline.SpineRow{Number: -1}
		values := make([]feature.Value, len(st.keys))
		for spineRow, err := range a.spine.rowsOf() {
			if err != nil {
				yield(row, err)
				return
			}
			row.Number++
			for i, k := range st.keys {
				values[i] = spineRow[k]
			}
			var ok bool
			if row.Key, ok, err = st.entity.AppendKey(row.Key[:0], values); err != nil {
				yield(row, err)
				return
			}
			if !ok {
				continue
			}
			row.At = spineRow[at].Timestamp()
			if !yield(row, nil) {
				return
			}
		}
	}
}

// next is the stage's winners for a spine row, or nil when its key has a NULL. Rows come by ascending number.
func (st *stage) next(ctx context.Context, number int64) ([]read.Winner, error) {
	if len(st.head) == 0 {
		select {
		case rows, ok := <-st.rows:
			if !ok {
				// What a stage that came to its end has not sent has no key.
				return nil, st.err
			}
			st.head = rows
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if st.head[0].number != number {
		return nil, nil
	}
	winners := st.head[0].winners
	st.head = st.head[1:]
	return winners, nil
}

// inputs are the positions of the plan's inputs in the spine, and that of the time.
func (a *assembly) inputs() (inputs []int, at int) {
	position := func(name string) int {
		return slices.IndexFunc(a.spine.columns, func(c feature.Column) bool { return c.Name == name })
	}
	for i := range a.plan.Inputs {
		inputs = append(inputs, position(a.plan.Inputs[i].Name))
	}
	return inputs, position(a.timestamp)
}

// zip writes one row per spine row that no rule leaves out: the spine's columns, then the plan's.
func (a *assembly) zip(ctx context.Context, stages []*stage, out io.Writer) (*result, error) {
	res := &result{}
	recorder, err := newRecorder(ctx, a.layout, a.timestamp, out)
	if err != nil {
		return nil, err
	}
	if err := recorder.end(res, protect(func() error { return a.record(ctx, stages, res, recorder) })); err != nil {
		return nil, err
	}
	// A stage that has more to say than the spine has rows, or that failed after its last one, must not go unseen.
	for _, st := range stages {
		if len(st.head) > 0 {
			return nil, fmt.Errorf("stage of %s: row %d is left over", st.entity.Name, st.head[0].number)
		}
		if rows, ok := <-st.rows; ok {
			return nil, fmt.Errorf("stage of %s: row %d is left over", st.entity.Name, rows[0].number)
		}
		if st.err != nil {
			return nil, st.err
		}
	}
	for _, rule := range a.rules {
		res.leftOut = append(res.leftOut, LeftOut{LeaveOut: rule.rule, Rows: rule.rows})
	}
	return res, nil
}

// record puts the rows together.
func (a *assembly) record(ctx context.Context, stages []*stage, res *result, recorder *recorder) error {
	answers := a.plan.NewRow()
	given, at := a.inputs()
	inputs := make([]feature.Value, len(given))
	if a.tap != nil {
		if err := a.tap.begin(a.layout, a.beside); err != nil {
			return err
		}
	}
	for spineRow, err := range a.spine.rowsOf() {
		if err != nil {
			return err
		}
		var found, hidden int64
		for _, st := range stages {
			winners, err := st.next(ctx, res.spineRows)
			if err != nil {
				return err
			}
			for i, v := range st.views {
				w := answers.Winner(v)
				if winners == nil {
					*w = read.Winner{Status: read.NoKey}
					continue
				}
				*w = winners[i]
				switch {
				case a.plan.Views[v].Admit(w):
					hidden++
				case w.Status == read.Present:
					found++
				}
			}
		}
		for i, column := range given {
			inputs[i] = spineRow[column]
		}
		answers.Compute(inputs, spineRow[at].Timestamp())
		row, statuses, err := recorder.next()
		if err != nil {
			return err
		}
		a.layout.fill(row, spineRow, answers, statuses)
		left, err := leavesOut(a.rules, row, res.spineRows)
		if err != nil {
			return err
		}
		res.spineRows++
		if left {
			if a.tap != nil {
				if err := a.tap.leftOut(row, answers); err != nil {
					return err
				}
			}
			continue
		}
		res.found, res.hidden = res.found+found, res.hidden+hidden
		if a.tap != nil {
			if err := a.tap.add(row, answers); err != nil {
				return err
			}
		}
		if err := recorder.add(answers); err != nil {
			return err
		}
		res.rows++
	}
	if a.tap != nil {
		return a.tap.end()
	}
	return nil
}

package materialize

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/offline"
	"github.com/headwaterhq/headwater/online"
	"github.com/headwaterhq/headwater/read"
)

// Kinds of differences.
const (
	// OnlineMissing is an entity that has a winner, and nothing online.
	OnlineMissing = "missing"
	// OnlineDifferent is one that has another row online.
	OnlineDifferent = "different"
	// OnlineSurplus is one that has a row online, and no winner.
	OnlineSurplus = "surplus"
)

// OnlineCheck is what comparing the online rows of a view version with its history found.
type OnlineCheck struct {
	View *feature.ViewVersion
	// Seq is the published sequence that they were compared at first.
	Seq int64
	// Entities is how many the history has, withdrawn ones included.
	Entities                    int64
	Missing, Different, Surplus int64
	// Differences are the first that were found.
	Differences []OnlineDifference
	// PendingLoads is how many published runs were not loaded at the end.
	PendingLoads int64
	// Repair is the last time that another Redis process was found to have the data. nil: there was none.
	Repair *OnlineRepair
}

// OnlineRepair is what was loaded again of a view version because Redis may have lost it.
type OnlineRepair struct {
	NoticedAt time.Time
	// EndedAt is nil while it is to be done.
	EndedAt *time.Time
	// Entities is how many were offered.
	Entities int64
}

// OnlineDifference is one entity that is not online as the history has it.
type OnlineDifference struct {
	// Key is the encoded join keys.
	Key string
	// Kind is OnlineMissing, OnlineDifferent or OnlineSurplus.
	Kind string
	// Expected and Found are for people.
	Expected, Found string
}

const (
	// checkBatch is how many entities are compared with one round trip to Redis.
	checkBatch = 1000
	// maxDoubted is how many entities that differ are kept to be looked at again. It bounds memory: their keys are at most
	// feature.MaxKeyBytes each.
	maxDoubted = 10000
)

// CheckOnline compares what Redis has of a view version with the winners of its history at the newest published sequence and
// now, keeps at most most of the differences, and tells values if show is true. nil when no run was published.
//
// It changes nothing, and takes no lock. What differs is looked at again at the end, as the history and the clock then are:
// loads go on meanwhile. A row online is right when it has the winner's times, run and values, whatever it was loaded at, as
// long as a later load can take its place; a tombstone is right where there is no winner, and so is nothing. Rows are not
// judged by the view's TTL, which readers apply.
func (m *Materializer) CheckOnline(ctx context.Context, view *feature.ViewVersion, most int, show bool) (*OnlineCheck, error) {
	state, err := getViewState(ctx, m.config.Pool, view.ID)
	if err != nil || state.PublishedSeq == 0 {
		return nil, err
	}
	c := &checker{
		Materializer: m, view: view, most: most, show: show, layout: online.NewLayout(view.Stored()),
		result: &OnlineCheck{View: view, Seq: state.PublishedSeq},
	}
	if err := c.history(ctx, state); err != nil {
		return nil, err
	}
	if err := c.surplus(ctx); err != nil {
		return nil, err
	}
	if err := c.settle(ctx); err != nil {
		return nil, err
	}
	err = m.config.Pool.QueryRow(ctx, `SELECT count(*) FROM headwater.run WHERE view_id = $1 AND online_state = 'pending'`, view.ID).
		Scan(&c.result.PendingLoads)
	if err != nil {
		return nil, err
	}
	var r OnlineRepair
	err = m.config.Pool.QueryRow(ctx, `SELECT noticed_at, ended_at, entities FROM headwater.online_repair WHERE view_id = $1`, view.ID).
		Scan(&r.NoticedAt, &r.EndedAt, &r.Entities)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return c.result, nil
	case err != nil:
		return nil, err
	}
	c.result.Repair = &r
	return c.result, nil
}

// checker is one comparison.
type checker struct {
	*Materializer
	view   *feature.ViewVersion
	layout *online.Layout
	most   int
	show   bool
	result *OnlineCheck
	// doubted differed when they were looked at first, each once.
	doubted []string
	doubts  map[string]bool
}

// history compares each entity of the history, in the order of their keys.
func (c *checker) history(ctx context.Context, state viewState) error {
	conn, err := connect(ctx, c.config.Pool)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, `SET jit = off`); err != nil {
		return err
	}
	var batch []*offline.Entity
	compare := func() error {
		keys := make([]string, len(batch))
		for i, e := range batch {
			keys[i] = e.Key
		}
		rows, err := c.config.Reader.Stored(ctx, c.view.Entity, c.view.ID, keys)
		if err != nil {
			return err
		}
		for i, e := range batch {
			if kind, _ := c.judge(state, e, rows[i]); kind != "" {
				if err := c.doubt(ctx, e.Key); err != nil {
					return err
				}
			}
		}
		batch = batch[:0]
		return nil
	}
	current := offline.Current{View: c.view, Seq: state.PublishedSeq, Now: feature.TimeOf(c.config.Now())}
	err = current.Winners(ctx, conn, func(e *offline.Entity) error {
		c.result.Entities++
		if batch = append(batch, e); len(batch) == checkBatch {
			return compare()
		}
		return nil
	})
	if err == nil && len(batch) > 0 {
		err = compare()
	}
	return err
}

// surplus looks for entities online that the history has no rows of.
func (c *checker) surplus(ctx context.Context) error {
	return c.config.Reader.Keys(ctx, c.view.Entity, func(keys []string) error {
		rows, err := c.config.Reader.Stored(ctx, c.view.Entity, c.view.ID, keys)
		if err != nil {
			return err
		}
		var there []string
		for i, row := range rows {
			if h, err := online.DecodeHeader(row); row != "" && (err != nil || !h.Tombstone) {
				there = append(there, keys[i])
			}
		}
		if len(there) == 0 {
			return nil
		}
		known, err := offline.Current{View: c.view}.Known(ctx, c.config.Pool, there)
		if err != nil {
			return err
		}
		for _, key := range there {
			if !known[key] {
				if err := c.doubt(ctx, key); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// doubt keeps an entity to be looked at again.
func (c *checker) doubt(ctx context.Context, key string) error {
	if c.doubts[key] {
		return nil
	}
	if len(c.doubted) == maxDoubted {
		if err := c.settle(ctx); err != nil {
			return err
		}
	}
	if c.doubts == nil {
		c.doubts = map[string]bool{}
	}
	c.doubts[key] = true
	c.doubted = append(c.doubted, key)
	return nil
}

// looks is how often an entity that differs is looked at while something is under way that may set it right.
const looks = 3

// settle looks at what is doubted again, and counts what still differs. An entity that Redis lists twice, thousands of
// others apart, may count twice as surplus.
func (c *checker) settle(ctx context.Context) error {
	for begin := 0; begin < len(c.doubted); begin += checkBatch {
		keys := c.doubted[begin:min(begin+checkBatch, len(c.doubted))]
		for look := 1; len(keys) > 0; look++ {
			again, err := c.look(ctx, keys, look == looks)
			if err != nil {
				return err
			}
			if keys = again; len(keys) == 0 {
				break
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(dueEvery):
			}
		}
	}
	c.doubted, c.doubts = nil, nil
	return nil
}

// look compares entities as they now are, and counts those that differ; unless it is not the last look, and a load is under
// way, or rows became current that are not loaded: then it returns them.
func (c *checker) look(ctx context.Context, keys []string, last bool) (again []string, err error) {
	before, err := getViewState(ctx, c.config.Pool, c.view.ID)
	if err != nil {
		return nil, err
	}
	now := c.config.Now()
	current := offline.Current{View: c.view, Seq: before.PublishedSeq, Now: feature.TimeOf(now)}
	entities, err := current.Of(ctx, c.config.Pool, keys)
	if err != nil {
		return nil, err
	}
	rows, err := c.config.Reader.Stored(ctx, c.view.Entity, c.view.ID, keys)
	if err != nil {
		return nil, err
	}
	state, err := getViewState(ctx, c.config.Pool, c.view.ID)
	if err != nil {
		return nil, err
	}
	moving := state.PublishedSeq != before.PublishedSeq || state.OnlineEpoch != before.OnlineEpoch
	if !moving && !last {
		err := c.config.Pool.QueryRow(ctx, `
			SELECT EXISTS (SELECT FROM headwater.run WHERE view_id = $1 AND online_state = 'pending')
				OR EXISTS (SELECT FROM headwater.online_repair WHERE view_id = $1 AND ended_at IS NULL)
				OR EXISTS (SELECT FROM headwater.online_due WHERE view_id = $1 AND entity_key = ANY ($2) AND due <= $3)`,
			c.view.ID, keys, now).Scan(&moving)
		if err != nil {
			return nil, err
		}
	}
	for i, key := range keys {
		e := entities[key]
		if e == nil {
			e = &offline.Entity{Key: key, Winner: read.Winner{Status: read.NoRow}}
		}
		kind, found := c.judge(state, e, rows[i])
		switch {
		case kind == "":
		case moving && !last:
			again = append(again, key)
		default:
			c.count(state, e, kind, found)
		}
	}
	return again, nil
}

func (c *checker) count(state viewState, e *offline.Entity, kind, found string) {
	switch kind {
	case OnlineMissing:
		c.result.Missing++
	case OnlineDifferent:
		c.result.Different++
	case OnlineSurplus:
		c.result.Surplus++
	}
	if len(c.result.Differences) < c.most {
		expected := "no row"
		if w := &e.Winner; w.Status == read.Present {
			expected = c.describe(w.EventTime, w.AvailableAt, w.RunSeq, state.PublishedSeq, w.Values)
		}
		c.result.Differences = append(c.result.Differences, OnlineDifference{Key: e.Key, Kind: kind, Expected: expected, Found: found})
	}
}

// judge says how what is online of an entity differs from its winner, and what that is; "" for not at all.
func (c *checker) judge(state viewState, e *offline.Entity, row string) (kind, found string) {
	w := &e.Winner
	present := w.Status == read.Present
	if row == "" {
		if present {
			return OnlineMissing, "nothing"
		}
		return "", ""
	}
	differs := OnlineDifferent
	if !present {
		differs = OnlineSurplus
	}
	values := make([]feature.Value, c.layout.Columns())
	h, err := c.layout.Decode(row, values)
	if err != nil {
		return differs, fmt.Sprintf("a row that cannot be read: %v", err)
	}
	found = c.describe(h.EventTime, h.AvailableAt, h.RunSeq, h.Seq, values)
	if h.Tombstone {
		found = fmt.Sprintf("a tombstone of run %d", h.RunSeq)
	}
	switch {
	case h.Epoch > state.OnlineEpoch || h.Epoch == state.OnlineEpoch && h.Seq > state.PublishedSeq:
		// Right or not, no load of what comes next would take its place.
		return differs, fmt.Sprintf("%s, at epoch %d and sequence %d, which are not those of any load", found, h.Epoch, h.Seq)
	case h.Tombstone && present:
		return OnlineMissing, found
	case h.Tombstone:
		return "", ""
	case !present:
		return OnlineSurplus, found
	}
	// Each row has one encoding.
	want, err := c.layout.Append(nil, online.Header{
		Epoch: h.Epoch, Seq: h.Seq, EventTime: w.EventTime, AvailableAt: w.AvailableAt, RunSeq: w.RunSeq,
	}, w.Values)
	if err == nil && string(want) == row {
		return "", ""
	}
	return OnlineDifferent, found
}

// describe is a row for people.
func (c *checker) describe(event, available feature.Time, run, seq int64, values []feature.Value) string {
	var b strings.Builder
	fmt.Fprintf(&b, "event time %s, available at %s, of run %d as of sequence %d", event, available, run, seq)
	if !c.show {
		return b.String()
	}
	for i, column := range c.view.Stored() {
		text := "NULL"
		if !values[i].IsNull() {
			text = values[i].Text()
		}
		fmt.Fprintf(&b, ", %s %s", column.Name, shortened(text))
	}
	return b.String()
}

// maxShownValue is how much of a value is shown.
const maxShownValue = 200

func shortened(text string) string {
	if runes := []rune(text); len(runes) > maxShownValue {
		return string(runes[:maxShownValue]) + "…"
	}
	return text
}

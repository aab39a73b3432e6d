package dataset

import (
	"bufio"
	"context"
	"errors"
	"io"
	"iter"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/tabular"
	"github.com/headwaterhq/headwater/quality"
	"github.com/headwaterhq/headwater/read"
	"github.com/headwaterhq/headwater/retention"
)

// Erasure is what an erasure did to a dataset. Digests are hex.
type Erasure struct {
	ID        string    `json:"id"`
	Time      time.Time `json:"time"`
	Principal string    `json:"principal"`
	Reason    string    `json:"reason"`
	// Rows of the spine are gone; 0 where only rows that it read are.
	Rows int64 `json:"rows"`
	// Of the content, before and after. NewDigest is empty where what is left cannot be computed.
	OldDigest      string `json:"old_digest"`
	NewDigest      string `json:"new_digest"`
	OldSpineDigest string `json:"old_spine_digest"`
	NewSpineDigest string `json:"new_spine_digest"`
}

// left is the digests of the content and of the spine as erasures left them, or as they were built.
func (m *Manifest) left() (content, spine string) {
	if n := len(m.Erasures); n > 0 {
		return m.Erasures[n-1].NewDigest, m.Erasures[n-1].NewSpineDigest
	}
	return m.ContentDigest, m.SpineDigest
}

// refuseErased refuses a dataset that is no longer what it was to who does not ask for what is left.
func (m *Manifest) refuseErased(accept bool) error {
	n := len(m.Erasures)
	if n == 0 {
		return nil
	}
	last := &m.Erasures[n-1]
	switch {
	case !accept:
		return fault.New(fault.FailedPrecondition, "dataset %s: an entity was erased from it on %s (%s), so that it cannot be had as it was built; to have what is "+
			"left of it: headwater dataset fetch %[1]s --accept-erased", m.ID, last.Time.Format(time.DateOnly), last.ID)
	case last.NewDigest == "":
		return fault.New(fault.FailedPrecondition, "dataset %s: what erasure %s left of it could not be computed then, so that nothing tells whether it is that now; "+
			"build it anew", m.ID, last.ID)
	}
	return nil
}

// refuseErased refuses a dataset that was built while kept ones were looked through for an entity.
func refuseErased(ctx context.Context, tx pgx.Tx, head int64) error {
	now, err := retention.HoldHead(ctx, tx)
	if err == nil && now != head {
		err = fault.New(fault.FailedPrecondition, "an entity was erased while the dataset was built, which may be in it: nothing was kept, build it again")
	}
	return err
}

// keyColumns are the lists of spine columns that hold the key of a trace: those that are mapped to join keys, and of a spine that was
// read from sources those that have the names of the columns there.
func keyColumns(t *retention.Trace, m *Manifest, plan *read.Plan) (lists [][]string) {
	for _, src := range tracedOrigin(t, m) {
		lists = append(lists, src.Keys...)
	}
	for i := range plan.Views {
		v := &plan.Views[i]
		for _, traced := range t.Views {
			if traced.View.ID != v.Version.ID {
				continue
			}
			for _, key := range traced.Keys {
				if !traced.Whole(key) {
					continue
				}
				list := make([]string, len(key))
				for k, name := range key {
					list[k] = v.KeyColumns[slices.IndexFunc(v.Version.EntityVersion.JoinKeys, func(c feature.Column) bool { return c.Name == name })]
				}
				if !slices.ContainsFunc(lists, func(l []string) bool { return slices.Equal(l, list) }) {
					lists = append(lists, list)
				}
			}
		}
	}
	return lists
}

// tracedOrigin is the traced sources that a dataset's spine was read from.
func tracedOrigin(t *retention.Trace, m *Manifest) (sources []*retention.TracedSource) {
	for _, src := range t.Sources {
		if slices.Contains(m.SpineSources(), src.Source.Name) {
			sources = append(sources, src)
		}
	}
	return sources
}

// ReadsTraced reports whether a dataset reads views, or its spine was read from sources, in which a trace found the key.
func ReadsTraced(t *retention.Trace, m *Manifest, plan *read.Plan) bool {
	return len(tracedOrigin(t, m)) > 0 || slices.ContainsFunc(plan.Views, func(v read.View) bool {
		return slices.ContainsFunc(t.Views, func(x *retention.TracedView) bool { return x.View.ID == v.Version.ID })
	})
}

// changes reports whether a dataset may be another one though its spine is not: it reads a view of which rows of other entities are gone.
func changes(t *retention.Trace, plan *read.Plan) bool {
	return slices.ContainsFunc(plan.Views, func(v read.View) bool {
		return slices.ContainsFunc(t.Views, func(x *retention.TracedView) bool {
			return x.View.ID == v.Version.ID && slices.ContainsFunc(x.Keys, func(k []string) bool { return !x.Whole(k) })
		})
	})
}

// CountErased counts the rows of a dataset's spine that Erase would erase.
func (b *Builder) CountErased(ctx context.Context, m *Manifest, plan *read.Plan, t *retention.Trace) (int64, error) {
	lists := keyColumns(t, m, plan)
	if len(lists) == 0 {
		return 0, nil
	}
	spine, _, err := keptSpine(ctx, b.pool, m)
	if err != nil || spine == nil {
		return 0, err
	}
	defer spine.close()
	var rows int64
	is := matcher(spine.columns, lists, t.Values)
	for row, err := range spine.rowsOf() {
		if err != nil {
			return 0, err
		}
		if is(row) {
			rows++
		}
	}
	return rows, nil
}

// matcher tells the rows in which all columns of one of the lists have their values.
func matcher(columns []feature.Column, lists [][]string, values []feature.Value) func(row []feature.Value) bool {
	var at [][]int
	for _, l := range lists {
		positions := make([]int, len(l))
		for i, name := range l {
			positions[i] = slices.IndexFunc(columns, func(c feature.Column) bool { return c.Name == name })
		}
		if !slices.Contains(positions, -1) {
			at = append(at, positions)
		}
	}
	return func(row []feature.Value) bool {
		return slices.ContainsFunc(at, func(positions []int) bool {
			for i, p := range positions {
				if row[p].IsNull() || row[p].Text() != values[i].Text() {
					return false
				}
			}
			return true
		})
	}
}

// keptSpine is the spine that a dataset has, whatever its digest. nil: it has none, or damaged says that it cannot be read.
func keptSpine(ctx context.Context, q database.Querier, m *Manifest) (s *spool, damaged bool, err error) {
	var there bool
	if err := q.QueryRow(ctx, `SELECT EXISTS (SELECT FROM headwater.dataset_spine WHERE dataset_id = $1)`, m.ID).Scan(&there); err != nil || !there {
		return nil, false, err
	}
	return readKept(ctx, q, m)
}

// without is a spine without the rows that are to go, and how many those are.
func (s *spool) without(is func([]feature.Value) bool) (*spool, int64, error) {
	file, err := newScratch()
	if err != nil {
		return nil, 0, err
	}
	left := &spool{file: file, columns: s.columns}
	gone, err := left.keep(s.rowsOf(), is)
	if err != nil {
		left.close()
		return nil, 0, err
	}
	return left, gone, nil
}

// keep writes the rows that stay.
func (s *spool) keep(rows iter.Seq2[[]feature.Value, error], is func([]feature.Value) bool) (gone int64, err error) {
	buffered := bufio.NewWriterSize(s.file, 1<<20)
	out := tabular.NewStreamWriter(buffered, s.columns, true)
	content := newContentHash(s.columns)
	for row, err := range rows {
		if err != nil {
			return 0, err
		}
		if is(row) {
			gone++
			continue
		}
		s.rows++
		content.add(row)
		if err := out.Append(row); err != nil {
			return 0, err
		}
	}
	s.digest = content.digest()
	return gone, errors.Join(out.Close(), buffered.Flush())
}

// PlaceSpine is what an erasure calls the spines of datasets.
const PlaceSpine = "spine"

// Erase takes an entity out of a dataset: its rows of the spine go, what is left is computed, and the manifest holds the digests before
// and after. lost says why it cannot be computed, whatever else is known of it; nil: nothing does. It follows the erasure of the histories. A dataset in which the entity is not is left as it is. done is called before the
// commit.
func (b *Builder) Erase(ctx context.Context, m *Manifest, plan *read.Plan, lost error, t *retention.Trace, e *retention.Erasure, done func() error) error {
	lists := keyColumns(t, m, plan)
	if len(lists) == 0 && !changes(t, plan) {
		return nil
	}
	spine, damaged, err := keptSpine(ctx, b.pool, m)
	if err != nil || spine == nil && !damaged {
		return err
	}
	if damaged {
		// Whose rows it has is not known, and nobody can have the dataset again: nothing of it stays.
		return b.eraseDamaged(ctx, m, e, done)
	}
	defer spine.close()
	left, gone, err := spine.without(matcher(spine.columns, lists, t.Values))
	if err != nil {
		return err
	}
	defer left.close()
	if gone == 0 && !changes(t, plan) {
		return nil
	}
	res, note, err := b.assembleLeft(ctx, m, plan, lost, left)
	if err != nil {
		return err
	}
	digest := ""
	if res != nil {
		digest = res.content.String()
	}
	if content, _ := m.left(); gone == 0 && digest == content {
		return nil
	}
	return b.change(ctx, m.ID, e, note, done, func(tx pgx.Tx, m *Manifest, of *Erasure) error {
		of.Rows += gone
		of.NewDigest, of.NewSpineDigest = digest, left.digest.String()
		m.takeLeft(res)
		if err := b.profileLeft(ctx, tx, m.ID, res); err != nil {
			return err
		}
		if gone == 0 {
			return nil
		}
		if _, err := tx.Exec(ctx, `DELETE FROM headwater.dataset_spine WHERE dataset_id = $1`, m.ID); err != nil {
			return err
		}
		return left.store(ctx, tx, m.ID)
	}, gone)
}

// assembleLeft computes what is left of a dataset. Where that cannot be computed the note says why, and there is no result.
func (b *Builder) assembleLeft(ctx context.Context, m *Manifest, plan *read.Plan, lost error, spine *spool) (*result, string, error) {
	a, differences, err := assemblyOf(m, plan)
	if lost != nil {
		err = lost
	}
	if err == nil && len(differences) == 0 {
		a.spine = spine
		var res *result
		if err = a.prepare(spine.columns, m.WithStatuses, m.leaveOutOf()); err == nil {
			res, err = b.assemble(ctx, a, io.Discard)
		}
		if err == nil {
			return res, "", nil
		}
	}
	switch f := fault.As(database.Fault(err)); {
	case err == nil:
		return nil, "what is left cannot be computed: " + differences[0], nil
	case ctx.Err() != nil, f == nil, f.Reason == fault.PostgresUnavailable, f.Reason == fault.DeadlineExceeded, f.Reason == fault.Cancelled, f.Reason == fault.Internal:
		return nil, "", err
	default:
		return nil, "what is left cannot be computed: " + f.Message, nil
	}
}

func (b *Builder) eraseDamaged(ctx context.Context, m *Manifest, e *retention.Erasure, done func() error) error {
	note := "its spine was damaged, so that it was not known whose rows it had: nothing of it was left"
	return b.change(ctx, m.ID, e, note, done, func(tx pgx.Tx, m *Manifest, of *Erasure) error {
		of.NewDigest, of.NewSpineDigest = "", ""
		m.takeLeft(nil)
		if err := b.profileLeft(ctx, tx, m.ID, nil); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `DELETE FROM headwater.dataset_spine WHERE dataset_id = $1`, m.ID)
		return err
	}, 0)
}

// profileLeft keeps the profile of what is left, where there is one of the dataset; of nothing it takes it away. Reports are not made again.
func (b *Builder) profileLeft(ctx context.Context, tx pgx.Tx, id string, res *result) error {
	// What was found of groups was found of the entity's rows too.
	if err := quality.EraseBiasReports(ctx, tx, id); err != nil {
		return err
	}
	if res == nil {
		return quality.EraseDatasetProfile(ctx, tx, id)
	}
	known, err := quality.DatasetProfile(ctx, tx, id)
	if err != nil || known == nil {
		return err
	}
	return quality.KeepDatasetProfile(ctx, tx, id, res.profile)
}

// takeLeft takes what is known of what is left, and leaves the digests. nil: nothing is, and no value of a row stays in the manifest.
func (m *Manifest) takeLeft(res *result) {
	if res == nil {
		m.Summarizer = ""
		for i := range m.Columns {
			m.Columns[i].Summary = nil
		}
		return
	}
	content, arrow := m.ContentDigest, m.ArrowSHA256
	m.take(res)
	m.ContentDigest, m.ArrowSHA256 = content, arrow
}

// change changes a dataset, its manifest and the record of the erasure in one transaction.
func (b *Builder) change(ctx context.Context, id string, e *retention.Erasure, note string, done func() error,
	do func(tx pgx.Tx, m *Manifest, of *Erasure) error, rows int64,
) error {
	err := pgx.BeginFunc(ctx, b.pool, func(tx pgx.Tx) error {
		var m Manifest
		if err := tx.QueryRow(ctx, `SELECT manifest FROM headwater.dataset WHERE id = $1 FOR UPDATE`, id).Scan(&m); err != nil {
			return err
		}
		content, spine := m.left()
		if n := len(m.Erasures); n == 0 || m.Erasures[n-1].ID != e.ID {
			m.Erasures = append(m.Erasures, Erasure{
				ID: e.ID, Time: e.StartedAt.UTC(), Principal: e.Principal, Reason: e.Reason, OldDigest: content, OldSpineDigest: spine,
			})
		}
		if err := do(tx, &m, &m.Erasures[len(m.Erasures)-1]); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE headwater.dataset SET manifest = $2 WHERE id = $1`, id, &m); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `INSERT INTO headwater.dataset_erasure (dataset_id, erasure_id) VALUES ($1, $2) ON CONFLICT DO NOTHING`, id, e.ID)
		if err != nil {
			return err
		}
		if rows > 0 || note != "" {
			err := retention.Record(ctx, tx, e.ID, retention.Erased{Place: PlaceSpine, Name: id, Rows: rows, Note: note})
			if err != nil {
				return err
			}
		}
		return done()
	})
	if err != nil {
		return err
	}
	// From the commit on it is not sent any more, and a process that dies here leaves it to the sweep.
	return b.kept.Drop(id)
}

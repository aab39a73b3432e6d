package dataset

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/tabular"
	"github.com/headwaterhq/headwater/offline"
	"github.com/headwaterhq/headwater/read"
)

// SpineOrigin is where the server read a spine itself. The spine is kept all the same: what becomes of the sources later changes
// nothing.
type SpineOrigin struct {
	// SQL is set for a query, Events for the events of a source.
	SQL     string        `json:"sql,omitempty"`
	Events  *SpineEvents  `json:"events,omitempty"`
	Sources []SpineSource `json:"sources"`
}

// SpineEvents is which events of a source are the spine.
type SpineEvents struct {
	// Source is `NAME@VERSION`.
	Source string `json:"source"`
	// From and To bound their event times, [From, To). nil: as far as there were rows.
	From *time.Time `json:"from,omitempty"`
	To   *time.Time `json:"to,omitempty"`
	// Columns are those that were asked for. Empty: all.
	Columns []string `json:"columns,omitempty"`
}

// SpineSource is a source that a spine was read from.
type SpineSource struct {
	Source      string `json:"source"`
	Version     int    `json:"version"`
	Fingerprint string `json:"fingerprint"`
	// LoadNumber is the newest load or retraction that was considered, 0 for a table of others.
	LoadNumber int64 `json:"load_number,omitempty"`
	// RowsRead is how many rows lay in what was read, and LeftOut those of them that did not count.
	RowsRead int64           `json:"rows_read,omitempty"`
	LeftOut  []SourceLeftOut `json:"left_out,omitempty"`
	// Rules are what the builder was held to in the source's own rows. Rows that a filter hid are in no number but RowsHidden, and LeftOut is empty
	// then.
	Rules []read.Rule `json:"rules,omitempty"`
	// RowsHidden are those rows. They are for the audit: no reader is told.
	RowsHidden int64 `json:"rows_hidden,omitempty"`

	// loads are whose rows those are, of a landing source.
	loads []offline.InputLoad
}

// SourceLeftOut is rows of a source that were left out of a spine, by what a run's ledger calls it: `duplicate`, `too_late`, `dropped` or
// `quarantined`, of which a spine keeps none aside.
type SourceLeftOut struct {
	Bucket string `json:"bucket"`
	Reason string `json:"reason"`
	Rows   int64  `json:"rows"`
}

// leftOutOf is what did not count of what was read of a source.
func leftOutOf(in *offline.Input) []SourceLeftOut {
	var list []SourceLeftOut
	add := func(bucket string, reasons ...offline.Reason) {
		for _, r := range reasons {
			if r.Rows > 0 {
				list = append(list, SourceLeftOut{Bucket: bucket, Reason: r.Reason, Rows: r.Rows})
			}
		}
	}
	add("duplicate", offline.Reason{Reason: "exact", Rows: in.Exact}, offline.Reason{Reason: "conflicting", Rows: in.Conflicting})
	add("too_late", in.TooLate...)
	add("dropped", in.Deleted...)
	if in.LeftOut != nil {
		add("dropped", in.LeftOut.Dropped...)
		add("quarantined", in.LeftOut.Quarantined...)
	}
	return list
}

// SpineSources are the names of the sources whose rows the spine holds, as far as the server read it itself.
func (m *Manifest) SpineSources() []string {
	if m.SpineOrigin == nil {
		return nil
	}
	var names []string
	for i := range m.SpineOrigin.Sources {
		names = append(names, m.SpineOrigin.Sources[i].Source)
	}
	return names
}

// timestampOf is the spine's column that says for when, where the request names none.
func timestampOf(origin *offline.SpineScope) string {
	if origin == nil || origin.SQL != "" {
		return DefaultTimestampColumn
	}
	return origin.Sources[0].EventTime
}

// takeIn has the spine of a request: what was sent, or what the server reads itself. check is called with its columns before any row.
func (b *Builder) takeIn(ctx context.Context, req *Request, sent io.Reader, check func([]feature.Column) error) (*spool, *SpineOrigin, error) {
	if req.Origin == nil {
		s, err := takeSpine(sent, req.TimestampColumn, check)
		return s, nil, err
	}
	if sent != nil {
		switch n, err := io.ReadFull(sent, make([]byte, 1)); {
		case n > 0:
			return nil, nil, fault.New(fault.InvalidArgument, "found an Arrow stream behind a header that says where the server reads the spine itself, expected "+
				"none; leave out one of the two")
		case err != io.EOF:
			return nil, nil, err
		}
	}
	select {
	case b.turns <- struct{}{}:
		defer func() { <-b.turns }()
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
	conn, err := pgx.ConnectConfig(ctx, b.pool.Config().ConnConfig.Copy())
	if err != nil {
		return nil, nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	return readSpine(ctx, conn, req, check)
}

// readSpine reads a spine from sources. That its columns are what the plan needs is made sure of before any row is read.
func readSpine(ctx context.Context, conn *pgx.Conn, req *Request, check func([]feature.Column) error) (_ *spool, _ *SpineOrigin, err error) {
	scope := *req.Origin
	scope.Wanted = wanted(req.Plan)
	in, err := offline.OpenSpine(ctx, conn, scope)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, in.Close(ctx)) }()
	if err := check(in.Columns); err != nil {
		return nil, nil, err
	}
	if err := in.Read(ctx); err != nil {
		return nil, nil, err
	}
	s, err := spoolRows(in.Columns, storable(in.Columns, func(emit func([]feature.Value) error) error { return in.Rows(ctx, emit) }), req.TimestampColumn)
	if err != nil {
		return nil, nil, err
	}
	return s, originOf(&scope, in.Inputs()), nil
}

// wanted are the types that a plan needs of the spine's columns.
func wanted(plan *read.Plan) map[string]feature.Type {
	types := map[string]feature.Type{}
	for i := range plan.Inputs {
		types[plan.Inputs[i].Name] = plan.Inputs[i].Type
	}
	for i := range plan.Views {
		v := &plan.Views[i]
		for k, name := range v.KeyColumns {
			types[name] = v.Version.EntityVersion.JoinKeys[k].Type
		}
	}
	return types
}

// errEnough ends a reading whose rows nobody takes any more.
var errEnough = errors.New("no more rows are taken")

// storable are rows as they are read, held to what a spine that is sent is held to.
func storable(columns []feature.Column, each func(emit func([]feature.Value) error) error) func(yield func([]feature.Value, error) bool) {
	return func(yield func([]feature.Value, error) bool) {
		rows := int64(0)
		err := each(func(row []feature.Value) error {
			rows++
			for i, v := range row {
				if err := tabular.CheckStored(v); err != nil {
					return fault.New(fault.InvalidSpine, "spine: row %d: column %s: %s; leave the row out, or give it another value", rows, columns[i].Name, err)
				}
			}
			if !yield(row, nil) {
				return errEnough
			}
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) {
			yield(nil, err)
		}
	}
}

func originOf(scope *offline.SpineScope, inputs []*offline.Input) *SpineOrigin {
	o := &SpineOrigin{SQL: scope.SQL}
	for _, in := range inputs {
		var rules []read.Rule
		if seen := scope.Seen[in.Source.Name]; seen != nil {
			rules = seen.Rules
		}
		o.Sources = append(o.Sources, SpineSource{
			Rules: rules, Source: in.Source.Name, Version: in.Source.Version, Fingerprint: in.Source.Fingerprint.String(), LoadNumber: in.LoadNumber,
			RowsRead: in.Rows, RowsHidden: in.Hidden, LeftOut: leftOutOf(in), loads: in.Loads,
		})
	}
	if scope.SQL == "" {
		o.Events = &SpineEvents{Source: fmt.Sprintf("%s@%d", o.Sources[0].Source, o.Sources[0].Version), Columns: scope.Columns}
		o.Events.From, o.Events.To = calendar(scope.From), calendar(scope.To)
	}
	return o
}

func calendar(t *feature.Time) *time.Time {
	if t == nil {
		return nil
	}
	at := t.Calendar()
	return &at
}

// insert writes what the spine of a dataset was read from, which lineage goes by. It stays when the dataset is deleted.
func (o *SpineOrigin) insert(ctx context.Context, tx pgx.Tx, dataset string) error {
	if o == nil {
		return nil
	}
	for i := range o.Sources {
		src := &o.Sources[i]
		_, err := tx.Exec(ctx, `INSERT INTO headwater.dataset_source (dataset_id, source, rows) VALUES ($1, $2, $3)`, dataset, src.Source, src.RowsRead)
		if err != nil {
			return err
		}
		for _, l := range src.loads {
			_, err := tx.Exec(ctx, `INSERT INTO headwater.dataset_load (dataset_id, load_id, rows) VALUES ($1, $2, $3)`, dataset, l.ID, l.Rows)
			if err != nil {
				return err
			}
		}
	}
	return nil
}

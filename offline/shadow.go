package offline

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/offline/analysis"
)

// Account is what became of the rows that one input showed to a view's SQL: Rows = Used + Filtered + Lost + Unaccounted.
type Account struct {
	// Kind is `source` or `view`, Name as the SQL has it.
	Kind, Name string
	Rows       int64
	// Used are in at least one row that FROM puts together and that passes WHERE. What HAVING or DISTINCT make of that later
	// changes nothing.
	Used int64
	// Filtered were left out by WHERE, Unmatched by having no match in the joins with Joined.
	Filtered, Unmatched int64
	Joined              []string
	// Loses says that the rows without a match are lost by an inner join, and not merely never looked up.
	Loses bool
	// Unaccounted is Rows where it cannot be counted, Why the words that follow "because".
	Unaccounted int64
	Why         string
}

// Accounts counts what became of the rows that reached the SQL, input by input, in the order of the view's sources and views. It
// takes no scan of an input of which every row is used. Read has been called. An aggregation has none.
func (t *Transform) Accounts(ctx context.Context) ([]Account, error) {
	if t.View.SQL == nil || t.Plan.Nothing() {
		return nil, nil
	}
	var accounts []Account
	for _, in := range t.Inputs {
		accounts = append(accounts, Account{Kind: "source", Name: in.Source.Name, Rows: in.shown()})
	}
	for _, in := range t.ViewInputs {
		accounts = append(accounts, Account{Kind: "view", Name: in.View.Name, Rows: in.Rows})
	}
	shadows, err := t.shadows(ctx)
	if err != nil {
		return nil, err
	}
	for i := range accounts {
		a := &accounts[i]
		s := shadows[slices.IndexFunc(shadows, func(s analysis.Shadow) bool { return s.Relation == a.Name })]
		a.Joined, a.Loses = s.Joined, s.Loses
		switch {
		case a.Rows == 0 || s.All:
			a.Used = a.Rows
			continue
		case s.Why != "":
			a.Why = s.Why
		case i < len(t.Inputs) && len(t.Inputs[i].arriving) > 0:
			a.Why = "its corrections arrive: it is read once for each state of knowledge"
		case s.Several && i < len(t.Inputs) && t.Inputs[i].foreign != nil:
			a.Why = "it is read more than once, and nothing tells its rows apart"
		default:
			if err := t.count(ctx, i, a, s); err != nil {
				return nil, err
			}
		}
		if a.Why != "" {
			a.Used, a.Filtered, a.Unmatched, a.Unaccounted = 0, 0, 0, a.Rows
		}
	}
	return accounts, nil
}

// shown is the rows that reach the view.
func (in *Input) shown() int64 {
	n := in.ConsideredRows()
	if in.LeftOut != nil {
		for _, r := range slices.Concat(in.LeftOut.Quarantined, in.LeftOut.Dropped) {
			n -= r.Rows
		}
	}
	return n
}

// shadows has Postgres analyse the SQL over the run's own inputs.
func (t *Transform) shadows(ctx context.Context) (shadows []analysis.Shadow, err error) {
	span := t.Plan.Owned[0]
	err = t.aside(ctx, func() error {
		if err := t.showInputs(ctx, span, -1); err != nil {
			return err
		}
		if err := createOutputView(ctx, t.tx, t.View, span); err != nil {
			return err
		}
		statement, err := outputStatement(t.View, span)
		if err != nil {
			return err
		}
		shadows, err = analysis.Account(ctx, t.tx, analysis.Input{
			Statement: *statement, Relations: inputRelations(t.View), Functions: t.View.SQL.Functions,
			Clocks: true, Grain: t.View.Grain, Lookback: t.View.Lookback,
		})
		return err
	})
	return shadows, err
}

// aside does something in the snapshot of which nothing stays.
func (t *Transform) aside(ctx context.Context, do func() error) error {
	if _, err := t.tx.Exec(ctx, "SAVEPOINT aside"); err != nil {
		return err
	}
	err := do()
	if t.conn.IsClosed() {
		return err
	}
	_, undone := t.tx.Exec(context.WithoutCancel(ctx), "ROLLBACK TO SAVEPOINT aside; RELEASE SAVEPOINT aside")
	return errors.Join(err, undone)
}

// showInputs makes the temporary views of all inputs over a span. That of the input counted, by its place among sources and then
// views, has analysis.HiddenColumn behind its others.
func (t *Transform) showInputs(ctx context.Context, span Span, counted int) error {
	read := NewSpans(t.reads(span))
	create := func(name, query string) error {
		_, err := t.tx.Exec(ctx, "CREATE TEMPORARY VIEW "+quote(name)+" AS "+query)
		return err
	}
	for i, in := range t.Inputs {
		if len(in.arriving) > 0 {
			if err := in.createArrivingView(ctx, t.tx, read, nil); err != nil {
				return err
			}
			continue
		}
		var more []string
		if i == counted {
			more = append(more, in.identity()+" AS "+quote(analysis.HiddenColumn))
		}
		if err := create(in.Source.Name, sourceSelect(in.Source, in.table, in.Considered(read), more...)); err != nil {
			return arrivalFault(in.Source, err)
		}
	}
	for i, in := range t.ViewInputs {
		var more []string
		if len(t.Inputs)+i == counted {
			// It shows one row for each key and event time.
			more = append(more, `ARRAY[h.entity_key, h.event_time::text COLLATE "C"] AS `+quote(analysis.HiddenColumn))
		}
		if err := create(in.View.Name, in.query(t.View, read, more...)); err != nil {
			return err
		}
	}
	return nil
}

// identity is SQL for a value that tells the rows of the input apart. Numbers of loads and of rows fit: 2^27 loads of 2^36 rows.
func (in *Input) identity() string {
	if in.foreign != nil {
		return "row_number() OVER ()"
	}
	return "(" + quote(in.Source.Name, "_load") + " << 36 | " + quote(in.Source.Name, "_row") + ")"
}

// count fills an account by the shadows of its input, over all spans: those read different rows.
func (t *Transform) count(ctx context.Context, input int, a *Account, s analysis.Shadow) error {
	own, matched := a.Rows, int64(0)
	if s.Own != "" {
		own = 0
	}
	for _, span := range t.Plan.Owned {
		failed := ""
		err := t.aside(ctx, func() error {
			if err := t.showInputs(ctx, span, input); err != nil {
				return err
			}
			if err := t.become(ctx); err != nil {
				return err
			}
			for _, c := range []struct {
				sql  string
				into *int64
			}{{s.Used, &a.Used}, {s.Own, &own}, {s.Matched, &matched}} {
				if c.sql == "" {
					continue
				}
				query, problems := feature.ParseQuery(c.sql)
				if len(problems) > 0 {
					failed = "the SQL could not be taken apart"
					return nil
				}
				var n int64
				err := t.tx.QueryRow(ctx, query.Render(span.Start, span.End)).Scan(&n)
				var pg *pgconn.PgError
				if errors.As(err, &pg) && ctx.Err() == nil && (lasting(err) != nil || pg.Code == queryCancelled || pg.Code == limitReached) {
					failed = fmt.Sprintf("counting them failed (SQLSTATE %s)", pg.Code)
					return nil
				}
				if err != nil {
					return err
				}
				*c.into += n
			}
			return nil
		})
		if err != nil {
			return err
		}
		if a.Why = failed; failed != "" {
			return nil
		}
	}
	switch {
	case !s.Joins:
		own, matched = a.Used, a.Used
	case s.Matched == "":
		matched = a.Used
	}
	a.Unmatched, a.Filtered = own-matched, a.Rows-own+matched-a.Used
	if a.Unmatched < 0 || a.Rows < own || matched < a.Used {
		a.Why = "the counts contradict each other"
	}
	return nil
}

package offline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
)

// SpineScope is what the server reads the rows of a spine from: a query over sources, or the events of one source.
type SpineScope struct {
	// SQL is one SELECT over Sources, held to the rules of a view's SQL but for those of its clocks. Empty: the events of the
	// one source.
	SQL     string
	Sources []*feature.SourceVersion
	// From and To bound the event times of events, [From, To). nil: as far as there are rows.
	From, To *feature.Time
	// Columns are those of the source that rows of events have; its event time is among them in any case. Empty: all.
	Columns []string
	// Wanted are types that columns of a query have, by name, where what it outputs can be read as such: a decimal's limits, and
	// that an array is a vector, are for the reader to say.
	Wanted map[string]feature.Type
	// Bounds is what the SQL may take.
	Bounds Bounds
	// Databases are those that sources may name.
	Databases *Databases
	// Validate says which rows of a source are left out besides, as it does for a run. nil: none are.
	Validate Validate
	// Seen is what of each source is seen, by name. Of one that is not there: all.
	Seen map[string]*Seen
}

// Spine is one reading of a spine, in a snapshot of its sources that keeps nothing: it sees them as a view's SQL does, as of the newest
// load, without duplicates and without rows that are late, withdrawn or retracted, or that Validate leaves out. Its SQL runs as the role of views.
type Spine struct {
	// Columns are those of its rows.
	Columns []feature.Column

	scope *SpineScope
	query *feature.Query
	// t reads the inputs. It has no view.
	t *Transform
	// reads are the event times that are read of each source.
	reads []Spans
}

// OpenSpine takes the snapshot on conn, and finds out what columns there will be, before it reads any row. The caller calls Read,
// then Rows once, and Close in any case.
func OpenSpine(ctx context.Context, conn *pgx.Conn, scope SpineScope) (*Spine, error) {
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead})
	if err != nil {
		return nil, err
	}
	t := &Transform{tx: tx, conn: conn, databases: scope.Databases, remotes: map[string]remoteSnapshot{}, bounds: scope.Bounds.orDefault(), validate: scope.Validate}
	t.Plan.Marks = Marks{Sources: map[string]int64{}, Changes: map[string]ChangeMark{}}
	s := &Spine{scope: &scope, t: t}
	err = pinSession(ctx, tx)
	if err == nil && scope.SQL == "" {
		if err = s.chooseColumns(); err == nil {
			err = scope.checkSeen(nil)
		}
	} else if err == nil {
		err = s.analyse(ctx)
	}
	if err != nil {
		return nil, t.broken(ctx, err)
	}
	return s, nil
}

// chooseColumns are the columns of events.
func (s *Spine) chooseColumns() error {
	src := s.scope.Sources[0]
	if len(s.scope.Columns) == 0 {
		s.Columns = slices.Clone(src.Columns)
		return nil
	}
	if !slices.Contains(s.scope.Columns, src.EventTime) {
		s.Columns = append(s.Columns, *src.Column(src.EventTime))
	}
	for i, name := range s.scope.Columns {
		c := src.Column(name)
		switch {
		case c == nil:
			return fault.New(fault.InvalidSpine, "spine: source %s has no column %s; it has %s", src.Name, name, shownNames(columnNames(src.Columns)))
		case slices.Contains(s.scope.Columns[:i], name):
			return fault.New(fault.InvalidSpine, "spine: found column %s of source %s a second time, expected each once", name, src.Name)
		}
		s.Columns = append(s.Columns, *c)
	}
	return nil
}

// Read finds what there is of each source, and which of its rows do not count.
func (s *Spine) Read(ctx context.Context) error {
	began := time.Now()
	err := s.readInputs(ctx)
	if beyond := s.t.beyondBounds(ctx, err, time.Since(began)); beyond != nil {
		err = beyond
	}
	return ofSpine(err)
}

func (s *Spine) readInputs(ctx context.Context) error {
	// What is read of other databases is copied by then.
	defer s.t.closeRemotes(ctx)
	if err := s.t.bounds.set(ctx, s.t.tx); err != nil {
		return err
	}
	for _, src := range s.scope.Sources {
		in, span, err := s.t.openInput(ctx, src)
		if err != nil {
			return err
		}
		if s.scope.From != nil {
			span.Start = max(span.Start, *s.scope.From)
		}
		if s.scope.To != nil {
			span.End = min(span.End, *s.scope.To)
		}
		read := NewSpans(span)
		for _, step := range []func(context.Context, *Transform, Spans) error{in.read, in.leaveOutByRules, in.validate} {
			if err := step(ctx, s.t, read); err != nil {
				return s.scope.seen(src).ofAll(src, err)
			}
		}
		// Of several rows of a key the one that counts is hidden or not, and never another one in its place.
		if err := in.see(ctx, s.t, s.scope.seen(src), read, newParameters(src)); err != nil {
			return err
		}
		s.t.Inputs, s.reads = append(s.t.Inputs, in), append(s.reads, read)
	}
	return nil
}

// Inputs are what is read of each source, in the order of the scope's, once Read is done.
func (s *Spine) Inputs() []*Input { return s.t.Inputs }

// ofSpine is a refusal of a run where no run was asked for.
func ofSpine(err error) error {
	f := fault.As(err)
	if f == nil || f.Reason != fault.RunRefused {
		return err
	}
	refused := *f
	refused.Reason = fault.FailedPrecondition
	return &refused
}

// Rows calls emit for each row, with a value per column: of events by event time, and then by unique key, or where there is none by
// load and position. The slice that emit is given is valid only during the call, what its values hold is theirs. After an error only Close may be called.
func (s *Spine) Rows(ctx context.Context, emit func([]feature.Value) error) error {
	query, err := s.events, error(nil)
	if s.query != nil {
		query, err = s.selected, s.show(ctx)
	}
	if err != nil {
		return err
	}
	values := make([]feature.Value, len(s.Columns))
	rows := int64(0)
	began := time.Now()
	err = copyOut(ctx, s.t.conn, query(), func(fields [][]byte) error {
		rows++
		size := 0
		for i, f := range fields {
			values[i] = feature.Null()
			if f == nil {
				continue
			}
			v, err := decodeValue(s.Columns[i].Type, f)
			if bad := badValue(""); errors.As(err, &bad) {
				return fault.New(fault.InvalidSpine, "spine: row %d: column %s: %s", rows, s.Columns[i].Name, fault.Data(string(bad)))
			}
			if err != nil {
				return err
			}
			if mask := s.mask(i); mask != nil {
				v = mask.Apply(v)
			}
			values[i] = v
			size += v.Size()
		}
		if size > feature.MaxRowText {
			return fault.New(fault.InvalidSpine, "spine: row %d: found %d bytes of text, bytes and lists, expected at most %d; cut it down", rows, size, feature.MaxRowText)
		}
		return emit(values)
	})
	if f := s.t.beyondBounds(ctx, err, time.Since(began)); f != nil {
		return f
	}
	if pg := lasting(err); pg != nil {
		return fault.New(fault.InvalidSpine, "spine: its SQL failed on the rows that it reads: %s; let it cope with such rows (NULLIF, CASE, "+
			"WHERE)", fault.Data(pg.Message)).Because(err)
	}
	return err
}

// mask is that of a column of events, nil for none. What a query sees is masked already.
func (s *Spine) mask(i int) *SeenMask {
	src := s.scope.Sources[0]
	if s.query != nil || s.scope.seen(src) == nil {
		return nil
	}
	return s.scope.seen(src).Masks[s.Columns[i].Name]
}

// show makes the views that the query reads, and becomes the role that it runs as.
func (s *Spine) show(ctx context.Context) error {
	var names []string
	for i, in := range s.t.Inputs {
		var err error
		if len(in.arriving) > 0 {
			err = in.createArrivingView(ctx, s.t.tx, s.reads[i], in.newestState())
		} else {
			err = in.createView(ctx, s.t.tx, s.reads[i])
		}
		if err != nil {
			return arrivalFault(in.Source, err)
		}
		if err := in.cover(ctx, s.t.tx, s.scope.seen(in.Source)); err != nil {
			return err
		}
		names = append(names, in.Source.Name)
	}
	return become(ctx, s.t.tx, names)
}

// newestState is when the newest state of knowledge of a source whose corrections arrive begins, nil where there is but one.
func (in *Input) newestState() *feature.Time {
	var newest *feature.Time
	for _, l := range in.arriving {
		for _, at := range []*feature.Time{l.brought, l.ended} {
			if at != nil && (newest == nil || *at > *newest) {
				newest = at
			}
		}
	}
	return newest
}

// selected is the query, each column in the type that decodeValue takes. Postgres keeps the order of a subquery that nothing is
// done with.
func (s *Spine) selected() string {
	selects := make([]string, len(s.Columns))
	for i, c := range s.Columns {
		selects[i] = quote(c.Name) + "::" + castType(c.Type)
	}
	return "SELECT " + strings.Join(selects, ", ") + " FROM (" + s.query.Render(0, 0) + "\n) AS " + outputView
}

// events is the query for the events of the source.
func (s *Spine) events() string {
	in := s.t.Inputs[0]
	src := in.Source
	if len(in.arriving) > 0 {
		in.live = in.live[:0]
		for _, l := range in.arriving {
			if l.ended == nil {
				in.live = append(in.live, l.id)
			}
		}
	}
	selects := make([]string, len(s.Columns))
	for i, c := range s.Columns {
		selects[i] = quote(c.Name) + "::" + castType(c.Type)
	}
	var order []string
	by := func(name, cast string) {
		// The order would tell of what is masked.
		if seen := s.scope.seen(src); seen == nil || seen.Masks[name] == nil {
			order = append(order, quote(src.Name, name)+cast)
		}
	}
	by(src.EventTime, "")
	switch {
	case len(src.UniqueKey) > 0:
		for _, name := range src.UniqueKey {
			by(name, "")
		}
	case in.foreign == nil:
		order = append(order, fmt.Sprintf("array_position(%s, _load)", in.liveArray()), "_row")
	default:
		// Rows that are equal in all of this are the same.
		for _, c := range src.Columns {
			by(c.Name, "::text")
		}
	}
	if len(order) == 0 {
		order = append(order, "random()")
	}
	return "SELECT " + strings.Join(selects, ", ") + " FROM " + in.table + " AS " + quote(src.Name) + " WHERE " + in.Considered(s.reads[0]) +
		" ORDER BY " + strings.Join(order, ", ")
}

// Close ends the snapshot. Nothing of it stays.
func (s *Spine) Close(ctx context.Context) error {
	s.t.closeRemotes(ctx)
	if s.t.conn.IsClosed() {
		return nil
	}
	return s.t.tx.Rollback(context.WithoutCancel(ctx))
}

// numericLimits are the precision and scale that a type modifier of numeric gives.
func numericLimits(typmod int32) (precision, scale int, ok bool) {
	if typmod < 4 {
		return 0, 0, false
	}
	n := typmod - 4
	precision, scale = int(n>>16&0xffff), int(n&0x7ff^0x400)-0x400
	return precision, scale, precision <= feature.MaxPrecision && scale >= 0 && scale <= precision
}

// readAs is the feature type that an output column of a Postgres type is read as: the wanted one where it can be, else the one that
// holds every value of it.
func readAs(name string, typmod int32, wanted feature.Type) (feature.Type, bool) {
	if wanted.Kind() != feature.TypeInvalid && slices.Contains(outputTypes(wanted), name) {
		return wanted, true
	}
	if elem, ok := strings.CutPrefix(name, "_"); ok {
		t, ok := readAs(elem, typmod, feature.TypeInvalid)
		if !ok {
			return feature.TypeInvalid, false
		}
		return feature.ListType(t), true
	}
	if precision, scale, ok := numericLimits(typmod); name == "numeric" && ok {
		return feature.DecimalType(precision, scale), true
	}
	for _, t := range []feature.Type{feature.TypeBool, feature.TypeInt64, feature.TypeFloat64, feature.TypeString, feature.TypeTimestamp, feature.TypeBytes} {
		if slices.Contains(outputTypes(t), name) {
			return t, true
		}
	}
	return feature.TypeInvalid, false
}

// castFor is the cast that makes of a column of no type of ours one of such.
func castFor(name string) string {
	elem, array := strings.CutPrefix(name, "_")
	cast := "text"
	switch elem {
	case "date", "timestamp":
		cast = "timestamptz"
	case "numeric", "money":
		cast = "numeric(18, 4)"
	case "oid", "xid", "cid":
		cast = "bigint"
	}
	if array {
		cast += "[]"
	}
	return cast
}

package offline

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/testenv"
)

// keeping is a table of others with a column of every kind, of which runs keep the rows.
type keeping struct {
	view    *feature.ViewVersion
	columns []feature.Column
	reader  *pgx.Conn
	writer  *pgx.Conn
	run     int64
}

func newKeeping(t *testing.T) *keeping {
	t.Helper()
	pool := testenv.Postgres(t)
	k := &keeping{columns: append([]feature.Column{{Name: "at", Type: feature.TypeTimestamp}}, allKinds()...)}
	k.view = viewOf("SELECT")
	k.view.SourceVersions = []*feature.SourceVersion{{Version: 1, Source: feature.Source{
		Name: "kinds", EventTime: "at", Columns: k.columns, Postgres: &feature.PostgresOrigin{Schema: "shop", Table: "kinds", Snapshot: true},
	}}}
	var definitions []string
	for _, c := range k.columns {
		definitions = append(definitions, quote(c.Name)+" "+columnType(c.Type))
	}
	for _, conn := range []**pgx.Conn{&k.reader, &k.writer} {
		var err error
		if *conn, err = pgx.ConnectConfig(t.Context(), pool.Config().ConnConfig.Copy()); err != nil {
			t.Fatal(err)
		}
		c := *conn
		t.Cleanup(func() { _ = c.Close(context.Background()) })
	}
	if _, err := k.writer.Exec(t.Context(), "CREATE SCHEMA shop; CREATE TABLE shop.kinds ("+strings.Join(definitions, ", ")+")"); err != nil {
		t.Fatal(err)
	}
	return k
}

// rows is what a transform that was read shows of the source, as Postgres has it, in an order of its own.
func (k *keeping) rows(ctx context.Context, t *Transform) (rows [][][]byte, err error) {
	query := "SELECT " + quoteAll("", namesOf(k.columns)) + " FROM " + t.Inputs[0].Table() + " AS _rows ORDER BY " + quoteAll("", namesOf(k.columns))
	err = copyOut(ctx, t.conn, query, func(fields [][]byte) error {
		row := make([][]byte, len(fields))
		for i, f := range fields {
			row[i] = bytes.Clone(f)
		}
		rows = append(rows, row)
		return nil
	})
	return rows, err
}

// again keeps what a run reads of the table, empties it, and returns what the run read and what it reads when it is computed again.
func (k *keeping) again(ctx context.Context) (read, kept [][][]byte, err error) {
	k.run++
	t, err := BeginTransform(ctx, k.reader, Scope{View: k.view})
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = t.Close(ctx) }()
	if err := t.Read(ctx); err != nil {
		return nil, nil, err
	}
	if err := t.KeepRows(ctx, k.writer, k.run, KeepBounds{Rows: MaxKeptRows, Bytes: MaxKeptBytes}, noFence); err != nil {
		return nil, nil, err
	}
	if read, err = k.rows(ctx, t); err != nil {
		return nil, nil, err
	}
	in := t.Inputs[0]
	if err := t.Close(ctx); err != nil {
		return nil, nil, err
	}
	if _, err := k.writer.Exec(ctx, "TRUNCATE shop.kinds"); err != nil {
		return nil, nil, err
	}
	again, err := BeginTransform(ctx, k.reader, Scope{View: k.view, Plan: &t.Plan, Kept: KeptRun{ID: k.run, Sources: map[string]KeptRows{
		"kinds": {Kept: *in.Kept, Digest: *in.RowsDigest},
	}}})
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = again.Close(ctx) }()
	if err := again.Read(ctx); err != nil {
		return nil, nil, err
	}
	now := again.Inputs[0]
	if !now.FromKept() || *now.RowsDigest != *in.RowsDigest || now.Rows != in.Rows || len(again.Notes) > 0 {
		return nil, nil, fmt.Errorf("found %d rows, from kept ones: %t, notes %q; expected %d", now.Rows, now.FromKept(), again.Notes, in.Rows)
	}
	kept, err = k.rows(ctx, again)
	return read, kept, err
}

func noFence(context.Context, pgx.Tx) error { return nil }

// Whatever a table holds, what is kept of it is read back as the same values, of every kind.
func TestKeptRowsAreTheRowsThatWereRead(t *testing.T) {
	k := newKeeping(t)
	ctx := t.Context()
	rapid.Check(t, func(t *rapid.T) {
		for range rapid.IntRange(1, 3).Draw(t, "rows") {
			row := append([]feature.Value{feature.Timestamp(0)}, drawRow(t, k.columns[1:])...)
			for range rapid.IntRange(1, 2).Draw(t, "copies") {
				if err := copyRow(ctx, k.writer, "shop.kinds", k.columns, row); err != nil {
					t.Fatal(err)
				}
			}
		}
		read, kept, err := k.again(ctx)
		if err != nil || len(read) != len(kept) {
			t.Fatalf("found %d rows, %v, expected %d", len(kept), err, len(read))
		}
		for i := range read {
			for j, c := range k.columns {
				if f, g := read[i][j], kept[i][j]; !bytes.Equal(f, g) || (f == nil) != (g == nil) {
					// Of NaN there are many, and no text of it tells which.
					v, err := decodeValue(c.Type, f)
					w, err2 := decodeValue(c.Type, g)
					if err != nil || err2 != nil || !v.Equal(w) || !strings.Contains(v.Text(), "NaN") {
						t.Errorf("%s: found %x, expected %x", c.Type, g, f)
					}
				}
			}
		}
	})
}

// The bits of what is read are kept also where Headwater takes values for equal.
func TestKeptRowsHaveTheirBits(t *testing.T) {
	k := newKeeping(t)
	column := func(typ feature.Type) string {
		return k.columns[slices.IndexFunc(k.columns, func(c feature.Column) bool { return c.Type == typ })].Name
	}
	float, text, texts, floats := column(feature.TypeFloat64), column(feature.TypeString), column(feature.ListType(feature.TypeString)),
		column(feature.ListType(feature.TypeFloat64))
	vector, blob, at := column(feature.VectorType(3)), column(feature.TypeBytes), column(feature.ListType(feature.TypeTimestamp))
	number, numbers := column(feature.DecimalType(38, 38)), column(feature.ListType(feature.DecimalType(12, 2)))
	for _, c := range []struct{ column, value string }{
		{float, "'-0'"}, {float, "'5e-324'"}, {float, "'1.7976931348623157e308'"}, {float, "'-Infinity'"}, {float, "0.1"},
		{floats, "'{-0,0,NaN,Infinity,0.30000000000000004}'"}, {floats, "'[-3:-2]={1,2}'"}, {floats, "'{}'"},
		{text, "''"}, {text, "'null'"}, {text, "'NULL'"}, {text, `E'\\x00'`}, {text, `E'a\tb\r\n\\"{},'`}, {text, "U&'\\+01F600\\0301'"}, {text, "' x '"},
		{texts, `'{NULLS,"NULL","",null_,"a,b","{}","\""}'`}, {texts, "'[5:6]={x,y}'"},
		{vector, "'{-0,3.4028235e38,1e-45}'"}, {blob, `'\x'`}, {blob, `'\x00ff5c7822'`}, {at, "'{4001-01-01 BC,293999-12-31 23:59:59.999999Z}'"},
		{number, "0.99999999999999999999999999999999999999"}, {numbers, "'{-9999999999.99,0.00,1.5}'"},
	} {
		if _, err := k.writer.Exec(t.Context(), fmt.Sprintf(`INSERT INTO shop.kinds (at, %s) VALUES ('2024-01-01Z', %s)`, c.column, c.value)); err != nil {
			t.Fatal(err)
		}
		read, kept, err := k.again(t.Context())
		if err != nil || len(read) != 1 || len(kept) != 1 || !slices.EqualFunc(read[0], kept[0], bytes.Equal) {
			t.Errorf("%s: found %x, %v, expected %x", c.value, kept, err, read)
		}
	}
}

// Rows that runs share are there once, and go with the last of the runs; other runs that add some at the time do not lose theirs.
func TestKeptRowsGoWithTheLastRun(t *testing.T) {
	k := newKeeping(t)
	count := func(query string) (n int) {
		t.Helper()
		if err := k.writer.QueryRow(t.Context(), query).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	rows, links := "SELECT count(*) FROM headwater.kept_row", "SELECT sum(copies) FROM headwater.run_kept_row WHERE run_id = "
	for _, values := range []string{"('2024-01-01Z'), ('2024-01-02Z'), ('2024-01-02Z')", "('2024-01-02Z'), ('2024-01-03Z')"} {
		if _, err := k.writer.Exec(t.Context(), "INSERT INTO shop.kinds (at) VALUES "+values); err != nil {
			t.Fatal(err)
		}
		if _, _, err := k.again(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n, one, two := count(rows), count(links+"1"), count(links+"2"); n != 3 || one != 3 || two != 2 {
		t.Errorf("found %d rows, %d and %d of two runs; expected 3, 3 and 2", n, one, two)
	}
	// While a run adds rows, none go.
	adding, err := k.reader.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := adding.Exec(t.Context(), "SELECT pg_advisory_xact_lock_shared("+keptLock+")"); err != nil {
		t.Fatal(err)
	}
	forget := func() error {
		return pgx.BeginFunc(t.Context(), k.writer, func(tx pgx.Tx) error {
			if _, err := tx.Exec(t.Context(), "SET LOCAL lock_timeout = '10ms'"); err != nil {
				return err
			}
			return ForgetKept(t.Context(), tx, 1)
		})
	}
	if err := forget(); database.Fault(err) == nil {
		t.Error("rows went while a run added some")
	}
	if err := adding.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := forget(); err != nil {
		t.Fatal(err)
	}
	if n, two := count(rows), count(links+"2"); n != 2 || two != 2 {
		t.Errorf("found %d rows, %d of the run that is left, expected 2", n, two)
	}
}

// A source that grew since, or of which a column that the view does not use became another, shows the rows in its shape of now.
func TestKeptRowsOfAnotherShape(t *testing.T) {
	k := newKeeping(t)
	if _, err := k.writer.Exec(t.Context(), "INSERT INTO shop.kinds (at, c3) VALUES ('2024-01-01Z', 'x')"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := k.again(t.Context()); err != nil {
		t.Fatal(err)
	}
	var kept Kept
	for _, c := range k.columns {
		kept.Columns = append(kept.Columns, KeptColumn{Name: c.Name, Type: c.Type.String()})
	}
	src := *k.view.SourceVersions[0]
	src.Columns = slices.Clone(src.Columns)
	src.Columns[1].Type = feature.VectorType(7)
	src.Columns = append(src.Columns, feature.Column{Name: "more", Type: feature.ListType(feature.TypeString)})
	k.view.SourceVersions = []*feature.SourceVersion{&src}
	// The digest is of the row in its old shape.
	var sum feature.SetDigest
	var row []byte
	for _, c := range k.columns {
		v := feature.Null()
		switch c.Name {
		case "at":
			v = feature.Timestamp(feature.Time(1704067200_000_000))
		case "c3":
			v = feature.String("x")
		}
		row = v.AppendCanonical(row)
	}
	sum.Add(row)
	span := NewSpans(Span{Start: 1704067200_000_000, End: 1704067200_000_001})
	for _, digest := range []feature.Digest{sum.Digest(), {1}} {
		tr, err := BeginTransform(t.Context(), k.reader, Scope{View: k.view, Plan: &Plan{Owned: span}, Kept: KeptRun{ID: k.run,
			Sources: map[string]KeptRows{"kinds": {Kept: kept, Digest: digest}}}})
		const tampered = "source kinds: the rows that the run kept are not those that it read: someone changed them by other means"
		if digest != sum.Digest() {
			// The table is looked at in their place, and fits no longer.
			if err == nil || !strings.Contains(err.Error(), "does not fit its table any longer") {
				t.Errorf("found %v", err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if slices.Contains(tr.Notes, tampered) {
			t.Error("found the rows changed")
		}
		k.columns = src.Columns
		rows, err := k.rows(t.Context(), tr)
		if err != nil || len(rows) != 1 || binary.BigEndian.Uint64(rows[0][0]) == 0 || rows[0][1] != nil || string(rows[0][4]) != "x" || rows[0][len(rows[0])-1] != nil {
			t.Errorf("found %x, %v", rows, err)
		}
		if err := tr.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

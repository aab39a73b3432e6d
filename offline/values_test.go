package offline

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/anyvalue"
	"github.com/headwaterhq/headwater/internal/testenv"
)

// allKinds is a table's columns, one of each kind of type.
func allKinds() []feature.Column {
	var columns []feature.Column
	for i, t := range anyvalue.Kinds() {
		columns = append(columns, feature.Column{Name: fmt.Sprintf("c%d", i), Type: t})
	}
	return columns
}

func drawRow(t *rapid.T, columns []feature.Column) []feature.Value {
	row := make([]feature.Value, len(columns))
	for i, c := range columns {
		row[i] = anyvalue.OrNull(c.Type).Draw(t, c.Name)
	}
	return row
}

func namesOf(columns []feature.Column) []string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.Name
	}
	return names
}

// connectWithTable is a connection with a temporary table of the columns.
func connectWithTable(t *testing.T, table string, columns []feature.Column) *pgx.Conn {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.ConnectConfig(ctx, testenv.Postgres(t).Config().ConnConfig.Copy())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(ctx) })
	var definitions []string
	for _, c := range columns {
		definitions = append(definitions, quote(c.Name)+" "+columnType(c.Type))
	}
	if _, err := conn.Exec(ctx, "CREATE TEMPORARY TABLE "+table+" ("+strings.Join(definitions, ", ")+")"); err != nil {
		t.Fatal(err)
	}
	return conn
}

func copyRow(ctx context.Context, conn *pgx.Conn, table string, columns []feature.Column, row []feature.Value) error {
	return copyIn(ctx, conn, table, namesOf(columns), func(e *copyEncoder) error {
		e.beginRow(len(row))
		for _, v := range row {
			e.value(v)
		}
		return e.err
	})
}

// What is COPYed into a table comes out of it the same, whatever its type; the columns are read as tables have them and
// as outputs are cast.
func TestValuesRoundTripThroughPostgres(t *testing.T) {
	ctx := context.Background()
	columns := allKinds()
	conn := connectWithTable(t, "round_trip", columns)
	casts := make([]string, len(columns))
	for i, c := range columns {
		casts[i] = c.Name + "::" + castType(c.Type)
	}
	rapid.Check(t, func(t *rapid.T) {
		row := drawRow(t, columns)
		if _, err := conn.Exec(ctx, "TRUNCATE round_trip"); err != nil {
			t.Fatal(err)
		}
		if err := copyRow(ctx, conn, "round_trip", columns, row); err != nil {
			t.Fatal(err)
		}
		for _, selects := range []string{strings.Join(namesOf(columns), ", "), strings.Join(casts, ", ")} {
			n := 0
			err := copyOut(ctx, conn, "SELECT "+selects+" FROM round_trip", func(fields [][]byte) error {
				n++
				for i, f := range fields {
					v := feature.Null()
					if f != nil {
						var err error
						if v, err = decodeValue(columns[i].Type, f); err != nil {
							return err
						}
					}
					if !v.Equal(row[i]) {
						t.Errorf("%s: found %s, expected %s", columns[i].Type, v.Text(), row[i].Text())
					}
				}
				return nil
			})
			if err != nil || n != 1 {
				t.Fatalf("found %d rows, %v", n, err)
			}
		}
	})
}

// A run ends and begins rows by what Postgres takes for equal, and digests them by their canonical encoding.
func TestPostgresAgreesOnWhatIsEqual(t *testing.T) {
	ctx := context.Background()
	columns := allKinds()
	var both []feature.Column
	var same []string
	for _, c := range columns {
		both = append(both, feature.Column{Name: "a" + c.Name, Type: c.Type}, feature.Column{Name: "b" + c.Name, Type: c.Type})
		same = append(same, fmt.Sprintf("a%[1]s IS NOT DISTINCT FROM b%[1]s", c.Name))
	}
	conn := connectWithTable(t, "pairs", both)
	equal := 0
	rapid.Check(t, func(t *rapid.T) {
		var row []feature.Value
		for i, v := range drawRow(t, columns) {
			other := v
			switch rapid.IntRange(0, 2).Draw(t, "other") {
			case 0:
				other = anyvalue.OrNull(columns[i].Type).Draw(t, "another")
			case 1:
				other = rewritten(v)
			}
			row = append(row, v, other)
		}
		if _, err := conn.Exec(ctx, "TRUNCATE pairs"); err != nil {
			t.Fatal(err)
		}
		if err := copyRow(ctx, conn, "pairs", both, row); err != nil {
			t.Fatal(err)
		}
		err := copyOut(ctx, conn, "SELECT "+strings.Join(same, ", ")+" FROM pairs", func(fields [][]byte) error {
			for i, f := range fields {
				a, b := row[2*i], row[2*i+1]
				if a.Equal(b) != (f[0] != 0) {
					t.Errorf("%s: %s and %s are equal: %t, in Postgres %t", columns[i].Type, a.Text(), b.Text(), a.Equal(b), f[0] != 0)
				}
				if a.Equal(b) {
					equal++
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
	if equal == 0 {
		t.Error("no two values were equal")
	}
}

// rewritten is a value that is equal and has other bits, where there is one.
func rewritten(v feature.Value) feature.Value {
	if v.Type() != feature.TypeFloat64 {
		return v
	}
	switch f := v.Float64(); {
	case f == 0:
		return feature.Float64(math.Copysign(0, -1))
	case f != f:
		return feature.Float64(math.Float64frombits(0xfff8000000000123))
	}
	return v
}

// The numeric that Postgres has of a decimal is the one that the text says, and the other way around.
func TestNumericsAreTheirText(t *testing.T) {
	ctx := context.Background()
	conn := connectWithTable(t, "unused", nil)
	rapid.Check(t, func(t *rapid.T) {
		typ := feature.DecimalType(38, rapid.IntRange(0, 38).Draw(t, "scale"))
		if rapid.Bool().Draw(t, "narrow") {
			typ = feature.DecimalType(max(1, typ.Scale()), typ.Scale())
		}
		v := anyvalue.Of(typ).Draw(t, "value")
		const binary, numericOID = 1, 1700
		read := conn.PgConn().ExecParams(ctx, "SELECT $1::numeric::text", [][]byte{appendNumeric(nil, v)}, []uint32{numericOID}, []int16{binary}, nil).Read()
		if read.Err != nil || string(read.Rows[0][0]) != v.Text() {
			t.Fatalf("Postgres reads %s, %v; expected %s", read.Rows, read.Err, v.Text())
		}
		number := rapid.StringMatching(`-?[0-9]{0,45}(\.[0-9]{0,45})?`).Filter(func(s string) bool { return strings.Trim(s, "-.") != "" }).Draw(t, "number")
		number += rapid.SampledFrom([]string{"", "", "e3", "e-5", "e40", "e-40"}).Draw(t, "exponent")
		want, wantErr := feature.ParseDecimal(typ, number)
		err := copyOut(ctx, conn, "SELECT '"+number+"'::numeric", func(fields [][]byte) error {
			found, err := decodeValue(typ, fields[0])
			if (err == nil) != (wantErr == nil) || !found.Equal(want) {
				t.Fatalf("%s as %s: found %s, %v; expected %s, %v", number, typ, found.Text(), err, want.Text(), wantErr)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func TestDecodeRefusesWhatTypesDoNotHold(t *testing.T) {
	ctx := context.Background()
	conn := connectWithTable(t, "unused", nil)
	list := feature.ListType(feature.TypeInt64)
	for _, c := range []struct {
		typ       feature.Type
		sql, want string
	}{
		{feature.DecimalType(4, 2), "1.005::numeric", "found 1.005, with 3 digits behind the point, expected at most 2, as decimal(4, 2) has; round it where it is made"},
		{feature.DecimalType(4, 2), "-100::numeric", "found -100, with 3 digits before the point, expected at most 2, as decimal(4, 2) has"},
		{feature.DecimalType(4, 2), "1e20::numeric", "found 100000000000000000000, with 21 digits before the point, expected at most 2, as decimal(4, 2) has"},
		{feature.DecimalType(4, 2), "1e-20::numeric", "found 0.00000000000000000001, with 20 digits behind the point, expected at most 2, as decimal(4, 2) has; round it where it is made"},
		{feature.DecimalType(4, 2), "'NaN'::numeric", "found NaN, expected a number: a decimal(4, 2) has no other; leave it out, or make it NULL"},
		{feature.DecimalType(4, 2), "'-Infinity'::numeric", "found -Infinity, expected a number: a decimal(4, 2) has no other; leave it out, or make it NULL"},
		{list, "ARRAY[1, NULL]::bigint[]", "found NULL as element 2 of an array, expected none: lists and vectors hold no NULL; leave it out with array_remove(…, NULL)"},
		{list, "ARRAY[[1, 2], [3, 4]]::bigint[]", "found an array of 2 dimensions, expected one"},
		{feature.ListType(feature.TypeTimestamp), "ARRAY['infinity']::timestamptz[]", "element 1: " + errNoInstant.Error()},
		{feature.ListType(feature.DecimalType(2, 1)), "ARRAY[1, 1.25]::numeric[]", "element 2: found 1.25, with 2 digits behind the point, expected at most 1, as decimal(2, 1) has; round it where it is made"},
		{feature.VectorType(2), "ARRAY[1]::real[]", "found 1 floats, expected 2, as vector(2) has"},
		{feature.VectorType(2), "'{}'::real[]", "found 0 floats, expected 2, as vector(2) has"},
	} {
		err := copyOut(ctx, conn, "SELECT "+c.sql, func(fields [][]byte) error {
			v, err := decodeValue(c.typ, fields[0])
			if _, bad := err.(badValue); !bad || err.Error() != c.want {
				t.Errorf("%s:\nfound    %s, %v\nexpected %s", c.sql, v.Text(), err, c.want)
			}
			return nil
		})
		if err != nil {
			t.Errorf("%s: %v", c.sql, err)
		}
	}
	// Bounds that do not begin with 1 say nothing about the list.
	err := copyOut(ctx, conn, "SELECT '[5:6]={7,8}'::bigint[]", func(fields [][]byte) error {
		if v, err := decodeValue(list, fields[0]); err != nil || v.Text() != "[7,8]" {
			t.Errorf("found %s, %v", v.Text(), err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func FuzzDecodeValue(f *testing.F) {
	kinds := anyvalue.Kinds()
	f.Add(byte(0), []byte{0, 1, 0, 0, 0, 0, 0, 2, 0, 1})
	f.Add(byte(11), []byte{0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 1})
	f.Fuzz(func(t *testing.T, kind byte, field []byte) {
		typ := kinds[int(kind)%len(kinds)]
		v, err := decodeValue(typ, field)
		if err != nil {
			return
		}
		e := newCopyEncoder(nil)
		e.buf = e.buf[:0]
		e.value(v)
		if back, err := decodeValue(typ, e.buf[4:]); err != nil || !back.Equal(v) {
			t.Fatalf("% x is %s, which comes back as %s, %v", field, v.Text(), back.Text(), err)
		}
	})
}

// Equal values have one text in tables, so that a view that reads them makes one thing of them.
func TestZeroHasNoSignInTables(t *testing.T) {
	columns := []feature.Column{{Name: "n", Type: feature.TypeFloat64}, {Name: "l", Type: feature.ListType(feature.TypeFloat64)},
		{Name: "v", Type: feature.VectorType(1)}}
	conn := connectWithTable(t, "zeros", columns)
	zero := feature.Float64(math.Copysign(0, -1))
	list, err := feature.List(columns[1].Type, []feature.Value{zero})
	if err != nil {
		t.Fatal(err)
	}
	vector, err := feature.Vector(columns[2].Type, []float32{float32(math.Copysign(0, -1))})
	if err != nil {
		t.Fatal(err)
	}
	if err := copyRow(t.Context(), conn, "zeros", columns, []feature.Value{zero, list, vector}); err != nil {
		t.Fatal(err)
	}
	var found string
	if err := conn.QueryRow(t.Context(), "SELECT n::text || l::text || v::text FROM zeros").Scan(&found); err != nil || found != "0{0}{0}" {
		t.Errorf("found %s, %v, expected zeros without a sign", found, err)
	}
}

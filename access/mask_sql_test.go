package access

import (
	"context"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/anyvalue"
	"github.com/headwaterhq/headwater/internal/testenv"
)

// Of every mask that can be said in SQL, and of any value, Postgres shows what Go does.
func TestMasksAreAlikeInGoAndPostgres(t *testing.T) {
	ctx := context.Background()
	pool := testenv.Postgres(t)
	types := map[feature.Type]string{
		feature.TypeBool: "boolean", feature.TypeInt64: "bigint", feature.TypeFloat64: "double precision", feature.TypeString: "text", feature.TypeTimestamp: "timestamptz",
		feature.DecimalType(12, 2): "numeric", feature.DecimalType(38, 0): "numeric", feature.DecimalType(38, 38): "numeric",
	}
	var kinds []feature.Type
	for _, typ := range anyvalue.Kinds() {
		if types[typ] != "" {
			kinds = append(kinds, typ)
		}
	}
	masks := []*feature.Mask{
		mask(feature.MaskRedact, nil), constantOf(7.0), constantOf("x"), constantOf(true), constantOf("12.5"), constantOf("2020-02-29T12:00:00Z"),
		partial(0, 0, ""), partial(2, 1, "#"), partial(0, 3, "é"), partial(30, 30, ""),
		bucketAt("0"), bucketAt("-9223372036854775808", "0.5", "100"), bucketAt("-99999999999999999999", "99999999999999999999"), bucketAt("0.001", "0.0015"),
		roundTo("10"), roundTo("0.05"), roundTo("2.5"), roundTo("9223372036854775807"), roundTo("18446744073709551616"), roundTo("0.3"), roundTo("1000000000000000000000000"),
	}
	for _, unit := range feature.TruncateUnits() {
		masks = append(masks, truncateTo(unit))
	}
	compared, runs := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		runs++
		typ := rapid.SampledFrom(kinds).Draw(t, "type")
		v := anyvalue.OrNull(typ).Draw(t, "value")
		for _, m := range masks {
			sql := MaskSQL(m, typ)
			if sql == nil {
				if typ != feature.TypeFloat64 || m.Kind != feature.MaskRound {
					t.Fatalf("%s of %s: found no SQL", m, typ)
				}
				continue
			}
			var args []any
			parameter := func(value any, typ string) string {
				args = append(args, value)
				return fmt.Sprintf("$%d::%s", len(args), typ)
			}
			value := func(v feature.Value) string {
				if typ == feature.TypeTimestamp {
					return parameter(v.Timestamp().Time(), "timestamptz")
				}
				return parameter(v.Text(), "text") + "::" + types[typ]
			}
			column := "NULL::" + types[typ]
			if !v.IsNull() {
				column = value(v)
			}
			expected := feature.Null()
			if !v.IsNull() {
				expected = CompileMask(m, typ, MaskSecret{}, "")(v)
			}
			if expected.Type() == feature.TypeTimestamp && expected.Timestamp().Time().Year() < 1 {
				continue
			}
			// The shown value is compared as one of the type.
			shown := "NULL::" + types[typ]
			if !expected.IsNull() {
				shown = value(expected)
			}
			var same bool
			var found *string
			query := fmt.Sprintf("SELECT s IS NOT DISTINCT FROM %s, s::text FROM (SELECT (%s)::%s AS s FROM (SELECT %s AS c) AS r) AS q", shown, sql("c", parameter), types[typ], column)
			if err := pool.QueryRow(ctx, query, args...).Scan(&same, &found); err != nil {
				t.Fatalf("%s of %s %s: %v\n%s", m, typ, v.Text(), err, query)
			}
			if !same {
				text := "NULL"
				if found != nil {
					text = *found
				}
				t.Fatalf("%s of %s %s: found %s in Postgres, expected %s", m, typ, v.Text(), text, expected.Text())
			}
			compared++
		}
	})
	if !t.Failed() && compared < 10*runs {
		t.Errorf("found %d values compared in %d runs, expected at least ten in each", compared, runs)
	}
	for _, m := range []*feature.Mask{hashBy(false), hashBy(true)} {
		if MaskSQL(m, feature.TypeString) != nil {
			t.Errorf("found SQL for %s", m)
		}
	}
}

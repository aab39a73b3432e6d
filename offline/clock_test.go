package offline

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/testenv"
)

func TestConstantsOfTheClockAreRefused(t *testing.T) {
	pool := testenv.Postgres(t)
	for condition, want := range map[string]string{
		`date < 'now'`:                                      `line 2, column 14 of its SQL: found the constant 'now', which is another time in each run`,
		`date < timestamptz 'NOW'`:                          `found the constant 'NOW'`,
		`date < ' today '::timestamp`:                       `found the constant ' today '`,
		`date::date = CAST('tomorrow' AS date)`:             `found the constant 'tomorrow'`,
		`date < 'yesterday 10:00'::timestamptz(0)`:          `found the constant 'yesterday 10:00'`,
		`date < $$today$$::date + 1`:                        `found the constant $$today$$`,
		`date::date = ANY ('{2001-01-01,today}')`:           `found the constant '{2001-01-01,today}'`,
		`EXISTS (SELECT WHERE '[,now)'::tstzrange @> date)`: `found the constant '[,now)'`,
		`origin = 'now' OR origin LIKE '%today%'`:           ``,
		`origin IN ('yesterday', 'tomorrow')`:               ``,
		`date < '2001-01-01 00:00+00'`:                      ``,
		`date < date '2001-01-01'`:                          ``,
		`date < '2001-01-01'`: `line 2, column 14 of its SQL: found the constant '2001-01-01', which sessions of other settings read as another value, ` +
			`expected one that says all; write its offset: '2024-01-31 08:00+00' (rule constant)`,
		`date < date '01/02/2001'`:     `write it as YEAR-MONTH-DAY: '2024-01-31'`,
		`date < 'infinity' -- not now`: ``,
	} {
		v := viewOf("SELECT origin, event_time, available_at, delay AS n FROM flights\nWHERE " + condition)
		err := inRolledBack(t, pool, func(tx pgx.Tx) error { return checkOnly(t.Context(), tx, v) })
		switch {
		case want == "" && err != nil:
			t.Errorf("%s\nrefused: %v", condition, err)
		case want != "" && (fault.ReasonOf(err) != fault.InvalidSQL || !strings.Contains(err.Error(), want)):
			t.Errorf("%s\nfound:    %v\nexpected: %s", condition, err, want)
		}
	}
	src := flightsSource()
	src.ArrivalExpression = `greatest(date, 'now')`
	err := inRolledBack(t, pool, func(tx pgx.Tx) error { return CheckSource(t.Context(), tx, src) })
	if fault.ReasonOf(err) != fault.InvalidDefinition || !strings.Contains(err.Error(), `found the constant 'now'`) {
		t.Errorf("as an arrival time: found %v", err)
	}
}

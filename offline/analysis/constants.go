package analysis

import (
	"bytes"
	"context"
	"encoding/binary"
	"regexp"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
)

// otherView is the temporary view that the query is analysed as a second time.
const otherView = "_headwater_other"

// clockWords are what Postgres reads as a time of the clock's in a constant.
var clockWords = regexp.MustCompile(`(?i)\b(now|today|tomorrow|yesterday)\b`)

// checkConstants refuses constants that Postgres made of text and that are another value in another session or at another
// time. All that is left of such a text in the tree is its value, so that the query is analysed again:
//
//   - with another order of day and month, another sign of intervals, and a time zone in which it is another day now. So
//     differ: times without an offset, 'today' and its like of any type, dates such as 01/02/2024, and 'now' without a
//     zone;
//   - 'now' with a zone is the same in both, and is the start of this very transaction, to the microsecond.
func (a *analyser) checkConstants(ctx context.Context) error {
	var now int64
	var zone string
	err := a.tx.QueryRow(ctx, `
		SELECT (extract(epoch FROM now()) * 1000000)::bigint - 946684800000000,
			CASE WHEN extract(hour FROM now() AT TIME ZONE 'UTC') < 12 THEN 'Etc/GMT+12' ELSE 'Etc/GMT-14' END`).Scan(&now, &zone)
	if err != nil {
		return err
	}
	pattern := binary.LittleEndian.AppendUint64(nil, uint64(now))
	a.tree.walk(nil, func(n *Node, _ []*Node) bool {
		if n.Tag == "CONST" && isTimeType(n.oid("consttype")) && bytes.Contains(n.get("constvalue").Datum, pattern) {
			a.refuseConstant(n.location(), n.oid("consttype"))
		}
		return true
	})
	err = a.rolledBack(ctx, func(tx pgx.Tx) error {
		for _, s := range []feature.Setting{{Name: "TimeZone", Value: zone}, {Name: "DateStyle", Value: "SQL, DMY"}, {Name: "IntervalStyle", Value: "sql_standard"}} {
			if _, err := tx.Exec(ctx, `SELECT set_config($1, $2, true)`, s.Name, s.Value); err != nil {
				return err
			}
		}
		_, err := tx.Exec(ctx, a.statement.create(otherView))
		if pg := failed(err); pg != nil {
			offset := len(a.statement.prefix(a.statement.Name)) - len(a.statement.prefix(otherView))
			a.refuseConstant(offset+byteOffset(a.statement.create(otherView), int(pg.Position)-1), 0)
			return nil
		}
		if err != nil {
			return err
		}
		other, err := a.readTree(ctx, tx, viewName(otherView))
		if err != nil {
			return err
		}
		a.compare(a.tree, other)
		return nil
	})
	return err
}

// compare walks two trees of one shape, and refuses the constants that differ.
func (a *analyser) compare(x, y *Node) {
	if x == nil || y == nil || x.Tag != y.Tag || len(x.Fields) != len(y.Fields) {
		return
	}
	if x.Tag == "CONST" && !slices.Equal(x.get("constvalue").Datum, y.get("constvalue").Datum) {
		a.refuseConstant(x.location(), x.oid("consttype"))
		return
	}
	for i := range x.Fields {
		a.compareValues(x.Fields[i].Value, y.Fields[i].Value)
	}
}

func (a *analyser) compareValues(x, y Value) {
	a.compare(x.Node, y.Node)
	for i := range min(len(x.List), len(y.List)) {
		a.compareValues(x.List[i], y.List[i])
	}
}

// refuseConstant refuses the constant of a type at or behind a place.
func (a *analyser) refuseConstant(at int, typ uint32) {
	token := a.constantAt(at)
	place, text := at, "a constant"
	if token != nil {
		place, text = a.offsetOf(token), "the constant "+token.Text
	}
	if token != nil && clockWords.MatchString(token.Text) {
		a.refuse(Refusal{Rule: RuleConstant, Found: text + ", which is another time in each run", Expected: "none",
			Remedy: "write the time that is meant, or use {{interval.start}} and {{interval.end}}"}, place)
		return
	}
	remedy := "write its offset: '2024-01-31 08:00+00'"
	switch typ {
	case 1082, 1114:
		remedy = "write it as YEAR-MONTH-DAY: '2024-01-31'"
	case 0:
		remedy = "write it as YEAR-MONTH-DAY, and a time with its offset: '2024-01-31 08:00+00'"
	case 1186:
		remedy = "write a sign before each of its parts: '-1 day -2 hours'"
	}
	a.refuse(Refusal{Rule: RuleConstant, Found: text + ", which sessions of other settings read as another value", Expected: "one that says all",
		Remedy: remedy}, place)
}

// constantAt is the text constant at a place in the statement, or the next one behind it. Without a place it is the first
// that may be meant.
func (a *analyser) constantAt(at int) *feature.SQLToken {
	tokens := a.statement.Query.Tokens()
	for i := range tokens {
		t := &tokens[i]
		if t.Kind != feature.SQLString {
			continue
		}
		if at < 0 && (clockWords.MatchString(t.Text) || likeTime.MatchString(t.Text)) || at >= 0 && a.offsetOf(t) >= at {
			return t
		}
	}
	return nil
}

var likeTime = regexp.MustCompile(`\d+[-/.:]\d+`)

// byteOffset is where the n-th character of s begins; Postgres counts characters.
func byteOffset(s string, n int) int {
	for i := range s {
		if n <= 0 {
			return i
		}
		n--
	}
	return len(s)
}

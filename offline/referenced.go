package offline

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/database"
)

// Referenced are the sources, besides those that it reads, in which a view and its sources expect values to be: by name.
func Referenced(v *feature.ViewVersion) []string {
	var names []string
	add := func(list []feature.Expectation) {
		for i := range list {
			if r := list[i].References; r != nil && !slices.Contains(names, r.Source) {
				names = append(names, r.Source)
			}
		}
	}
	for _, s := range v.SourceVersions {
		add(s.Expectations)
	}
	add(v.Expectations)
	slices.Sort(names)
	return names
}

// openReferences notes up to which load sources are considered in which values are expected to be.
func (t *Transform) openReferences(ctx context.Context) error {
	for _, name := range Referenced(t.View) {
		if _, ok := t.Plan.Marks.References[name]; ok {
			continue
		}
		var number int64
		if err := t.tx.QueryRow(ctx, `SELECT coalesce(max(number), 0) FROM headwater.load WHERE source = $1`, name).Scan(&number); err != nil {
			return err
		}
		if t.Plan.Marks.References == nil {
			t.Plan.Marks.References = map[string]int64{}
		}
		t.Plan.Marks.References[name] = number
	}
	return nil
}

// LandedRows is what stands after FROM for the rows of a landing source, and the condition that those meet that are live as of a load
// number. exists is false when there is no such source any more.
func LandedRows(ctx context.Context, q database.Querier, source string, number int64) (table, where string, exists bool, err error) {
	err = q.QueryRow(ctx, `SELECT EXISTS (SELECT FROM headwater.landing WHERE source = $1)`, source).Scan(&exists)
	if err != nil || !exists {
		return "", "", false, err
	}
	var loads []int64
	err = q.QueryRow(ctx, `
		SELECT coalesce(array_agg(id), '{}') FROM headwater.load l WHERE source = $1 AND number <= $2 AND retract_reason IS NULL
			AND NOT EXISTS (SELECT FROM headwater.load e WHERE e.source = $1 AND e.number <= $2 AND e.ends = l.id)`, source, number).Scan(&loads)
	if err != nil {
		return "", "", false, err
	}
	where = "false"
	if len(loads) > 0 {
		ids := make([]string, len(loads))
		for i, id := range loads {
			ids[i] = strconv.FormatInt(id, 10)
		}
		where = "_load = ANY ('{" + strings.Join(ids, ",") + "}'::bigint[])"
	}
	return quote(landingSchema, source), where, true, nil
}

// Referring is what became of a source in which values are expected to be.
type Referring struct {
	Source string
	// Newest is the greatest number of its live loads, as of the number asked for, and NewestID that load's id; 0: there is none.
	Newest, NewestID int64

	number int64
	// ended are the loads that were live before and are not any more.
	ended []int64
}

// ReferencedSince is what became of a landing source from one load number to another.
func ReferencedSince(ctx context.Context, q database.Querier, source string, since, number int64) (*Referring, error) {
	r := &Referring{Source: source, number: number}
	err := q.QueryRow(ctx, `
		WITH l AS (SELECT l.id, l.number, e.number AS ended FROM headwater.load l
			LEFT JOIN headwater.load e ON e.ends = l.id AND e.number <= $3
			WHERE l.source = $1 AND l.number <= $3 AND l.retract_reason IS NULL)
		SELECT coalesce((SELECT max(number) FROM l WHERE ended IS NULL), 0), coalesce((SELECT id FROM l WHERE ended IS NULL ORDER BY number DESC LIMIT 1), 0),
			(SELECT coalesce(array_agg(id), '{}') FROM l WHERE number <= $2 AND ended > $2)`, source, since, number).Scan(&r.Newest, &r.NewestID, &r.ended)
	return r, err
}

// Gone counts the values of columns that rows of the source had before, and none of its live rows has.
func (r *Referring) Gone(ctx context.Context, q database.Querier, columns []string) (n int64, err error) {
	if len(r.ended) == 0 {
		return 0, nil
	}
	table, where, exists, err := LandedRows(ctx, q, r.Source, r.number)
	if err != nil || !exists {
		return 0, err
	}
	var present []string
	for _, c := range columns {
		present = append(present, quote(c)+" IS NOT NULL")
	}
	list := quoteAll("", columns)
	err = q.QueryRow(ctx, "SELECT count(*) FROM (SELECT "+list+" FROM "+table+" WHERE _load = ANY ($1) AND "+strings.Join(present, " AND ")+
		" EXCEPT SELECT "+list+" FROM "+table+" WHERE "+where+") AS gone", r.ended).Scan(&n)
	return n, err
}

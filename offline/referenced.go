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

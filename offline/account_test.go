package offline

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/testenv"
	"github.com/headwaterhq/headwater/offline/analysis"
)

// fewRows is how many rows of the counted relation there are: the query runs once over each of them.
const fewRows = 20

// TestShadowsCountWhatIsUsed holds the shadows of every query of the corpus to the query itself: where nothing but joins and
// WHERE decides it, a row is used if and only if the query has output when it is the only one of its relation.
func TestShadowsCountWhatIsUsed(t *testing.T) {
	pool := testenv.Postgres(t)
	sources := readCorpusSources(t)
	seedCorpus(t, pool, sources)
	all, counted, held, not := 0, 0, 0, map[string]int{}
	for _, file := range corpusFiles(t) {
		for _, s := range readCorpus(t, file) {
			if len(s.verdict) == 0 || s.verdict[0] != "accepted" {
				continue
			}
			v := s.view(sources)
			err := inRolledBack(t, pool, func(tx pgx.Tx) error {
				sp, err := tx.Begin(t.Context())
				if err != nil {
					return err
				}
				defer func() { _ = sp.Rollback(t.Context()) }()
				shadows, err := corpusShadows(t.Context(), sp, v)
				if err != nil {
					return err
				}
				for _, sh := range shadows {
					where := fmt.Sprintf("%s: %s: %s", filepath.Base(file), s.name, sh.Relation)
					switch {
					case sh.Why != "":
						not[sh.Why]++
						t.Logf("%s: not counted: %s", where, sh.Why)
						continue
					case sh.All:
						all++
					default:
						counted++
					}
					exact, err := holdShadow(t, sp, v, sh, where)
					if err != nil {
						return fmt.Errorf("%s: %w\n%s\n%+v", where, err, v.SQL.Query, sh)
					}
					if exact {
						held++
					}
				}
				return nil
			})
			if err != nil {
				t.Errorf("%s: %s: %v", filepath.Base(file), s.name, err)
			}
		}
	}
	t.Logf("%d used whole, %d counted, %d held to the query, not counted: %v", all, counted, held, not)
	if all < 40 || counted < 40 || held < 60 {
		t.Errorf("found %d relations used whole, %d counted and %d held to their query, expected at least 40, 40 and 60", all, counted, held)
	}
}

func corpusShadows(ctx context.Context, tx pgx.Tx, v *feature.ViewVersion) (shadows []analysis.Shadow, err error) {
	sp, err := tx.Begin(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = sp.Rollback(ctx) }()
	if err := pinSession(ctx, sp); err != nil {
		return nil, err
	}
	if err := createEmptyInputs(ctx, sp, v); err != nil {
		return nil, err
	}
	span := Span{Start: corpusStart, End: corpusEnd}
	if err := createOutputView(ctx, sp, v, span); err != nil {
		return nil, err
	}
	statement, err := outputStatement(v, span)
	if err != nil {
		return nil, err
	}
	return analysis.Account(ctx, sp, analysis.Input{Statement: *statement, Relations: inputRelations(v), Functions: v.SQL.Functions,
		Clocks: true, Grain: v.Grain, Lookback: v.Lookback})
}

// holdShadow counts by a shadow, and by the query over one row at a time. exact says that the two had to be equal.
func holdShadow(t *testing.T, tx pgx.Tx, v *feature.ViewVersion, sh analysis.Shadow, where string) (exact bool, err error) {
	ctx := t.Context()
	sp, err := tx.Begin(ctx)
	if err != nil {
		return false, err
	}
	defer func() { _ = sp.Rollback(ctx) }()
	if err := pinSession(ctx, sp); err != nil {
		return false, err
	}
	show := func(condition string) error {
		for _, src := range v.SourceVersions {
			table, more := quote("first", src.Name), []string{}
			if src.Name == sh.Relation {
				table = fmt.Sprintf("(SELECT row_number() OVER (ORDER BY ctid) AS _n, * FROM %s ORDER BY ctid LIMIT %d)", table, fewRows)
				more = append(more, "_n AS "+quote(analysis.HiddenColumn))
			}
			where := ""
			if src.Name == sh.Relation {
				where = condition
			}
			if condition != "true" {
				more = nil
			}
			_, err := sp.Exec(ctx, "DROP VIEW IF EXISTS "+temporary(src.Name)+" CASCADE; CREATE TEMPORARY VIEW "+quote(src.Name)+" AS "+
				sourceSelect(src, table, where, more...))
			if err != nil {
				return err
			}
		}
		return nil
	}
	count := func(sql string) (n int64, err error) {
		query, problems := feature.ParseQuery(sql)
		if len(problems) > 0 {
			return 0, fmt.Errorf("%v", problems)
		}
		err = sp.QueryRow(ctx, query.Render(corpusStart, corpusEnd)).Scan(&n)
		return n, err
	}
	if err := show("true"); err != nil {
		return false, err
	}
	used := int64(fewRows)
	if !sh.All {
		if used, err = count(sh.Used); err != nil {
			return false, err
		}
	}
	own, matched := int64(fewRows), used
	if sh.Own != "" {
		if own, err = count(sh.Own); err != nil {
			return false, err
		}
	}
	if sh.Matched != "" {
		if matched, err = count(sh.Matched); err != nil {
			return false, err
		}
	}
	if used > matched || sh.Joins && matched > own {
		t.Errorf("%s: found %d used, %d matched and %d that pass conditions of their own, expected no more of each than of the next\n%s\n%+v",
			where, used, matched, own, v.SQL.Query, sh)
	}
	lower := strings.ToLower(v.SQL.Query)
	for _, w := range []string{"over (", "over w", "having", "left join", "right join", "full join", "not exists", "not in"} {
		if strings.Contains(lower, w) {
			return false, nil
		}
	}
	if sh.Several || !strings.Contains(lower, "group by") && strings.Contains(lower, "max(") {
		return false, nil
	}
	query, _ := feature.ParseQuery(v.SQL.Query)
	naive := int64(0)
	for n := 1; n <= fewRows; n++ {
		if err := show(fmt.Sprintf("_n = %d", n)); err != nil {
			return false, err
		}
		var some bool
		if err := sp.QueryRow(ctx, "SELECT EXISTS (SELECT FROM ("+query.Render(corpusStart, corpusEnd)+"\n) AS _q)").Scan(&some); err != nil {
			return false, err
		}
		if some {
			naive++
		}
	}
	if naive != used {
		t.Errorf("%s: found %d rows used by the shadow, expected the %d for which the query has output\n%s\n%+v", where, used, naive, v.SQL.Query, sh)
	}
	return true, nil
}

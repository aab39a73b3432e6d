package quality

import (
	"context"
	"reflect"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/headwaterhq/headwater/internal/testenv"
)

// seed is a database with one view version, of which runs are made by hand.
type seed struct {
	t    *testing.T
	pool *pgxpool.Pool
	view int64
	runs int64
}

func newSeed(t *testing.T) *seed {
	s := &seed{t: t, pool: testenv.Postgres(t)}
	err := s.pool.QueryRow(context.Background(), `
		INSERT INTO headwater.definition (kind, name, version, fingerprint, body, revision, applied_at, applied_by)
		VALUES ('view', 'v', 1, sha256('v'), '{}', 1, now(), 'ann') RETURNING id`).Scan(&s.view)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// run makes a run of the view with results. Published or failed.
func (s *seed) run(published bool, reach Reach, results ...Result) (id int64) {
	s.t.Helper()
	s.runs++
	ctx := context.Background()
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		state, position := "failed", (*int64)(nil)
		if published {
			state, position = "published", &s.runs
		}
		err := tx.QueryRow(ctx, `
			INSERT INTO headwater.run (view_id, seq, state, position, fingerprint, digest, principal, queued_at, interval_start, interval_end, scope, spans)
			VALUES ($1, $2, $3, $4, sha256('v'), sha256('d'), 'ann', now(), now(), now(), 'full', '{}') RETURNING id`, s.view, s.runs, state, position).Scan(&id)
		if err != nil {
			return err
		}
		return Record(ctx, tx, id, s.view, reach, results)
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return id
}

func TestHistoryOfChecks(t *testing.T) {
	s := newSeed(t)
	ctx := context.Background()
	metric, text := 0.25, "a int64"
	first := Result{
		Name: "amount_range", Subject: SourceSubject("pay"), State: Warned, Expected: "e", Found: "f", Look: "here", RowsFailed: 2, Action: "drop",
		Examples: []Example{{{"id", "7"}, {"shop", "x"}}, {{"id", "9"}}}, Metric: &metric, Measure: "m", Measured: &metric, MeasuredText: &text,
	}
	second := Result{Name: "rows", Subject: Output, State: Passed, Expected: "e", Found: "f"}
	a := s.run(true, ReachAll, first, second)
	second.State = Failed
	b := s.run(false, ReachNew, second)

	of, err := Of(ctx, s.pool, []int64{a, b})
	if err != nil {
		t.Fatal(err)
	}
	if len(of[a]) != 2 || !reflect.DeepEqual(of[a][0], first) || of[a][1].State != Passed || len(of[b]) != 1 {
		t.Errorf("found %+v", of)
	}
	names := func(check string, before int64, limit int) (found []string) {
		past, err := History(ctx, s.pool, "v", 0, check, before, limit)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range past {
			found = append(found, p.Ref+" "+p.RunState+" "+p.Name+" "+string(p.State))
		}
		return found
	}
	// The results of a run are not parted by the limit.
	for _, c := range []struct {
		check  string
		before int64
		limit  int
		want   []string
	}{
		{"", 0, 10, []string{"v@1/2 failed rows FAILED", "v@1/1 published amount_range WARNED", "v@1/1 published rows PASSED"}},
		{"", 0, 1, []string{"v@1/2 failed rows FAILED"}},
		{"", 0, 2, []string{"v@1/2 failed rows FAILED", "v@1/1 published amount_range WARNED", "v@1/1 published rows PASSED"}},
		{"", b, 1, []string{"v@1/1 published amount_range WARNED", "v@1/1 published rows PASSED"}},
		{"rows", 0, 10, []string{"v@1/2 failed rows FAILED", "v@1/1 published rows PASSED"}},
		{"none", 0, 10, nil},
	} {
		if found := names(c.check, c.before, c.limit); !reflect.DeepEqual(found, c.want) {
			t.Errorf("check %q before %d, limit %d: found %q, expected %q", c.check, c.before, c.limit, found, c.want)
		}
	}
	if past, err := History(ctx, s.pool, "v", 2, "", 0, 10); err != nil || len(past) != 0 {
		t.Errorf("another version: found %v and %v", past, err)
	}
}

func TestResultsInWords(t *testing.T) {
	r := Result{Name: "n", Subject: Output, State: Failed, Expected: "e", Found: "f", Look: "here"}
	if got, want := r.String(), "n of output: expected e, found f (here)"; got != want {
		t.Errorf("found %q, expected %q", got, want)
	}
	r.State, r.Look = Errored, ""
	if got, want := r.String(), "n of output broke, so that nothing is known of it: expected e, found f"; got != want {
		t.Errorf("found %q, expected %q", got, want)
	}
	results := []Result{{State: Passed}, {State: Passed}, {State: Skipped}, {State: NoBaseline}, {State: Warned}, {State: Failed}, {State: Errored}}
	if got, want := Summary(results), "1 errored, 1 failed, 1 warned, 1 no baseline, 1 skipped, 2 passed"; got != want {
		t.Errorf("found %q, expected %q", got, want)
	}
	if n := len(Blocking(results)); n != 2 {
		t.Errorf("found %d results that block, expected 2", n)
	}
}

package materialize

import (
	"strings"
	"testing"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/reference"
	"github.com/headwaterhq/headwater/quality"
)

// A run is held to what was measured of the runs before it, and tells of no mean.
func TestRunsUnlikeOthersAreTold(t *testing.T) {
	w := newWorld(t)
	src := w.newSource(t)
	view := w.newView(t, src, complete, 0)
	rows := func(n int, missing bool, plus float64) []reference.SourceRow {
		var list []reference.SourceRow
		for i := range n {
			value := feature.Float64(plus + float64(i%10))
			if missing && i%2 == 0 {
				value = feature.Null()
			}
			list = append(list, lateReading("a", 1, hours(float64(i)), hours(float64(i)), value))
		}
		return list
	}
	last := int64(0)
	for i := range 9 {
		last = w.load(t, src, last, rows(100+i%2, false, float64(i)/100)...)
		r := w.published(t, view, nil)
		if i < 8 && r.Anomalies.Tested != 0 || len(r.Anomalies.Found) != 0 {
			t.Errorf("run %d: found %+v, expected nothing to tell of", i+1, r.Anomalies)
		}
		if i == 8 && r.Anomalies.Tested != 7 {
			t.Errorf("found %+v, expected seven metrics to be held to eight runs", r.Anomalies)
		}
	}
	w.load(t, src, last, rows(100, true, 1000)...)
	r := w.published(t, view, nil)
	var found []string
	for _, a := range r.Anomalies.Found {
		found = append(found, a.Metric)
		if mean := strings.HasPrefix(a.Metric, "mean:"); (a.Value == nil) != mean || (a.Expected == nil) != mean || a.Points != 9 {
			t.Errorf("found %+v", a)
		}
	}
	if got := strings.Join(found, " "); got != "rows filtered mean:value" {
		t.Errorf("found anomalies of %s", got)
	}
	said := strings.Join(r.Warnings, "\n")
	if !strings.Contains(said, "anomaly of filtered: found 0.5, expected about 0, by 9 earlier runs (headwater quality view:"+view.Ref()+")") ||
		!strings.Contains(said, "anomaly of mean:value: it is unlike those of the runs before, by 9 earlier runs") {
		t.Errorf("found the warnings\n%s", said)
	}
	again := w.get(t, r.ID)
	if len(again.Anomalies.Found) != 3 || again.Anomalies.Tested != 7 {
		t.Errorf("found %+v kept", again.Anomalies)
	}
	tx, err := w.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(t.Context()) }()
	if err := quality.EraseRunProfile(t.Context(), tx, r.ID); err != nil {
		t.Fatal(err)
	}
	var means, others int
	err = tx.QueryRow(t.Context(), `SELECT count(*) FILTER (WHERE metric LIKE 'mean:%'), count(*) FROM headwater.run_metric WHERE run_id = $1`, r.ID).Scan(&means, &others)
	if err != nil || means != 0 || others != 5 {
		t.Errorf("found %d means among %d metrics after an erasure, %v", means, others, err)
	}
}

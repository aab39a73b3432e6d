package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/testenv"
)

// Predictions and outcomes come from files of any form, once, and what they say is told.
func TestFeedbackFiles(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a server")
	}
	w := openShop(t, startServe(t, testenv.EmptyPostgresURL(t), testenv.RedisURL(t)))
	w.must(t, "model", "register", "buyers", "--service", "shop_model")
	now := time.Now().UTC().Format(time.RFC3339)
	predictions := file(t, "predictions.ndjson", fmt.Sprintf(`{"id": "p-1", "time": %[1]q, "shop": "a", "prediction": "buys", "score": 0.9}
{"id": "p-2", "time": %[1]q, "shop": "007", "prediction": "leaves", "score": 0.2}
`, now))
	var logged headwaterv1.LogPredictionsResponse
	w.ask(t, &logged, "predictions", "log", predictions, "--model", "buyers")
	if logged.GetLogged() != 2 || logged.GetDuplicates() != 0 {
		t.Errorf("found %v", &logged)
	}
	again := file(t, "again.csv", fmt.Sprintf("shop,id,time,prediction,score\n007,p-2,%[1]s,leaves,0.2\n7,p-3,%[1]s,buys,0.6\n", now))
	w.ask(t, &logged, "predictions", "log", again, "--model", "buyers@1")
	if logged.GetLogged() != 1 || logged.GetDuplicates() != 1 {
		t.Errorf("found %v", &logged)
	}
	var many strings.Builder
	for i := range 2100 {
		fmt.Fprintf(&many, `{"id": "many-%d", "actual": "buys"}`+"\n", i)
	}
	var reported headwaterv1.ReportOutcomesResponse
	w.ask(t, &reported, "outcomes", "report", file(t, "many.ndjson", many.String()), "--model", "buyers")
	if reported.GetRecorded() != 2100 || reported.GetParked() != 2100 {
		t.Errorf("found %v", &reported)
	}
	outcomes := file(t, "outcomes.csv", "id,actual,time\np-1,buys,"+now+"\np-2,buys,"+now+"\np-9,leaves,"+now+"\n")
	if shown := strings.Join(spaced(w.must(t, "outcomes", "report", outcomes, "--model", "buyers")), "\n"); !strings.Contains(shown, "recorded 3") || !strings.Contains(shown, "parked until their predictions come 1") {
		t.Errorf("found\n%s", shown)
	}
	shown := strings.Join(spaced(w.must(t, "performance", "buyers", "--positive", "buys")), "\n")
	for _, want := range []string{"task classification", "with known outcomes 2, 66.7 % (20.8 % to 93.9 %)", "outcomes without a prediction 2101", "without a logged read 3", "accuracy 0.5 "} {
		if !strings.Contains(shown, want) {
			t.Errorf("found\n%s\nexpected %q in it", shown, want)
		}
	}
	shown = strings.Join(spaced(w.must(t, "attribute", "buyers", "--since", "2001-01-01", "--positive", "buys")), "\n")
	if !strings.Contains(shown, "verdict INSUFFICIENT_LABELS\nreason 2 outcomes of predictions since are known, and at least 50 are needed") {
		t.Errorf("found\n%s", shown)
	}
	for _, c := range []struct {
		code int
		want string
		args []string
	}{
		{exitUsage, "`headwater predictions log` needs --model", []string{"predictions", "log", predictions}},
		{exitUsage, "`headwater outcomes report` needs --model", []string{"outcomes", "report", outcomes}},
		{exitUsage, "`headwater attribute` needs --since", []string{"attribute", "buyers"}},
		{exitUsage, `--by: found "day", expected one of run, load, source, null-pattern, feature-bucket, column`, []string{"performance", "buyers", "--by", "day"}},
		{exitUsage, "found --by column without --column", []string{"performance", "buyers", "--by", "column"}},
		{exitUsage, "found --column x without --by", []string{"performance", "buyers", "--column", "x"}},
		{exitUsage, "found --column x with --by run", []string{"performance", "buyers", "--column", "x", "--by", "run"}},
		{exitUsage, `--task: found "ranking", expected classification or regression`, []string{"performance", "buyers", "--task", "ranking"}},
		{exitUsage, "found -o csv, expected table or json", []string{"attribute", "buyers", "--since", now, "-o", "csv"}},
		{exitNotFound, "there is no model sellers", []string{"performance", "sellers"}},
		{exitFailed, "found no column actual, expected what became of each prediction in it", []string{"outcomes", "report", file(t, "o.csv", "id\np\n"), "--model", "buyers"}},
		{exitFailed, "found column x, expected only id, actual and time", []string{"outcomes", "report", file(t, "o.csv", "id,actual,x\np,a,b\n"), "--model", "buyers"}},
		{exitFailed, "found no column time", []string{"predictions", "log", file(t, "p.csv", "id\np\n"), "--model", "buyers"}},
		{exitFailed, "row 1, column id: found nothing, expected the id of a prediction", []string{"predictions", "log", file(t, "p.csv", "id,time,shop\n,"+now+",a\n"), "--model", "buyers"}},
		{exitFailed, "row 1, column time: found nothing, expected when the prediction was made", []string{"predictions", "log", file(t, "p.csv", "id,time,shop\np,,a\n"), "--model", "buyers"}},
		{exitFailed, `predictions[0].id: found "p-1", under which model buyers has another prediction`,
			[]string{"predictions", "log", file(t, "p.csv", "id,time,shop,score\np-1,"+now+",a,0.3\n"), "--model", "buyers"}},
	} {
		if r := w.run(c.args...); r.code != c.code || !strings.Contains(r.err, c.want) {
			t.Errorf("%q: found status %d and %q, expected %d and %q", c.args, r.code, r.err, c.code, c.want)
		}
	}
}

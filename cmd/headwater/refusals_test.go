package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

// TestRefusals holds every kind of bad input to one message that names the place and the remedy, a fitting exit status,
// and a world that is as it was.
func TestRefusals(t *testing.T) {
	t.Parallel()
	d := startDev(t, passableFolder(t))
	empty := &shop{d.serverProcess}
	t.Run("nothing applied", empty.refuseWithoutDefinitions)
	empty.must(t, "apply", file(t, "shop.yaml", shopDefinitions))
	t.Run("nothing loaded", empty.refuseWithoutLoads)
	w := openShop(t, d.serverProcess)
	t.Run("definitions", w.refuseDefinitions)
	t.Run("files", w.refuseFiles)
	t.Run("spines", w.refuseSpines)
	t.Run("runs", w.refuseRuns)
	t.Run("names", w.refuseNames)
	t.Run("tokens", w.refuseTokens)
	if said := d.said(t); strings.Contains(said, "ERROR") || strings.Contains(said, "panic") {
		t.Errorf("found in the server's log\n%s", said)
	}
}

func (w *shop) refuseWithoutDefinitions(t *testing.T) {
	w.run("materialize", "totals").expect(t, exitNotFound, "", "headwater: found no view called \"totals\"; `headwater list view` shows "+
		"those that there are\n")
	w.run("get", "--service", "shop_model", "--entity", "shop=a").expect(t, exitNotFound, "", "headwater: found no service called "+
		"\"shop_model\"; `headwater list service` shows those that there are\n")
}

func (w *shop) refuseWithoutLoads(t *testing.T) {
	w.run("materialize", "totals", "--wait").expect(t, exitFailed, "*", "headwater: run totals@1/1 failed: view totals@1 reads source sales, "+
		"which has no rows yet; send some: headwater ingest sales FILE\n")
	w.expectServed(t, "a - -")
	out := filepath.Join(t.TempDir(), "out.csv")
	spine := file(t, "spine.csv", "shop,timestamp\na,2001-01-02\n")
	w.run("dataset", "build", "--service", "shop_model", "--spine", spine, "--out", out).expect(t, exitFailed, "", "headwater: view totals@1: "+
		"no run of it was published by position 0, so every value would be missing; run `headwater materialize totals@1 --wait` first\nview ratios@1: "+
		"no run of it was published by position 0, so every value would be missing; run `headwater materialize ratios@1 --wait` first\n")
	expectNoFile(t, out)
}

func expectNoFile(t *testing.T, path string) {
	t.Helper()
	if _, err := os.Stat(path); err == nil {
		t.Errorf("found %s, expected nothing to be written", path)
	}
}

// refuseDefinitions changes the world's own definitions at one place each.
func (w *shop) refuseDefinitions(t *testing.T) {
	totals := shopDefinitions[strings.Index(shopDefinitions, "  - name: totals"):strings.Index(shopDefinitions, "  - name: ratios")]
	for _, c := range []struct{ name, from, to, want string }{
		{"unknown key", "    entity: shop\n    grain", "    entitty: shop\n    grain",
			`:16:5: found the unknown key "entitty"; did you mean entity?`},
		{"unknown type", "type: int64}\n    sql", "type: integer}\n    sql",
			`:19:30: found type "integer", expected one of bool, int64, float64, decimal(p, s), string, bytes, timestamp, list(T), vector(n); write int64`},
		{"other type than the SQL's", "type: int64}\n    sql", "type: string}\n    sql",
			`:22:14: found output column amount of type int8, expected string; write (…)::text AS amount, or declare another type`},
		{"source of that name is not there", "sources: [sales]", "sources: [sale]", `:21:17: found no source called sale; did you mean sales?`},
		{"entity of that name is not there", "    entity: shop\n    grain", "    entity: shp\n    grain",
			`:16:13: found no entity called shp; did you mean shop?`},
		{"view of that name is not there", "{view: totals,", "{view: total,", `:41:16: found no view called total; did you mean totals?`},
		{"feature of that name is not there", "features: [amount]}", "features: [amuont]}",
			`:41:35: found no feature called amuont in view totals@1; did you mean amount?`},
		{"column of that name is not there", "sum(amount)", "sum(amont)",
			`:24:20: column "amont" does not exist. Perhaps you meant to reference the column "sales.amount".`},
		{"two views of one name", "feature_views:\n", "feature_views:\n" + totals,
			`:26:11: found a second view called totals, expected one of each name; rename or remove one; the other is `},
		{"no YAML", "entities:\n  - name: shop", "entities: [\n  - name: shop", `:2: found text that is not YAML: `},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := file(t, "bad.yaml", strings.Replace(shopDefinitions, c.from, c.to, 1))
			w.unchanged(t, func() {
				for _, command := range []string{"plan", "apply"} {
					r := w.run(command, path)
					if want := "headwater: found 1 problem in the definitions\n  " + path + c.want; r.code != exitFailed || r.out != "" ||
						!strings.HasPrefix(r.err, want) || strings.Count(r.err, "\n") != 2 {
						t.Errorf("%s: found status %d, standard output %q, standard error\n%s\nexpected 1 and\n%s", command, r.code, r.out, r.err, want)
					}
				}
			})
		})
	}
	t.Run("one name in two files", func(t *testing.T) {
		a, b := file(t, "a.yaml", shopDefinitions), file(t, "b.yaml", "entities:\n  - name: shop\n    join_keys:\n      - {name: shop, type: string}\n")
		headwater("validate", a, b).expect(t, exitFailed, "", "headwater: found 1 problem in the definitions\n  "+b+":2:11: found a second "+
			"entity called shop, expected one of each name; rename or remove one; the other is at "+a+":2:11\n")
	})
	t.Run("no file", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "none.yaml")
		w.run("apply", path).expect(t, exitFailed, "", "headwater: found 1 problem in the definitions\n  "+path+
			": found no such file or folder; check the path\n")
	})
}

func (w *shop) refuseFiles(t *testing.T) {
	spine := string(readFile(t, examples+"data/spine.parquet"))
	const header = "at,shop,amount,kind\n"
	for _, c := range []struct {
		name, file, content string
		code                int
		want                string
	}{
		{"missing column", "sales.csv", "at,shop,kind\n2001-01-01 10:05,a,ok\n", exitFailed, ": found no column amount, expected it; the file has at, shop, kind"},
		{"missing columns of a Parquet file", "sales.parquet", spine, exitFailed, ": found no columns at, shop, amount, kind, expected them; " +
			"the file has origin, destination, timestamp, delay"},
		{"bad timestamp", "sales.csv", header + "2001-01-01 10:05,a,1,ok\nyesterday,a,1,ok\n", exitFailed, `:3: column at: found "yesterday", ` +
			"expected a timestamp such as 2001-01-31T10:05:00Z, 2001-01-31 10:05:00.25 or 2001-01-31 (UTC where no offset is given)"},
		{"no timestamp", "sales.csv", header + ",a,1,ok\n", exitFailed, ":2: column at: found no value, expected a timestamp; fill it in, or take the row out"},
		{"bad number", "sales.csv", header + "2001-01-01 10:05,a,1.5,ok\n", exitFailed, `:2: column amount: found "1.5", ` +
			"expected an int64: a whole number from -9223372036854775808 to 9223372036854775807"},
		{"empty", "sales.csv", "", exitFailed, ": found an empty file, expected rows; check what was to write it"},
		{"no rows", "sales.csv", header, exitFailed, ": found no rows, expected at least one; check what was to write it"},
		{"empty Parquet", "sales.parquet", "", exitFailed, ": found an empty file, expected rows; check what was to write it"},
		{"truncated Parquet", "sales.parquet", spine[:len(spine)/2], exitFailed, fmt.Sprintf(": found the beginning of a Parquet file without its "+
			"end (%d bytes), expected it to end with PAR1; it was cut short, so copy or write it again", len(spine)/2)},
		{"another format", "sales.parquet", shopSales, exitFailed, `: found a file that begins with "at,shop,", expected parquet; it is not a file ` +
			"of that format, or it is damaged"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := file(t, c.file, c.content)
			w.unchanged(t, func() { w.run("ingest", "sales", path).expect(t, c.code, "", "headwater: "+path+c.want+"\n") })
		})
	}
	t.Run("the same file again", func(t *testing.T) {
		path := file(t, "again.csv", shopSales)
		w.unchanged(t, func() {
			w.run("ingest", "sales", path).expect(t, exitFailed, "", "headwater: again.csv: a file with the same SHA-256 is in source sales already, "+
				"as load 1; its rows would count twice. To load it again all the same, replace that load: --replaces 1\n")
		})
	})
	t.Run("in the place of no load", func(t *testing.T) {
		path := file(t, "corrected.csv", shopSalesCorrected)
		w.unchanged(t, func() {
			w.run("ingest", "sales", path, "--replaces", "9").expect(t, exitNotFound, "", "headwater: there is no load 9; `headwater loads list "+
				"SOURCE` shows those there are\n")
		})
	})
}

func (w *shop) refuseSpines(t *testing.T) {
	for _, c := range []struct{ name, content, want string }{
		{"no key", "store,timestamp\na,2001-01-02\n", ": found no column shop, expected it; the file has store, timestamp"},
		{"no timestamp", "shop,at\na,2001-01-02\n", ": found no column timestamp, expected it; the file has shop, at"},
		{"NULL timestamp", "shop,timestamp\na,2001-01-02\na,\n", ":3: column timestamp: found no value, expected a timestamp; fill it in, or " +
			"take the row out"},
		{"bad timestamp", "shop,timestamp\na,soon\n", `:2: column timestamp: found "soon", expected a timestamp such as 2001-01-31T10:05:00Z, ` +
			"2001-01-31 10:05:00.25 or 2001-01-31 (UTC where no offset is given)"},
		{"empty", "", ": found an empty file, expected rows; check what was to write it"},
	} {
		t.Run(c.name, func(t *testing.T) {
			spine, out := file(t, "spine.csv", c.content), filepath.Join(t.TempDir(), "out.parquet")
			w.unchanged(t, func() {
				w.run("dataset", "build", "--service", "shop_model", "--spine", spine, "--out", out).
					expect(t, exitFailed, "", "headwater: spine "+spine+c.want+"\n")
			})
			expectNoFile(t, out)
		})
	}
}

// refuseRuns loads what the view ratios cannot be run on: each run fails, and the last good one is served on.
func (w *shop) refuseRuns(t *testing.T) {
	seq := 1
	for _, c := range []struct{ name, rows, want string }{
		{"SQL that fails on a row", "a,0,ok", "its SQL failed on the rows of this run: division by zero; let it cope with such rows (NULLIF, CASE, " +
			"WHERE), or replace the load that brought them"},
		{"NULL key", "a,8,keyless", "found a row (shop NULL, event_time 2001-01-01T12:05:00Z, available_at 2001-01-01T12:05:00Z) in which a join " +
			"key, event_time or available_at is NULL, expected none; leave such rows out with a WHERE, or give them a value"},
		{"outside of the interval", "a,8,elsewhere", "found a row (shop a, event_time 2001-02-10T12:05:00Z, available_at 2001-01-01T12:05:00Z) whose " +
			"event_time less the grain of 0s lies outside of the run's interval [2001-01-01T11:05:00.000001Z, 2001-01-01T12:05:00.000001Z); a run " +
			"writes only what it owns: check the grain, or leave other groups out with {{interval.start}} and {{interval.end}}"},
		{"two rows of one moment", "a,8,ok\n2001-01-01 12:05,a,9,ok", "found more than one row for (entity_key, event_time, available_at) = " +
			"(a, 2001-01-01 12:05:00+00, 2001-01-01 12:05:00+00), expected one; group by the join keys, or make the times distinct"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var loads headwaterv1.ListLoadsResponse
			w.ask(t, &loads, "ingest", "sales", file(t, "bad.csv", "at,shop,amount,kind\n2001-01-01 12:05,"+c.rows+"\n"))
			seq++
			message := "view ratios@1: " + c.want
			w.unchanged(t, func() {
				r := w.run("materialize", "ratios", "--wait")
				r.expect(t, exitFailed, "*", fmt.Sprintf("headwater: run ratios@1/%d failed: %s\n", seq, message))
				if strings.Contains(r.out, "ledger") {
					t.Errorf("found\n%s\nexpected no ledger of a run that wrote nothing", r.out)
				}
				w.expectServed(t, "a 4 25", "b 40 2")
			})
			var failed headwaterv1.GetRunResponse
			w.ask(t, &failed, "runs", "show", fmt.Sprintf("ratios@1/%d", seq))
			if r := failed.GetRun(); r.State != headwaterv1.RunState_RUN_STATE_FAILED || r.Error != message || r.Position != 0 {
				t.Errorf("found %v, expected it failed: %s", r, message)
			}
			w.must(t, "loads", "retract", number(loads.Loads[0].Id), "--reason", "bad")
		})
	}
	var good headwaterv1.MaterializeResponse
	w.ask(t, &good, "materialize", "ratios", "--wait")
	checkLedger(t, good.Runs[0])
	expectWrote(t, good.Runs[0], "run 6: 0 produced, 0 inserted, 0 withdrawn, 0 unchanged, 6 live")
	w.run("materialize", "totals", "--from", "2001-01-02", "--to", "2001-01-01").expect(t, exitUsage, "", "headwater: interval: found from "+
		"2001-01-02T00:00:00Z and to 2001-01-01T00:00:00Z, expected from before to\n")
}

func (w *shop) refuseNames(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out.csv")
	spine := file(t, "spine.csv", "shop,timestamp\na,2001-01-02\n")
	w.unchanged(t, func() {
		for line, c := range map[string]struct {
			code int
			want string
		}{
			"materialize nothing":                  {exitNotFound, "found no view called \"nothing\"; `headwater list view` shows those that there are"},
			"materialize total":                    {exitNotFound, `found no view called "total"; did you mean totals?`},
			"materialize totals@7":                 {exitNotFound, `found no version "7" of view totals; it has the versions 1 to 1`},
			"get --service nope --entity shop=a":   {exitNotFound, "found no service called \"nope\"; `headwater list service` shows those that there are"},
			"describe view totals@9":               {exitNotFound, `found no version "9" of view totals; it has the versions 1 to 1`},
			"ingest sale " + spine:                 {exitNotFound, `found no source called "sale"; did you mean sales?`},
			"ingest sales " + spine + ".csv":       {exitNotFound, spine + ".csv: there is no such file; check the path"},
			"dataset show ds_x":                    {exitNotFound, "there is no dataset \"ds_x\"; `headwater dataset list` shows those there are, by id and by NAME@VERSION"},
			"dataset fetch ds_x --out " + out:      {exitNotFound, "there is no dataset \"ds_x\"; `headwater dataset list` shows those there are, by id and by NAME@VERSION"},
			"dataset verify ds_x":                  {exitNotFound, "there is no dataset \"ds_x\"; `headwater dataset list` shows those there are, by id and by NAME@VERSION"},
			"runs show 99":                         {exitNotFound, "there is no run 99; `headwater runs list` shows those there are"},
			"runs show totals@1/99":                {exitNotFound, "there is no run totals@1/99; `headwater runs list` shows those there are"},
			"runs show first":                      {exitUsage, "run: found \"first\", expected an id or VIEW@VERSION/SEQ; `headwater runs list` shows both"},
			"loads show 99":                        {exitNotFound, "there is no load 99; `headwater loads list SOURCE` shows those there are"},
			"loads retract 99 --reason x":          {exitNotFound, "there is no load 99; `headwater loads list SOURCE` shows those there are"},
			"lineage show view:nope":               {exitNotFound, "there is no view nope; `headwater list views` shows those there are"},
			"lineage show run:totals@1/99":         {exitNotFound, "there is no run totals@1/99; `headwater runs list --view totals` shows those of the view"},
			"lineage diff totals@1/1 totals@1/99":  {exitNotFound, "there is no run totals@1/99; `headwater runs list` shows those there are"},
			"token revoke nope":                    {exitNotFound, "there is no token \"nope\"; `headwater token list` shows the ids"},
			"token create --principal x --role no": {exitUsage, "a token can only have roles that there are\n  roles[0]: found role \"no\", which is not defined; `headwater list roles` shows those that are, and admin is built in"},
			"dataset build --service nope --out " + out + " --spine " + spine:                              {exitNotFound, "found no service called \"nope\"; `headwater list service` shows those that there are"},
			"dataset build --service shop_model --as-of pos:99 --out " + out + " --spine " + spine:         {exitNotFound, "position 99 is not reached yet; the newest is *"},
			"dataset build --service shop_model --as-of yesterday --out " + out + " --spine " + spine:      {exitUsage, "as-of: found \"yesterday\", expected `pos:N`, `run:VIEW@VERSION/SEQ` or a time such as 2001-02-01T00:00:00Z"},
			"dataset build --service shop_model --out " + filepath.Dir(out) + "/no/o.csv --spine " + spine: {exitNotFound, filepath.Dir(out) + "/no/o.csv: there is no folder " + filepath.Dir(out) + "/no to write to; make it first"},
		} {
			r := w.run(strings.Fields(line)...)
			want, open := strings.CutSuffix("headwater: "+c.want, "*")
			if !open {
				want += "\n"
			}
			if r.code != c.code || r.out != "" || !strings.HasPrefix(r.err, want) || (!open && r.err != want) {
				t.Errorf("%s: found status %d, standard output %q, standard error\n%s\nexpected status %d and\n%s", line, r.code, r.out, r.err, c.code, want)
			}
		}
	})
	expectNoFile(t, out)
}

func (w *shop) refuseTokens(t *testing.T) {
	wrong := w.token[:len(w.token)-1] + "x"
	if wrong == w.token {
		wrong = w.token[:len(w.token)-1] + "y"
	}
	ended := strings.TrimSpace(w.must(t, "token", "create", "--principal", "ended", "--role", "reader"))
	id := strings.Split(ended, "_")[1]
	w.must(t, "token", "revoke", id)
	file := file(t, "more.csv", "at,shop,amount,kind\n2001-01-03 10:05,a,1,ok\n")
	w.unchanged(t, func() {
		for _, c := range []struct{ name, token, want string }{
			{"none", "", "found no token, expected one; give it with --token or HEADWATER_TOKEN (`authorization: Bearer hw_…` in a call), and have " +
				"one made with `headwater token create`\n"},
			{"no token", "secret", "found something that is not a token, expected hw_, an id of 16 characters, _ and a secret of 43; check that it " +
				"was copied whole\n"},
			{"wrong secret", wrong, "the token is not known here, or its secret is wrong; check that it was copied whole and that it was made on this " +
				"server, or have another made with `headwater token create`\n"},
			{"revoked", ended, "token " + id + " was revoked at "},
		} {
			for _, line := range []string{"list views", "ingest sales " + file, "materialize totals", "get --service shop_model --entity shop=a",
				"token create --principal x --role admin", "audit list"} {
				r := w.runAs(c.token, strings.Fields(line)...)
				if r.code != exitDenied || r.out != "" || !strings.HasPrefix(r.err, "headwater: "+c.want) {
					t.Errorf("%s, %s: found status %d, standard output %q, standard error\n%s\nexpected 3 and\n%s", line, c.name, r.code, r.out, r.err, c.want)
				}
			}
		}
	})
}

package main

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/testenv"
)

// spaced are the lines of a text, with one space between words.
func spaced(text string) (all []string) {
	for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
		all = append(all, strings.Join(strings.Fields(line), " "))
	}
	return all
}

func TestReads(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a server")
	}
	url := testenv.EmptyPostgresURL(t)
	w := openShop(t, startServe(t, url, testenv.RedisURL(t)))
	w.must(t, "apply", file(t, "shop.yaml", strings.Replace(shopDefinitions, "  - name: shop_model\n", "  - name: shop_model\n    log: all\n", 1)))
	var answer headwaterv1.GetFeaturesResponse
	w.ask(t, &answer, "get", "--service", "shop_model", "--entity", "shop=a", "--entity", "shop=nowhere", "--purpose", "checkout")
	id := answer.GetReadId()

	var list headwaterv1.ListReadsResponse
	w.ask(t, &list, "reads", "list")
	if len(list.GetReads()) != 1 || list.GetReads()[0].GetReadId() != id {
		t.Fatalf("found %v, expected read %s alone", list.GetReads(), id)
	}
	served, position := instant(list.GetReads()[0].GetServedAt()), list.GetReads()[0].GetPosition()
	by := list.GetReads()[0].GetPrincipal()
	header := "READ SERVICE SERVED AT ENTITIES PREDICTION BY PURPOSE POSITION LOG"
	row := fmt.Sprintf("%s shop_model@1 %s 2 %s checkout %d all", id, served, by, position)
	for _, args := range []string{"", "--service shop_model", "--service shop_model@1", "--entity shop=a", "--entity shop=nowhere --entity-name shop", "--since " + served} {
		if found, want := spaced(w.must(t, append([]string{"reads", "list"}, strings.Fields(args)...)...)), header+"\n"+row; strings.Join(found, "\n") != want {
			t.Errorf("reads list %s: found\n%s\nexpected\n%s", args, strings.Join(found, "\n"), want)
		}
	}
	for _, args := range []string{"--entity shop=b", "--prediction-id p", "--until " + served} {
		if found := w.must(t, append([]string{"reads", "list"}, strings.Fields(args)...)...); strings.Contains(found, id) {
			t.Errorf("reads list %s: found\n%s", args, found)
		}
	}

	var shown headwaterv1.GetReadResponse
	w.ask(t, &shown, "reads", "show", id)
	if r := shown.GetRead(); !shown.GetShown() || r.GetReadId() != id || r.GetKeys()[0].GetKeys()[0] != "a" || len(r.GetFeatures()) != 2 {
		t.Errorf("found %v", &shown)
	}
	text := strings.Join(spaced(w.must(t, "reads", "show", id)), "\n")
	for _, want := range []string{
		"service shop_model@1\n", "purpose checkout\n", "\nROW ENTITY COLUMNS KEY\n1 shop shop a\n2 shop shop nowhere\n", "\nROW FEATURE VALUE STATUS RUN EVENT TIME\n",
		"1 totals__amount 4 present totals@1/1 2001-01-01T12:00:00Z\n2 totals__amount no_row\n",
		"1 ratios__ratio 25 present ratios@1/1 2001-01-01T11:05:00Z\n2 ratios__ratio no_row",
	} {
		if !strings.Contains(text+"\n", want) {
			t.Errorf("found\n%s\nexpected in it\n%s", text, want)
		}
	}

	text = strings.Join(spaced(w.must(t, "reads", "verify", id)), "\n")
	if want := "read " + id + "\nthe same 4\nof an earlier run 0\nother 0\nnot checked 0"; !strings.HasPrefix(text, want) {
		t.Errorf("found\n%s\nexpected\n%s", text, want)
	}
	conn, err := pgx.Connect(context.Background(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(context.Background(), `UPDATE headwater_history.totals_v1 SET amount = 5 WHERE entity_key = 'a' AND amount = 4`); err != nil {
		t.Fatal(err)
	}
	const why = "the history has another value at the position and time of the read, and at none near to them this one"
	r := w.run("reads", "verify", id)
	text = strings.Join(spaced(r.out), "\n")
	if r.code != exitNotHeld || !strings.Contains(text, "\nother 1\n") || !strings.Contains(text, "ROW FEATURE VERDICT SERVED RECOMPUTED WHY\n1 totals__amount mismatch 4 PRESENT 5 PRESENT "+why) {
		t.Errorf("found status %d and\n%s%s", r.code, text, r.err)
	}
	r = w.run("reads", "verify", id, "-o", "json")
	var verified headwaterv1.VerifyReadResponse
	parse(t, r.out, &verified)
	if r.code != exitNotHeld || verified.GetDifferent() != 1 || verified.GetMatching() != 3 || verified.GetDifferences()[0].GetWhy() != why {
		t.Errorf("found status %d and %v", r.code, &verified)
	}

	for _, command := range []string{"show", "verify"} {
		w.run("reads", command, "rd_none").expect(t, exitNotFound, "", `headwater: no read "rd_none" is kept: its service keeps no log of reads or did not keep this one, `+
			"it is older than reads are kept, or it waits on a server's disk; `headwater reads list` shows those that are, and `headwater trace --service S --entity k=v --at T` computes one that is not\n")
		w.run("reads", command).expect(t, exitUsage, "", "*")
	}
	w.run("reads", "list", "--service", "shop_modle").expect(t, exitNotFound, "", "*")
}

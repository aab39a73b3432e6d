package main

import (
	"regexp"
	"strings"
	"testing"
)

const pricing = `
feature_views:
  - name: price
    features:
      - {name: total, type: float64}
      - {name: greeting, type: string}
    on_demand:
      inputs:
        - {name: amount, type: int64}
        - {name: rates, type: list(float64)}
        - {name: customer, type: string}
      expressions:
        - {feature: total, cel: "double(request.amount) * request.rates[0]"}
        - {feature: greeting, cel: "'to ' + request.customer"}
feature_services:
  - name: quote
    views:
      - {view: price, rename: {total: amount_due}, defaults: {greeting: to whom it may concern}}
`

func TestInputsOfOnDemandFeatures(t *testing.T) {
	t.Parallel()
	d := startDev(t, passableFolder(t))
	wrong := strings.Replace(pricing, "double(request.amount) *", "request.amunt *", 1)
	path := file(t, "wrong.yaml", wrong)
	for _, command := range []string{"validate", "apply"} {
		d.run(command, path).expect(t, exitFailed, "", "headwater: found 1 problem in the definitions\n  "+path+
			":13:34: found no input called amunt; did you mean request.amount?\n")
	}
	d.must(t, "apply", file(t, "price.yaml", pricing))
	got := d.must(t, "get", "--service", "quote", "--input", `amount=2,rates=[1.5\,2],customer=Ada`, "--input", "amount=3,rates=[]")
	got = regexp.MustCompile(` +\n`).ReplaceAllString(got, "\n")
	want := "ENTITY                                FEATURE          VALUE                   STATUS   EVENT TIME  RUN\n" +
		"amount=2,customer=Ada,rates=[1.5,2]   amount_due       3                       PRESENT\n" +
		"amount=2,customer=Ada,rates=[1.5,2]   price__greeting  to Ada                  PRESENT\n" +
		"amount=3,rates=[]                     amount_due                               ERROR\n" +
		"amount=3,rates=[]                     price__greeting  to whom it may concern  DEFAULT\n"
	if squeeze(got) != squeeze(want) {
		t.Errorf("found\n%s\nexpected\n%s", got, want)
	}
	d.run("get", "--service", "quote", "--input", "amont=2").expect(t, exitUsage, "",
		"headwater: found the input amont, expected one of service quote: amount, customer, rates\n")
	d.run("get", "--service", "quote", "--input", "amount=two").expect(t, exitUsage, "",
		"headwater: input amount: found \"two\", expected an int64: a whole number from -2^63 to 2^63-1\n")
	rows := file(t, "rows.ndjson", "{\"amount\": 2, \"rates\": [1.5, 2], \"customer\": \"Ada\"}\n\n{\"rates\": [], \"amount\": 3, \"customer\": null}\n")
	again := d.must(t, "get", "--service", "quote", "--request-file", rows)
	if again = regexp.MustCompile(` +\n`).ReplaceAllString(again, "\n"); squeeze(again) != squeeze(want) {
		t.Errorf("found\n%s\nexpected\n%s", again, want)
	}
	for content, want := range map[string]string{
		`{"amont": 2}`:                 "1: found amont, expected a join key or an input of service quote: amount, customer, rates",
		"{\"amount\": 2}\n\n[1]":       `3: found what is no JSON object, expected one for each entity, such as {"origin": "ORD", "forecast": 12.5}`,
		"{\"amount\": 2}\n{\"amount\"": `2: found what is no JSON object, expected one for each entity, such as {"origin": "ORD", "forecast": 12.5}`,
		`{"amount": 2.5}`:              "1: amount: found 2.5, expected a whole number",
	} {
		path := file(t, "rows.ndjson", content)
		d.run("get", "--service", "quote", "--request-file", path).expect(t, exitUsage, "", "headwater: "+path+":"+want+"\n")
	}
	spine := file(t, "spine.csv", "timestamp,amount,rates,customer\n2026-01-01T00:00:00Z,4,\"[0.25]\",Bo\n")
	out := spine + ".out.csv"
	d.must(t, "dataset", "build", "--service", "quote", "--spine", spine, "--out", out)
	if got, want := string(readFile(t, out)), "timestamp,amount,rates,customer,amount_due,price__greeting\n2026-01-01T00:00:00Z,4,[0.25],Bo,1,to Bo\n"; got != want {
		t.Errorf("found\n%s\nexpected\n%s", got, want)
	}
}

func squeeze(s string) string { return regexp.MustCompile(` +`).ReplaceAllString(s, " ") }

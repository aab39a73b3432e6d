package main

import (
	"fmt"
	"strings"
	"testing"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

func TestGetOfFeaturesAndJoins(t *testing.T) {
	c := &canned{}
	do := c.serve(t)
	do("get", "--feature", "airport_delays.mean,gate_delays@2.late", "--feature", "airport_delays.departures",
		"--join", "home_:origin=home@airport_delays", "--join", "away_:origin=away@airport_delays",
		"--entity", "home=12,away=ORD,gate=3").expect(t, exitDone, "*", "*")
	if got := fmt.Sprint(c.asked.Service, c.asked.Features, c.asked.Joins[0].Prefix, c.asked.Joins[0].KeyMapping, c.asked.Joins[0].Views, c.asked.Joins[1].Prefix); got !=
		"[airport_delays.mean gate_delays@2.late airport_delays.departures]home_map[origin:home] [airport_delays]away_" {
		t.Errorf("found the request %s", got)
	}
	// The keys of joins are of their types: an origin is text, also one that looks like a number, and a gate is a number.
	if home, gate := c.asked.Keys["home"].Values[0], c.asked.Keys["gate"].Values[0]; home.GetStringValue() != "12" || gate.GetInt64Value() != 3 {
		t.Errorf("found the keys %v and %v", home, gate)
	}
	do("get", "--service", "delays", "--join", "home_:origin", "--entity", "home=12").expect(t, exitUsage, "",
		`headwater: found --join "home_:origin", expected PREFIX:KEY=COLUMN[,KEY2=COLUMN2][@VIEW,VIEW2], such as home_:airport=home_airport`+"\n")
	rows := file(t, "rows.json", `{"home": "12", "gate": 3}`)
	do("get", "--feature", "gate_delays.late", "--join", "home_:origin=home", "--request-file", rows).expect(t, exitDone, "*", "*")
	if gate := c.asked.Keys["gate"].Values[0]; gate.GetInt64Value() != 3 || len(c.asked.Joins) != 1 {
		t.Errorf("found the request %v", c.asked)
	}
	wrong := file(t, "wrong.json", `{"hme": "12"}`)
	if r := do("get", "--feature", "gate_delays.late", "--request-file", wrong); !strings.Contains(r.err, ":1: found hme, expected a join key or an input of the features: ") {
		t.Errorf("found %s", r.err)
	}
}

func TestValuesOfJoinsHaveTheirOwnEventTimes(t *testing.T) {
	vector := func(name string, value int64) *headwaterv1.FeatureVector {
		return &headwaterv1.FeatureVector{Name: name, View: "v", ViewVersion: 1, Feature: "f", Values: &headwaterv1.ValueVector{
			Type: headwaterv1.ValueType_VALUE_TYPE_INT64, Status: []headwaterv1.ValueStatus{headwaterv1.ValueStatus_VALUE_STATUS_PRESENT}, Int64S: []int64{value},
		}}
	}
	from := func(prefix string, run int64) *headwaterv1.ViewProvenance {
		return &headwaterv1.ViewProvenance{View: "v", ViewVersion: 1, Prefix: prefix, EventTimes: []int64{run * 1_000_000}, RunSeqs: []int64{run}}
	}
	request := &headwaterv1.GetFeaturesRequest{Keys: map[string]*headwaterv1.KeyColumn{"k": {Values: []*headwaterv1.Value{{Kind: &headwaterv1.Value_StringValue{StringValue: "x"}}}}}}
	got, err := featureTable(request, &headwaterv1.GetFeaturesResponse{
		Features:   []*headwaterv1.FeatureVector{vector("a_v__f", 1), vector("a_b_v__f", 2)},
		Provenance: []*headwaterv1.ViewProvenance{from("a_", 4), from("a_b_", 5)},
	})
	want := "[[k=x a_v__f 1 PRESENT 1970-01-01T00:00:04Z v@1/4] [k=x a_b_v__f 2 PRESENT 1970-01-01T00:00:05Z v@1/5]]"
	if err != nil || fmt.Sprint(got.rows) != want {
		t.Errorf("found %v, %v, expected %s", got.rows, err, want)
	}
}

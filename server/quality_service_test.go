package server

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/materialize"
	"github.com/headwaterhq/headwater/quality"
)

// line is what a profile says of a column, in short.
func profileLine(p *headwaterv1.Profile, name string) string {
	for _, c := range p.GetColumns() {
		if c.GetName() != name {
			continue
		}
		line := fmt.Sprintf("%d rows, %d NULL, %d distinct", p.GetRows(), c.GetNulls(), c.GetDistinct())
		if v := c.GetValues(); v != nil {
			line += fmt.Sprintf(", %v to %v, mean %v, %d frequent", v.GetMin().GetFloat64Value(), v.GetMax().GetFloat64Value(), v.GetMean(), len(v.GetTop()))
		}
		return line
	}
	return "no column " + name
}

// Runs, views, datasets and reads have profiles; values of them are for who may read all rows.
func TestProfiles(t *testing.T) {
	p := newProduct(t)
	service := headwaterv1.NewQualityServiceClient(p.conn)
	d := readers(policy("own_places", "view:delays", ownPlaces))
	d.Roles = append(d.Roles, role("lister", "list,read_lineage on view:*,service:*,dataset:*"), role("stranger", "list on view:recent"))
	d.Services[0].Log = "all"
	p.apply(d)
	at := time.Now().Add(-3 * time.Hour).Truncate(time.Microsecond)
	p.ingest(flights(flight("ORD", 7, at, feature.Float64(34)), flight("JFK", 7, at, feature.Float64(8)), flight("SFO", 7, at, feature.Null())), 0)
	p.materialize("delays", "recent", "traffic")
	whole := p.as("w", "reader", "whole")
	read, err := p.online.GetFeatures(whole, &headwaterv1.GetFeaturesRequest{Service: "model", Keys: map[string]*headwaterv1.KeyColumn{
		"origin": texts("ORD", "JFK", "XXX"), "number": numbers(7, 7, 7),
	}})
	if err != nil {
		t.Fatal(err)
	}
	_, m, err := p.build(whole, "model", &headwaterv1.BuildDatasetHeader{Name: "d", AllowPartial: true}, spineOf(asked("ORD", 7, time.Now()), asked("JFK", 7, time.Now())).arrow(t))
	if err != nil {
		t.Fatal(err)
	}
	reads := "reads:model@1/" + read.GetServedAt().AsTime().UTC().Format(time.DateOnly)
	get := func(ctx context.Context, node string) (*headwaterv1.Profile, string) {
		r, err := service.GetProfile(ctx, &headwaterv1.GetProfileRequest{Node: node})
		if err != nil {
			return nil, fault.FromError(err).Message
		}
		return r.GetProfile(), ""
	}
	reader, lister := p.as("r", "reader"), p.as("l", "lister")
	for _, c := range []struct {
		who                context.Context
		node, column, want string
		withheld           string
		refused            string
	}{
		{who: whole, node: "run:delays@1/1", column: "delay", want: "3 rows, 1 NULL, 2 distinct, 8 to 34, mean 21, 2 frequent"},
		{who: whole, node: "run:delays@1/1", column: "origin", want: "3 rows, 0 NULL, 3 distinct"},
		{who: whole, node: "view:delays", column: "delay", want: "3 rows, 1 NULL, 2 distinct, 8 to 34, mean 21, 2 frequent"},
		{who: whole, node: "dataset:" + m.GetId(), column: "delays__delay", want: "2 rows, 0 NULL, 2 distinct, 8 to 34, mean 21, 2 frequent"},
		{who: whole, node: reads, column: "delays__delay", want: "3 rows, 1 NULL, 2 distinct, 8 to 34, mean 21, 2 frequent"},
		// A policy hides rows of the view from a reader, and of another view none.
		{who: reader, node: "run:delays@1/1", column: "delay", want: "3 rows, 1 NULL, 2 distinct", withheld: "read view delays offline"},
		{who: reader, node: "run:recent@1/1", column: "delay", want: "3 rows, 1 NULL, 2 distinct, 8 to 34, mean 21, 2 frequent"},
		{who: reader, node: "view:delays", refused: "hides some of view:delays"},
		{who: reader, node: "dataset:" + m.GetId(), column: "delays__delay", want: "2 rows, 0 NULL, 2 distinct", withheld: "read the dataset"},
		{who: reader, node: reads, column: "delays__delay", want: "3 rows, 1 NULL, 2 distinct", withheld: "read service model offline"},
		// Who may only list sees counts.
		{who: lister, node: "run:recent@1/1", column: "delay", want: "3 rows, 1 NULL, 2 distinct", withheld: "read view recent offline"},
		{who: lister, node: "view:recent", refused: "may not read_offline"},
		{who: p.as("s", "stranger"), node: "run:delays@1/1", refused: "there is no run delays@1/1"},
		{who: whole, node: "run:delays@1/2", refused: "there is no run delays@1/2"},
		{who: whole, node: "reads:model@1/2001-01-01", refused: "no reads of 2001-01-01 are kept"},
		{who: whole, node: "source:flights", refused: "found \"source:flights\", expected `run:VIEW@VERSION/SEQ`"},
		{who: whole, node: "reads:model@1/yesterday", refused: "expected `run:VIEW@VERSION/SEQ`"},
	} {
		profile, refused := get(c.who, c.node)
		switch {
		case c.refused != "":
			if !strings.Contains(refused, c.refused) {
				t.Errorf("%s: found %v, %q, expected a refusal with %q", c.node, profile, refused, c.refused)
			}
			continue
		case refused != "":
			t.Errorf("%s: %s", c.node, refused)
			continue
		}
		if got := profileLine(profile, c.column); got != c.want {
			t.Errorf("%s: found %s, expected %s", c.node, got, c.want)
		}
		if shown := profile.GetWithheld() == ""; shown != (c.withheld == "") || !strings.Contains(profile.GetWithheld(), c.withheld) || shown != (profile.GetDigest() != "") ||
			!shown && len(profile.GetByGroup()) > 0 {
			t.Errorf("%s: found %q withheld and the digest %q, expected %q", c.node, profile.GetWithheld(), profile.GetDigest(), c.withheld)
		}
	}
	// What a view holds after one run is what the run made.
	run, _ := get(whole, "run:traffic@1/1")
	view, _ := get(whole, "view:traffic@1")
	if run.GetDigest() != view.GetDigest() || run.GetDigest() == "" {
		t.Errorf("found the digest %s of the view, expected that of its run, %s", view.GetDigest(), run.GetDigest())
	}
	r, err := service.GetProfile(whole, &headwaterv1.GetProfileRequest{Node: "run:delays@1/1", Against: "view:delays"})
	if err != nil || r.GetAgainst().GetNode() != "view:delays@1" {
		t.Errorf("found %v against, %v", r.GetAgainst().GetNode(), err)
	}
	// What has a value beyond the other one's is on the edges of that, unless these are withheld, since edges are values.
	p.ingest(flights(flight("ORD", 7, at.Add(time.Second), feature.Float64(60))), 0)
	p.materialize("recent")
	edges := func(ctx context.Context, against string) string {
		r, err := service.GetProfile(ctx, &headwaterv1.GetProfileRequest{Node: "run:recent@1/2", Against: against})
		if err != nil {
			return fault.FromError(err).Message
		}
		for _, c := range r.GetProfile().GetColumns() {
			if h := c.GetValues().GetHistogram(); c.GetName() == "delay" {
				return fmt.Sprintf("%d bins, from %.4g to %.4g is the last", len(h), h[len(h)-1].GetFrom().GetFloat64Value(), h[len(h)-1].GetTo().GetFloat64Value())
			}
		}
		return "none"
	}
	for _, c := range []struct {
		who           context.Context
		against, want string
	}{{whole, "", "20 bins, from 57.4 to 60 is the last"}, {whole, "run:delays@1/1", "21 bins, from 34 to 60 is the last"}, {reader, "run:delays@1/1", "20 bins, from 57.4 to 60 is the last"}} {
		if got := edges(c.who, c.against); got != c.want {
			t.Errorf("against %q: found %s, expected %s", c.against, got, c.want)
		}
	}
	compare := func(ctx context.Context, baseline, current string) string {
		r, err := service.CompareProfiles(ctx, &headwaterv1.CompareProfilesRequest{Baseline: baseline, Current: current})
		if err != nil {
			return fault.FromError(err).Message
		}
		var list []string
		for _, d := range r.GetColumns() {
			list = append(list, d.GetName()+" "+strings.TrimPrefix(d.GetVerdict().String(), "DRIFT_VERDICT_"))
		}
		return strings.Join(list, ", ")
	}
	for _, c := range []struct {
		who                     context.Context
		baseline, current, want string
	}{
		{whole, "run:recent@1/1", "view:recent", "delay NOT_ENOUGH_DATA"},
		{whole, "run:recent@1/1", "run:delays@1/1", "delay NOT_ENOUGH_DATA, words NO_BASELINE, late NO_BASELINE, left_at NO_BASELINE, number NO_BASELINE"},
		{whole, "run:recent@1/1", "run:recent@1/9", "there is no run recent@1/9; `headwater runs list` shows those there are"},
		{reader, "run:recent@1/1", "run:delays@1/1", "run:delays@1/1: its profile is not compared for you: what tells of values is for who may read view delays offline, with " +
			"nothing of it hidden; `headwater profile run:delays@1/1` shows its counts"},
	} {
		if got := compare(c.who, c.baseline, c.current); got != c.want {
			t.Errorf("%s against %s: found %s, expected %s", c.current, c.baseline, got, c.want)
		}
	}
	_, err = service.CompareProfiles(whole, &headwaterv1.CompareProfilesRequest{Baseline: "run:recent@1/1", Current: "view:recent", Warn: 0.5})
	if err == nil || fault.FromError(err).Message != "warn: found 0.5, expected no more than fail, which is 0.25" {
		t.Errorf("found %v of thresholds the wrong way round", err)
	}
	// What an erasure took is told to be gone.
	found, err := materialize.Find(t.Context(), p.pool, "recent@1/1")
	if err != nil {
		t.Fatal(err)
	}
	tx, err := p.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := quality.EraseRunProfile(t.Context(), tx, found.ID); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, refused := get(whole, "run:recent@1/1"); !strings.Contains(refused, "an erasure took its profile away at ") {
		t.Errorf("found %q of what was erased", refused)
	}
	if _, err := p.pool.Exec(t.Context(), `DELETE FROM headwater.profile`); err != nil {
		t.Fatal(err)
	}
	if _, refused := get(whole, "dataset:"+m.GetId()); !strings.Contains(refused, "no profile of it is kept") {
		t.Errorf("found %q of what has none", refused)
	}
}

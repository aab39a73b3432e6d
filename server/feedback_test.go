package server

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

func (p *product) feedback() headwaterv1.FeedbackServiceClient {
	return headwaterv1.NewFeedbackServiceClient(p.conn)
}

func class(text string) *headwaterv1.Value {
	return &headwaterv1.Value{Kind: &headwaterv1.Value_StringValue{StringValue: text}}
}

func real64(n float64) *headwaterv1.Value {
	return &headwaterv1.Value{Kind: &headwaterv1.Value_Float64Value{Float64Value: n}}
}

// feedbackWorld is airports with delays, a service that logs all its reads and a model of it.
func feedbackWorld(t *testing.T) (*product, time.Time) {
	p := newProduct(t)
	p.apply(logging("all", "small"))
	now := time.Now().UTC().Truncate(time.Second)
	p.ingest(flights(flight("ORD", 7, now.Add(-time.Hour), feature.Float64(20)), flight("JFK", 8, now.Add(-time.Hour), feature.Null())), 0)
	p.materialize("delays")
	if _, err := p.lineage.RegisterModel(p.admin, &headwaterv1.RegisterModelRequest{Name: "late", Service: "small"}); err != nil {
		t.Fatal(err)
	}
	return p, now
}

func predicted(id, readID string, row int32, at time.Time, value *headwaterv1.Value) *headwaterv1.Prediction {
	return &headwaterv1.Prediction{Id: id, ReadId: readID, Row: row, Time: timestamppb.New(at), Prediction: value}
}

// logged is `logged duplicates erased joined without_read`, or the error.
func (p *product) logPredictions(ctx context.Context, model string, all ...*headwaterv1.Prediction) string {
	r, err := p.feedback().LogPredictions(ctx, &headwaterv1.LogPredictionsRequest{Model: model, Predictions: all})
	if err != nil {
		return fault.FromError(err).Message
	}
	return fmt.Sprint(r.GetLogged(), r.GetDuplicates(), r.GetErased(), r.GetJoined(), r.GetWithoutRead())
}

// reportOutcomes is `recorded revised duplicates outdated parked erased`, or the error.
func (p *product) reportOutcomes(ctx context.Context, model string, all ...*headwaterv1.Outcome) string {
	r, err := p.feedback().ReportOutcomes(ctx, &headwaterv1.ReportOutcomesRequest{Model: model, Outcomes: all})
	if err != nil {
		return fault.FromError(err).Message
	}
	return fmt.Sprint(r.GetRecorded(), r.GetRevised(), r.GetDuplicates(), r.GetOutdated(), r.GetParked(), r.GetErased())
}

// Predictions are known by their ids, outcomes come late, again and changed, and before their predictions.
func TestFeedbackIsKeptOnce(t *testing.T) {
	p, now := feedbackWorld(t)
	read := p.read("small", "origin", "ORD", "JFK").GetReadId()
	byKeys := &headwaterv1.Prediction{Id: "c", Time: timestamppb.New(now), Prediction: class("late"), Keys: map[string]*headwaterv1.Value{"origin": class("ORD")}}
	outcome := func(id string, actual *headwaterv1.Value, at ...time.Time) *headwaterv1.Outcome {
		o := &headwaterv1.Outcome{Id: id, Actual: actual}
		for _, t := range at {
			o.Time = timestamppb.New(t)
		}
		return o
	}
	expect := func(what, found, want string) {
		t.Helper()
		if found != want {
			t.Errorf("%s: found %s, expected %s", what, found, want)
		}
	}
	expect("new", p.logPredictions(p.admin, "late", predicted("a", read, 0, now, class("late")), predicted("b", read, 1, now, class("on time")), byKeys), "3 0 0 0 0")
	expect("again", p.logPredictions(p.admin, "late@1", predicted("a", read, 0, now, class("late")), byKeys, predicted("d", "rd_elsewhere", 0, now, real64(3))), "1 2 0 0 1")
	expect("another under an id", p.logPredictions(p.admin, "late", predicted("e", read, 0, now, class("late")), predicted("b", read, 1, now, class("late"))),
		`predictions[1].id: found "b", under which model late has another prediction; expected an id for each, and the same again to say the same`)
	if n := p.count(`SELECT count(*) FROM headwater.prediction`); n != 4 {
		t.Errorf("found %d predictions, expected 4", n)
	}
	expect("outcomes", p.reportOutcomes(p.admin, "late", outcome("a", class("late"), now), outcome("orphan", class("late")), outcome("b", class("late"), now)), "3 0 0 0 1 0")
	expect("again", p.reportOutcomes(p.admin, "late", outcome("a", class("late")), outcome("a", class("late"), now), outcome("orphan", class("late"))), "0 0 3 0 0 0")
	expect("revised", p.reportOutcomes(p.admin, "late", outcome("a", class("on time"), now.Add(time.Second)), outcome("a", class("late"), now)), "0 1 0 1 0 0")
	// That it was so later is remembered against what was known in between.
	expect("confirmed", p.reportOutcomes(p.admin, "late", outcome("a", class("on time"), now.Add(time.Minute)), outcome("a", class("late"), now.Add(30*time.Second))), "0 0 1 1 0 0")
	expect("taken back", p.reportOutcomes(p.admin, "late", outcome("b", &headwaterv1.Value{}, now.Add(time.Second))), "0 1 0 0 0 0")
	expect("joined", p.logPredictions(p.admin, "late", predicted("orphan", read, 0, now, class("late"))), "1 0 0 1 0")

	hashes := p.count(`SELECT count(DISTINCT entity_hashes[1]) FROM headwater.prediction WHERE id IN ('a', 'c', 'orphan')`)
	if keys := p.count(`SELECT count(*) FROM headwater.prediction p WHERE p::text LIKE '%ORD%'`); hashes != 1 || keys != 0 {
		t.Errorf("found %d hashes of one entity, and %d keys kept", hashes, keys)
	}
}

func TestFeedbackIsRefused(t *testing.T) {
	p, now := feedbackWorld(t)
	p.apply(func() *feature.Definitions {
		d := logging("all", "small", "model")
		d.Roles = append(d.Roles, role("teller", "ingest on model:late"), role("reader", "read_online on service:small"))
		return d
	}())
	read := p.read("small", "origin", "ORD").GetReadId()
	other := p.readModel(&headwaterv1.GetFeaturesRequest{Service: "model", Keys: map[string]*headwaterv1.KeyColumn{"origin": texts("ORD"), "number": numbers(7)}}).GetReadId()
	good := func(change func(*headwaterv1.Prediction)) *headwaterv1.Prediction {
		one := predicted("x", read, 0, now, class("late"))
		change(one)
		return one
	}
	score := func(f float64) *float64 { return &f }
	for _, c := range []struct {
		want string
		of   *headwaterv1.Prediction
	}{
		{"predictions[0].read_id: found neither a read nor keys, expected one of them", good(func(p *headwaterv1.Prediction) { p.ReadId = "" })},
		{"predictions[0].read_id: found a read and a service", good(func(p *headwaterv1.Prediction) { p.Service = "small" })},
		{"predictions[0].keys: found keys beside a read, expected none", good(func(p *headwaterv1.Prediction) { p.Keys = map[string]*headwaterv1.Value{"origin": class("ORD")} })},
		{fmt.Sprintf("predictions[0].read_id: found %q, which is no read of service small, which model late reads", other), good(func(p *headwaterv1.Prediction) { p.ReadId = other })},
		{"predictions[0].row: found 1, expected less than 1, as many as entities were read", good(func(p *headwaterv1.Prediction) { p.Row = 1 })},
		{"predictions[0].row: found 2 without a read, expected 0", good(func(p *headwaterv1.Prediction) {
			p.ReadId, p.Row, p.Keys = "", 2, map[string]*headwaterv1.Value{"origin": class("ORD")}
		})},
		{`predictions[0].service: found "model", expected small, which model late reads`, good(func(p *headwaterv1.Prediction) {
			p.ReadId, p.Service, p.Keys = "", "model", map[string]*headwaterv1.Value{"origin": class("ORD")}
		})},
		{"predictions[0].keys: found no join key origin, expected all of service small", good(func(p *headwaterv1.Prediction) {
			p.ReadId, p.Keys = "", map[string]*headwaterv1.Value{"x": class("ORD")}
		})},
		{"predictions[0].keys: found for join key origin a value that is no string", good(func(p *headwaterv1.Prediction) {
			p.ReadId, p.Keys = "", map[string]*headwaterv1.Value{"origin": real64(1)}
		})},
		{`predictions[0].keys: found "x", which is no join key of service small, expected only origin`, good(func(p *headwaterv1.Prediction) {
			p.ReadId, p.Keys = "", map[string]*headwaterv1.Value{"origin": class("ORD"), "x": class("y")}
		})},
		{"predictions[0].time: found 1999-01-01T00:00:00Z, expected one from ", good(func(p *headwaterv1.Prediction) { p.Time = timestamppb.New(time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC)) })},
		{"predictions[0].time: found ", good(func(p *headwaterv1.Prediction) { p.Time = timestamppb.New(now.Add(2 * time.Hour)) })},
		{"predictions[0].prediction: found neither a prediction nor a score", good(func(p *headwaterv1.Prediction) { p.Prediction = nil })},
		{"predictions[0].score: found 1.5, expected a probability, from 0 to 1", good(func(p *headwaterv1.Prediction) { p.Score = score(1.5) })},
		{"predictions[0].prediction: found a text of 0 bytes, expected a class of 1 to 128", good(func(p *headwaterv1.Prediction) { p.Prediction = class("") })},
		{"predictions[0].prediction: found a value of another kind, expected a bool, an integer or a text", good(func(p *headwaterv1.Prediction) {
			p.Prediction = &headwaterv1.Value{Kind: &headwaterv1.Value_BytesValue{BytesValue: []byte("x")}}
		})},
	} {
		if found := p.logPredictions(p.admin, "late", c.of); !strings.Contains(found, c.want) {
			t.Errorf("found %s\nexpected %s", found, c.want)
		}
	}
	ahead := &headwaterv1.Outcome{Id: "x", Actual: class("late"), Time: timestamppb.New(now.Add(2 * time.Hour))}
	if found := p.reportOutcomes(p.admin, "late", ahead); !strings.Contains(found, "which is an hour from now at most") {
		t.Errorf("found %s", found)
	}
	if found := p.reportOutcomes(p.admin, "nobody", &headwaterv1.Outcome{Id: "x", Actual: class("late")}); !strings.Contains(found, "there is no model nobody; `headwater model list` shows those there are, and `headwater model register nobody --service SERVICE` registers one") {
		t.Errorf("found %s", found)
	}
	if n := p.count(`SELECT count(*) FROM headwater.prediction`) + p.count(`SELECT count(*) FROM headwater.outcome`); n != 0 {
		t.Errorf("found %d rows of what was refused", n)
	}
	// To read online is not to tell what was predicted.
	teller, reader := p.as("teller", "teller"), p.as("reader", "reader")
	if found := p.logPredictions(teller, "late", good(func(*headwaterv1.Prediction) {})); found != "1 0 0 0 0" {
		t.Errorf("found %s", found)
	}
	for _, found := range []string{p.logPredictions(reader, "late", good(func(*headwaterv1.Prediction) {})), p.reportOutcomes(reader, "late", &headwaterv1.Outcome{Id: "x", Actual: class("late")})} {
		if !strings.Contains(found, "reader may not ingest model:late") {
			t.Errorf("found %s", found)
		}
	}
}

// An erasure takes predictions of the entity away with their outcomes, also such that only a row of a read tells of, and they do not come again.
func TestForgetTakesFeedback(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a store")
	}
	t.Parallel()
	p := newProduct(t)
	w := newReadsWorld(p)
	for model, service := range map[string]string{"fares": "person", "seats": "seating", "ports": "port"} {
		if _, err := p.lineage.RegisterModel(p.admin, &headwaterv1.RegisterModelRequest{Name: model, Service: service}); err != nil {
			t.Fatal(fault.FromError(err))
		}
	}
	person, seat, port := w.readThem(p)
	now := time.Now()
	keyed := func(id, who string) *headwaterv1.Prediction {
		return &headwaterv1.Prediction{Id: id, Time: timestamppb.New(now), Prediction: class("x"), Keys: map[string]*headwaterv1.Value{"passenger_id": class(who)}}
	}
	fares := []*headwaterv1.Prediction{predicted(forgottenText, person, 0, now, class("x")), predicted("alice", person, 1, now, class("x")), keyed("keyed", forgotten), keyed("bob", "bob")}
	for _, found := range []string{
		p.logPredictions(p.admin, "fares", fares...), p.logPredictions(p.admin, "ports", predicted("lax", port, 0, now, class("x")), predicted("ord", port, 1, now, class("x"))),
		p.logPredictions(p.admin, "seats", predicted("seat", seat, 1, now, class("x"))),
	} {
		if !strings.HasSuffix(found, " 0 0 0 0") {
			t.Fatal(found)
		}
	}
	p.reportOutcomes(p.admin, "fares", &headwaterv1.Outcome{Id: forgottenText, Actual: class("y")}, &headwaterv1.Outcome{Id: "alice", Actual: class("y")}, &headwaterv1.Outcome{Id: forgottenText, Actual: class("z")})
	places := func(e *headwaterv1.ErasureRecord) string {
		var list []string
		for _, d := range e.GetErased() {
			if d.GetPlace() == placeFeedback {
				list = append(list, fmt.Sprintf("%s %d", d.GetName(), d.GetRows()))
			}
		}
		return strings.Join(list, ", ")
	}
	dry, err := w.forget(true)
	if err != nil {
		t.Fatal(fault.FromError(err))
	}
	if found := places(dry); found != "fares 4" {
		t.Errorf("found %s to erase, expected two predictions of fares with two outcomes", found)
	}
	// It is broken off before each commit that takes some away, and goes on.
	var done *headwaterv1.ErasureRecord
	for nth := 1; done == nil; nth++ {
		taken := 0
		do := func(step string) error {
			if step != stepErasingFeedback {
				return nil
			}
			if taken++; taken == nth {
				return errors.New("killed")
			}
			return nil
		}
		p.step.Store(&do)
		if done, err = w.forget(false); err == nil && nth < 3 {
			t.Errorf("found it done at attempt %d, expected it to be broken off at least twice", nth)
		} else if err != nil {
			done = nil
		}
		if nth > 10 {
			t.Fatal(fault.FromError(err))
		}
	}
	p.step.Store(nil)
	// The seat and the person last seen at an airport are found by the rows of their reads.
	if found := places(done); found != "fares 4, ports 1, seats 1" {
		t.Errorf("found %s erased", found)
	}
	if left := p.count(`SELECT count(*) FROM headwater.prediction WHERE id IN ('alice', 'bob', 'ord')`); left != 3 || p.count(`SELECT count(*) FROM headwater.prediction`) != 3 {
		t.Errorf("found %d of the others", left)
	}
	if n := p.count(`SELECT count(*) FROM headwater.outcome`); n != 1 {
		t.Errorf("found %d outcomes, expected one", n)
	}
	// Neither what was logged nor what is told of it comes again.
	if found := p.logPredictions(p.admin, "fares", fares[:2]...); found != "0 1 1 0 0" {
		t.Errorf("found %s", found)
	}
	if found := p.logPredictions(p.admin, "fares", keyed("keyed", forgotten)); found != "0 0 1 0 0" {
		t.Errorf("found %s", found)
	}
	if found := p.reportOutcomes(p.admin, "fares", &headwaterv1.Outcome{Id: forgottenText, Actual: class("y")}); found != "0 0 0 0 0 1" {
		t.Errorf("found %s", found)
	}
	// Nor what is told of a prediction that was made of an erased row and not logged before, waiting or not.
	if found := p.reportOutcomes(p.admin, "fares", &headwaterv1.Outcome{Id: "waiting", Actual: class("y")}); found != "1 0 0 0 1 0" {
		t.Errorf("found %s", found)
	}
	if found := p.logPredictions(p.admin, "fares", predicted("waiting", person, 0, now, class("x")), predicted("bob", person, 0, now, class("x"))); found != "0 0 2 0 0" {
		t.Errorf("found %s", found)
	}
	if n := p.count(`SELECT count(*) FROM headwater.outcome WHERE prediction_id = 'waiting'`); n != 0 {
		t.Errorf("found %d outcomes that wait for what is erased", n)
	}
	if found := p.reportOutcomes(p.admin, "fares", &headwaterv1.Outcome{Id: "waiting", Actual: class("y")}, &headwaterv1.Outcome{Id: "bob", Actual: class("y")}); found != "1 0 0 0 0 1" {
		t.Errorf("found %s, expected that of bob, which another prediction has, to be kept", found)
	}
	if again, err := w.forget(false); err != nil || again.GetId() != done.GetId() {
		t.Errorf("found %v, %v, expected the same erasure", again, err)
	}
}

// Days that are kept no longer go whole.
func TestFeedbackIsDroppedByDay(t *testing.T) {
	p, now := feedbackWorld(t)
	read := p.read("small", "origin", "ORD").GetReadId()
	old := now.AddDate(0, 0, -20)
	if found := p.logPredictions(p.admin, "late", predicted("old", read, 0, old, class("late")), predicted("new", read, 0, now, class("late"))); found != "2 0 0 0 0" {
		t.Fatal(found)
	}
	p.reportOutcomes(p.admin, "late", &headwaterv1.Outcome{Id: "old", Actual: class("late")})
	url, redis := p.url, p.redisURL
	p.close()
	again := openProductWith(t, Config{PostgresURL: url, RedisURL: redis, FeedbackRetention: 10 * 24 * time.Hour})
	eventually(t, "the old day to be dropped", func() bool { return again.count(`SELECT count(*) FROM headwater.prediction`) == 1 })
	if n := again.count(`SELECT count(*) FROM headwater.outcome`); n != 1 {
		t.Errorf("found %d outcomes, expected the one that was reported today", n)
	}
	if found := again.logPredictions(again.admin, "late", predicted("old", read, 0, old, class("late"))); !strings.Contains(found, "since when predictions are kept") {
		t.Errorf("found %s", found)
	}
}

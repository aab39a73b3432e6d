package dataset

import (
	"context"
	"strings"
	"testing"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
)

// examined keeps what an examination is shown, as texts of the origin, the label and what is read beside.
type examined struct{ rows, leftOut []string }

func (x *examined) text(values []feature.Value) string {
	texts := []string{values[1].Text(), values[0].Text()}
	for _, v := range values[len(values)-2:] {
		text := v.Text()
		if v.IsNull() {
			text = "none"
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, " ")
}

func (x *examined) Row(values []feature.Value) error {
	x.rows = append(x.rows, x.text(values))
	return nil
}

func (x *examined) LeftOut(values []feature.Value) error {
	x.leftOut = append(x.leftOut, x.text(values))
	return nil
}

// What is read beside a dataset is what was known at each row's time and at the dataset's position, of a view that the dataset reads and of one that it does not.
func TestColumnsAreReadBesideADataset(t *testing.T) {
	w := newWorld(t)
	w.publishAll(t)
	weather := w.view("weather")
	only := *w.service
	only.Pins = only.Pins[:1]
	plan := planOf(&only, nil)
	station := []feature.Value{feature.Bool(true), feature.String("x"), feature.Timestamp(day), feature.Int64(0)}
	at := func(n int64) []feature.Value {
		values := append([]feature.Value(nil), station...)
		values[3] = feature.Int64(n)
		return values
	}
	w.publish(t, "weather", row("ORD", hours(1), hours(1), at(11)...), row("ORD", hours(3), hours(5), at(13)...), row("JFK", hours(1), hours(1), at(21)...))
	s := flights(flight(1, "ORD", hours(2), 7), flight(2, "ORD", hours(4), 7), flight(3, "ORD", hours(6), 7), flight(4, "JFK", hours(2), 8), flight(5, "LAX", hours(2), 8))
	request := Request{Plan: plan, LeaveOut: []LeaveOut{{Kind: Condition, Condition: "row.label == 4.0"}}}
	m := w.buildSide(t, s, request).Manifest

	// What comes later is not of the dataset's position.
	w.publish(t, "weather", row("ORD", hours(1), hours(1), at(99)...))
	beside := []Beside{{Version: weather, Slot: 3, KeyColumns: []string{"origin"}}, {Version: w.view("delays"), Slot: 1, KeyColumns: []string{"origin"}}}
	x := &examined{}
	if err := w.builder.Examine(context.Background(), m, plan, beside, x); err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(x.rows, "; "), "ORD 1 11 2; ORD 2 11 2; ORD 3 13 none; LAX 5 none none"; got != want {
		t.Errorf("found %s, expected %s", got, want)
	}
	if got, want := strings.Join(x.leftOut, "; "), "JFK 4 21 4"; got != want {
		t.Errorf("found that %s are left out, expected %s", got, want)
	}

	for _, c := range []struct {
		beside Beside
		reason fault.Reason
		want   string
	}{
		{Beside{Version: weather, Slot: 3, KeyColumns: []string{"airport"}}, fault.InvalidArgument,
			"found no column airport in the spine, expected the keys of view weather, of which weather.station is asked for; the spine has label, origin, timestamp, number"},
		{Beside{Version: w.addView(t, weather.EntityVersion, feature.View{Name: "late", Features: []feature.Column{{Name: "x", Type: feature.TypeInt64}}}), KeyColumns: []string{"origin"}},
			fault.NotMaterialized, "view late@1: no run of it was published by position "},
	} {
		err := w.builder.Examine(context.Background(), m, plan, []Beside{c.beside}, &examined{})
		if f := fault.As(err); f == nil || f.Reason != c.reason || !strings.HasPrefix(f.Message, c.want) {
			t.Errorf("found %v, expected %s", err, c.want)
		}
	}
	// What cannot be had again is not told of.
	w.exec(t, "UPDATE "+historyTable(w.view("delays"))+" SET departures = 77 WHERE entity_key = 'ORD'")
	if err := w.builder.Examine(context.Background(), m, plan, nil, &examined{}); fault.ReasonOf(err) != fault.DigestMismatch {
		t.Errorf("found %v", err)
	}
}

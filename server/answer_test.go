package server

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/anyvalue"
	"github.com/headwaterhq/headwater/internal/testenv"
	"github.com/headwaterhq/headwater/internal/wire"
	"github.com/headwaterhq/headwater/online"
	"github.com/headwaterhq/headwater/read"
)

// twice is a mask that shows texts and bytes twice, and all else as it is.
func twice(t feature.Type) *read.Mask {
	double := func(dst []byte, text string) []byte { return append(append(dst, text...), text...) }
	switch t {
	case feature.TypeString:
		return &read.Mask{Apply: func(v feature.Value) feature.Value { return feature.String(string(double(nil, v.Str()))) }, AppendText: double}
	case feature.TypeBytes:
		return &read.Mask{Apply: func(v feature.Value) feature.Value { return feature.Bytes(string(double(nil, v.Str()))) }, AppendText: double}
	}
	return &read.Mask{Apply: func(v feature.Value) feature.Value { return v }}
}

// An answer is written straight from packed rows. Byte by byte it is what the generated code writes of the message that package
// read makes of the unpacked winners: of any types, statuses, defaults, masks and filters.
func TestAnswersAreWrittenAsMessagesAre(t *testing.T) {
	client := testenv.Redis(t)
	reader, writer := online.NewReader(client, "answers"), online.NewWriter(client, "answers")
	const now = feature.Time(1_700_000_000_000_000)
	id := int64(0)
	rapid.Check(t, func(t *rapid.T) {
		entity := &feature.EntityVersion{Version: 1, Entity: feature.Entity{Name: "thing", JoinKeys: []feature.Column{{Name: "k", Type: feature.TypeInt64}}}}
		n := rapid.IntRange(1, 6).Draw(t, "entities")
		service := &feature.ServiceVersion{Version: rapid.IntRange(0, 300).Draw(t, "version"), Service: feature.Service{Name: "s"}}
		var items []online.Item
		for v := range rapid.IntRange(1, 3).Draw(t, "views") {
			id++
			view := &feature.ViewVersion{
				ID: id, Version: v + 1, EntityVersion: entity,
				View: feature.View{Name: fmt.Sprintf("view%d", v), Entity: "thing", TTL: time.Duration(rapid.SampledFrom([]int{0, 60}).Draw(t, "ttl")) * time.Second},
			}
			pin := feature.ServicePin{View: view}
			for c := range rapid.IntRange(1, 10).Draw(t, "columns") {
				view.Features = append(view.Features, feature.Column{Name: fmt.Sprintf("c%d", c), Type: anyvalue.Type().Draw(t, "type")})
				pin.Features = append(pin.Features, c)
			}
			service.Pins = append(service.Pins, pin)
			rows := rapid.SampledFrom([]string{"all", "some"}).Draw(t, "rows")
			for k := range n {
				kind := "here"
				if rows == "some" {
					kind = rapid.SampledFrom([]string{"here", "here", "none", "gone", "old", "future", "later"}).Draw(t, "row")
				}
				h := online.Header{Seq: 9, RunSeq: int64(rapid.IntRange(1, 9).Draw(t, "run")), EventTime: now - 1000, AvailableAt: now - feature.Time(k)}
				switch kind {
				case "none":
					continue
				case "old":
					h.EventTime = now.Add(-time.Hour)
				case "future":
					h.EventTime = now + 1
				case "later":
					h.AvailableAt = now + 1
				}
				var values []feature.Value
				for _, c := range view.Features {
					g := anyvalue.OrNull(c.Type)
					if rows == "all" && rapid.IntRange(0, 9).Draw(t, "null") > 0 {
						g = anyvalue.Of(c.Type)
					}
					values = append(values, g.Draw(t, c.Name))
				}
				row, err := online.NewLayout(view.Stored()).Append(nil, h, values)
				if kind == "gone" {
					row, err = online.AppendTombstone(nil, 0, 9, 9)
				}
				if err != nil {
					t.Fatal(err)
				}
				items = append(items, online.Item{Entity: "thing", Key: fmt.Sprint(k), ViewID: id, Packed: row})
			}
		}
		if _, err := writer.Write(context.Background(), items); err != nil {
			t.Fatal(err)
		}
		p, err := read.NewPlan(service, nil, "")
		if err != nil {
			t.Fatal(err)
		}
		for i := range p.Columns {
			c := &p.Columns[i]
			switch rapid.SampledFrom([]string{"", "", "default", "mask", "both", "twice"}).Draw(t, "policy") {
			case "default":
				d := anyvalue.Of(c.Type).Draw(t, "default")
				c.Default = &d
			case "mask":
				m := anyvalue.OrNull(c.Type).Draw(t, "mask")
				c.Mask = &read.Mask{Apply: func(feature.Value) feature.Value { return m }}
			case "both":
				m := anyvalue.Of(c.Type).Draw(t, "masked default")
				c.Default, c.Mask = &m, &read.Mask{Apply: func(v feature.Value) feature.Value { return v }}
			case "twice":
				c.Mask = twice(c.Type)
			}
		}
		for v := range p.Views {
			if rapid.IntRange(0, 3).Draw(t, "filter") == 0 {
				p.Views[v].Filter = &read.Filter{Slots: []int{read.SlotEventTime, 0}, Holds: func(values []feature.Value) bool {
					return values[0].Timestamp() > 0 && !values[1].IsNull()
				}}
			}
		}
		stale := map[*feature.ViewVersion]bool{}
		for v := range p.Views {
			stale[p.Views[v].Version] = rapid.IntRange(0, 3).Draw(t, "stale") == 0
		}
		plan := &compiledPlan{read: p, online: online.NewPlan(p), frames: framesOf(p)}
		l := reader.Lookup(plan.online)
		defer l.Close()
		var asked []feature.Value
		for i := range rapid.IntRange(1, 8).Draw(t, "asked") {
			k := feature.Null()
			if i == 0 || rapid.IntRange(0, 5).Draw(t, "no key") > 0 {
				k = feature.Int64(int64(rapid.IntRange(0, n).Draw(t, "key")))
			}
			asked = append(asked, k)
		}
		for v := range p.Views {
			if plan.online.KeysLike(v) >= 0 {
				l.SameKeys(v)
				continue
			}
			for _, k := range asked {
				if err := l.AddKey(v, []feature.Value{k}); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := l.Fetch(context.Background()); err != nil {
			t.Fatal(err)
		}
		if err := l.Judge(now, func(v *read.View) bool { return stale[v.Version] }); err != nil {
			t.Fatal(err)
		}
		a := &answer{plan: plan, lookup: l, n: len(asked), now: now, position: int64(rapid.IntRange(0, 1000).Draw(t, "position")), readID: "rd_1"}
		for v := range p.Views {
			if rapid.IntRange(0, 3).Draw(t, "late") == 0 {
				a.late = append(a.late, p.Views[v].Version.ID)
			}
		}
		provenance := rapid.Bool().Draw(t, "provenance")
		got, err := a.append(nil, provenance, 0)
		if err != nil {
			t.Fatal(err)
		}
		want, err := proto.MarshalOptions{Deterministic: true}.Marshal(plainAnswer(t, a, provenance))
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(want) {
			found := &headwaterv1.GetFeaturesResponse{}
			err := proto.Unmarshal(got, found)
			t.Fatalf("found    %v (%v)\nexpected %v", found, err, plainAnswer(t, a, provenance))
		}
	})
}

// plainAnswer is an answer in its plainest form.
func plainAnswer(t *rapid.T, a *answer, provenance bool) *headwaterv1.GetFeaturesResponse {
	p := a.plan.read
	out := &headwaterv1.GetFeaturesResponse{
		ReadId: a.readID, Service: p.Service.Name, ServiceVersion: int32(p.Service.Version), ServedAt: timestamppb.New(a.now.Time()), Position: a.position,
	}
	winners := make([][]read.Winner, len(p.Views))
	for v := range p.Views {
		var err error
		if winners[v], err = a.lookup.Winners(v); err != nil {
			t.Fatal(err)
		}
	}
	for i := range p.Columns {
		c := &p.Columns[i]
		values := wire.NewVector(c.Type, a.n)
		same := true
		for row := range a.n {
			v, status := c.Value(&winners[c.View][row])
			values.Status[row] = headwaterv1.ValueStatus(status)
			wire.SetVector(values, row, v)
			same = same && values.Status[row] == values.Status[0]
		}
		if same {
			values.Status, values.StatusOfAll = nil, values.Status[0]
		}
		out.Features = append(out.Features, &headwaterv1.FeatureVector{
			Name: c.Name, Values: values, View: c.Version.Name, ViewVersion: int32(c.Version.Version), Feature: c.Version.Features[c.Feature].Name,
		})
	}
	for v := range p.Views {
		if !provenance {
			break
		}
		of := &headwaterv1.ViewProvenance{View: p.Views[v].Version.Name, ViewVersion: int32(p.Views[v].Version.Version), Prefix: p.Views[v].Prefix, Late: slices.Contains(a.late, p.Views[v].Version.ID)}
		for row := range a.n {
			w := &winners[v][row]
			age := int64(0)
			if w.Status == read.Present || w.Status == read.Stale {
				age = int64(a.now - w.EventTime)
			}
			of.EventTimes, of.AvailableAts = append(of.EventTimes, int64(w.EventTime)), append(of.AvailableAts, int64(w.AvailableAt))
			of.RunSeqs, of.Ages = append(of.RunSeqs, w.RunSeq), append(of.Ages, age)
		}
		out.Provenance = append(out.Provenance, of)
	}
	return out
}

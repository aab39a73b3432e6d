package server

import (
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

// Inputs in lists of one type are what they are value by value: in an answer, on a stream, in the log of reads, and computed again.
func TestInputsInListsOfOneType(t *testing.T) {
	p := newProduct(t)
	d := onDemand()
	for i := range d.Services {
		d.Services[i].Log = "all"
	}
	p.apply(d)

	p.ingest(flights(flight("ORD", 7, time.Now().Add(-3*time.Hour), feature.Float64(3)), flight("JFK", 8, time.Now().Add(-3*time.Hour), feature.Float64(0))), 0)
	p.materialize("delays", "traffic")
	request := func(hour, note *headwaterv1.KeyColumn) *headwaterv1.GetFeaturesRequest {
		return &headwaterv1.GetFeaturesRequest{
			Service: "ranked", Keys: map[string]*headwaterv1.KeyColumn{"origin": texts("ORD", "JFK", "LAX"), "number": numbers(7, 8, 9)},
			Inputs: map[string]*headwaterv1.KeyColumn{"hour": hour, "note": note},
		}
	}
	typed := request(&headwaterv1.KeyColumn{Int64S: []int64{5, 1000005, 8}}, &headwaterv1.KeyColumn{Strings: []string{"a", "b", "c"}})
	one, each := p.readModel(typed), p.readModel(request(numbers(5, 1000005, 8), texts("a", "b", "c")))
	if got, want := vectors(one), vectors(each); got != want {
		t.Errorf("found\n%s\nexpected, as of values,\n%s", got, want)
	}
	stream, err := p.online.StreamFeatures(p.admin)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&headwaterv1.StreamFeaturesRequest{Id: 1, Request: typed}); err != nil {
		t.Fatal(err)
	}
	if r, err := stream.Recv(); err != nil || vectors(r.GetResponse()) != vectors(each) {
		t.Errorf("found %v, %v on a stream", r, err)
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	// Without keys the inputs say how many entities there are.
	alone := p.readModel(&headwaterv1.GetFeaturesRequest{
		Service: "alone", Inputs: map[string]*headwaterv1.KeyColumn{"hour": {Int64S: []int64{4, 1 << 62}}},
	})
	if got := vectors(alone); got != "pure__twice 8/PRESENT 0/ERROR\n" {
		t.Errorf("found %s", got)
	}
	for id, inputs := range map[string]map[string]*headwaterv1.KeyColumn{
		one.GetReadId(): typed.GetInputs(), alone.GetReadId(): {"hour": {Int64S: []int64{4, 1 << 62}}},
	} {
		logged := p.loggedRead(id).GetRead()
		for name, column := range inputs {
			if !proto.Equal(logged.GetInputs()[name], column) {
				t.Errorf("found the input %s logged as %v, expected %v", name, logged.GetInputs()[name], column)
			}
		}
		v, err := p.reads().VerifyRead(p.admin, &headwaterv1.VerifyReadRequest{ReadId: id})
		if err != nil || v.GetDifferent()+v.GetNotChecked() != 0 || v.GetMatching()+v.GetLagging() == 0 {
			t.Errorf("found %v, %v when it was computed again", v, fault.FromError(err))
		}
	}
	for what, inputs := range map[string]map[string]*headwaterv1.KeyColumn{
		`inputs: hour: found 2 values, expected as many as there are entities, 3`: {
			"hour": {Int64S: []int64{1, 2}}, "note": {Strings: []string{"a", "b", "c"}}},
		`inputs: hour: value 1: found string, expected int64`: {
			"hour": {Strings: []string{"1", "2", "3"}}, "note": {Strings: []string{"a", "b", "c"}}},
		`inputs: hour: found several lists of values, expected one of values, strings and int64s`: {
			"hour": {Int64S: []int64{1, 2, 3}, Strings: []string{"a"}}, "note": {Strings: []string{"a", "b", "c"}}},
	} {
		_, err := p.online.GetFeatures(p.admin, &headwaterv1.GetFeaturesRequest{Service: "ranked", Keys: typed.GetKeys(), Inputs: inputs})
		wantFault(t, err, fault.InvalidArgument, what)
	}
}

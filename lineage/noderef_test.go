package lineage

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/headwaterhq/headwater/internal/fault"
)

func TestParse(t *testing.T) {
	for s, want := range map[string]NodeRef{
		"source:flights":                       {Kind: Source, Name: "flights"},
		"load:17":                              {Kind: Load, LoadID: 17},
		"run:airport_delays@2/5":               {Kind: Run, Name: "airport_delays", Version: 2, Seq: 5},
		"view:airport_delays":                  {Kind: View, Name: "airport_delays"},
		"view:airport_delays@2":                {Kind: View, Name: "airport_delays", Version: 2},
		"feature:airport_delays.mean_delay":    {Kind: Feature, Name: "airport_delays", Feature: "mean_delay"},
		"feature:airport_delays@2.mean_delay":  {Kind: Feature, Name: "airport_delays", Version: 2, Feature: "mean_delay"},
		"service:delay_model_v1":               {Kind: Service, Name: "delay_model_v1"},
		"service:delay_model_v1@3":             {Kind: Service, Name: "delay_model_v1", Version: 3},
		"source:flights#date":                  {Kind: SourceColumn, Name: "flights", Column: "date"},
		"view:airport_delays#origin":           {Kind: ViewColumn, Name: "airport_delays", Column: "origin"},
		"view:airport_delays@2#origin":         {Kind: ViewColumn, Name: "airport_delays", Version: 2, Column: "origin"},
		"dataset:ds_abcdefghijklmnopqrstuvwx2": {Kind: Dataset, DatasetID: "ds_abcdefghijklmnopqrstuvwx2"},
		"dataset:training@4":                   {Kind: Dataset, Name: "training", Version: 4},
		"dataset:ds_training@4":                {Kind: Dataset, Name: "ds_training", Version: 4},
		"model:delay":                          {Kind: Model, Name: "delay"},
		"model:delay@3":                        {Kind: Model, Name: "delay", Version: 3},
		"consumer:sales":                       {Kind: Consumer, Name: "sales"},
		"prediction:rd_01jh5x2q":               {Kind: Prediction, ReadID: "rd_01jh5x2q"},
		"predictions:delay_model@3":            {Kind: Predictions, Name: "delay_model", Version: 3},
		"consumer:sales@2":                     {Kind: Consumer, Name: "sales", Version: 2},
	} {
		got, err := Parse(s)
		if err != nil || got != want {
			t.Errorf("Parse(%q): found %+v, %v, expected %+v", s, got, err, want)
		}
		if got.String() != s {
			t.Errorf("Parse(%q) is written as %q", s, got)
		}
	}
}

func TestParseFaults(t *testing.T) {
	const all = "expected `source:NAME`, `load:ID`, `run:VIEW@VERSION/SEQ`, `view:NAME[@VERSION]`, " +
		"`feature:VIEW[@VERSION].NAME`, `service:NAME[@VERSION]`, `source:NAME#COLUMN`, `view:NAME[@VERSION]#COLUMN`, " +
		"`dataset:ID`, `dataset:NAME@VERSION`, `model:NAME[@VERSION]`, `consumer:NAME[@VERSION]` or `prediction:READ_ID`, with names in lower case"
	for _, c := range []struct {
		node, want string
		reason     fault.Reason
	}{
		{"", `node: found "", ` + all, fault.InvalidArgument},
		{"flights", `node: found "flights", ` + all, fault.InvalidArgument},
		{"entity:airport", `node: found "entity:airport", ` + all, fault.InvalidArgument},
		{"foo:x#y", `node: found "foo:x#y", ` + all, fault.InvalidArgument},
		{"source:", "node: found \"source:\", expected `source:NAME` or `source:NAME#COLUMN`, with names in lower case", fault.InvalidArgument},
		{"source:Flights", "node: found \"source:Flights\", expected `source:NAME` or `source:NAME#COLUMN`, with names in lower case", fault.InvalidArgument},
		{"load:x", "node: found \"load:x\", expected `load:ID`, with names in lower case", fault.InvalidArgument},
		{"load:0", "node: found \"load:0\", expected `load:ID`, with names in lower case", fault.InvalidArgument},
		{
			"load:99999999999999999999", "node: found \"load:99999999999999999999\", expected `load:ID`, with names in lower case",
			fault.InvalidArgument,
		},
		{"view:a@", "node: found \"view:a@\", expected `view:NAME[@VERSION]` or `view:NAME[@VERSION]#COLUMN`, with names in lower case", fault.InvalidArgument},
		{"view:a@0", "node: found \"view:a@0\", expected `view:NAME[@VERSION]` or `view:NAME[@VERSION]#COLUMN`, with names in lower case", fault.InvalidArgument},
		{"view:a\n", "node: found \"view:a\\n\", expected `view:NAME[@VERSION]` or `view:NAME[@VERSION]#COLUMN`, with names in lower case", fault.InvalidArgument},
		{
			"feature:mean_delay", "node: found \"feature:mean_delay\", expected `feature:VIEW[@VERSION].NAME`, with names in lower case",
			fault.InvalidArgument,
		},
		{
			"run:airport_delays/5", "node: found \"run:airport_delays/5\", expected `run:VIEW@VERSION/SEQ`, with names in lower case",
			fault.InvalidArgument,
		},
		{
			"prediction:ds_1", "node: found \"prediction:ds_1\", expected `prediction:READ_ID`, with names in lower case", fault.InvalidArgument,
		},
		{
			"dataset:training", "node: found \"dataset:training\", expected `dataset:ID` or `dataset:NAME@VERSION`, " +
				"with names in lower case", fault.InvalidArgument,
		},
		{
			"source:flights#", "node: found \"source:flights#\", expected `source:NAME` or `source:NAME#COLUMN`, with names in lower case",
			fault.InvalidArgument,
		},
	} {
		got, err := Parse(c.node)
		if err == nil || err.Error() != c.want || fault.ReasonOf(err) != c.reason || got != (NodeRef{}) {
			t.Errorf("Parse(%q):\nfound    %v, %v\nexpected %v", c.node, got, err, c.want)
		}
	}
}

// What a node is written as reads back as the same node, and whatever Parse accepts it writes the same.
func TestParseReadsWhatStringWrites(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		kind := rapid.SampledFrom(nodeKindNames[:]).Draw(t, "kind")
		s := kind + ":" + rapid.StringMatching(`[a-z_]{0,4}[@./0-9a-zA-Z#]{0,8}`).Draw(t, "rest")
		n, err := Parse(s)
		if (err == nil) != (n != NodeRef{}) {
			t.Fatalf("Parse(%q): found %+v and %v", s, n, err)
		}
		if err == nil && n.String() != s {
			t.Fatalf("%q is written as %q", s, n)
		}
		if err == nil && n.Kind.String() != strings.SplitN(s, ":", 2)[0] {
			t.Fatalf("%q became a %s", s, n.Kind)
		}
	})
}

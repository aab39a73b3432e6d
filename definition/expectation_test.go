package definition

import (
	"fmt"
	"math"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

// The example of the reference has every kind: nothing of it is lost when it is kept.
func TestExpectationsRoundTrip(t *testing.T) {
	text, err := os.ReadFile("../docs/definitions.md")
	if err != nil {
		t.Fatal(err)
	}
	rest := string(text)[strings.Index(string(text), "## `expectations[]`"):]
	block := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindStringSubmatch(rest)
	write(t, map[string]string{"a.yaml": block[1]})
	set, err := Load([]string{"a.yaml"})
	if err != nil {
		t.Fatal(err)
	}
	file := ToProto(&set.Definitions)
	if !proto.Equal(set.Files[0].File, file) {
		t.Fatalf("found %s\nexpected %s", protojson.Format(file), protojson.Format(set.Files[0].File))
	}
	stored, err := protojson.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	read := &headwaterv1.DefinitionFile{}
	if err := protojson.Unmarshal(stored, read); err != nil {
		t.Fatal(err)
	}
	again, _, violations := FromProto([]*headwaterv1.DefinitionSource{{File: read}})
	if len(violations) > 0 || !reflect.DeepEqual(again, set.Definitions) {
		t.Fatalf("found %+v, %v\nexpected %+v", again, violations, set.Definitions)
	}
}

func TestExpectationsTellPlaceAndRemedy(t *testing.T) {
	for _, c := range []struct{ expectation, want string }{
		{"{column: origin}", "found none of not_null, range, accepted_values"},
		{"{column: origin, not_null: {}, on_failure: quarantaine}", `found "quarantaine", expected fail, quarantine, drop or keep`},
		{"{column: origin, not_null: {}, warn_above: 2}", "found 2 for warn_above, expected a share from 0 to 1"},
		{"{column: origin, not_null: {}, name: A}", `found the name "A", expected lower-case letters`},
		{"{column: origin, length: {min: -1}}", "found -1 for min, expected at least 0"},
		{"{row_count_ratio: {runs: 1001}, warn: {min: 1}}", "found 1001 for runs, expected at least 0 and at most 1000"},
		{"{row_count: {}, warn: {}}", "found no bounds, expected min, max or both"},
		{"{column: date, range: {min: null, max: \"2024-01-01T00:00:00Z\"}}", "found null, expected a value; leave it out for no bound"},
		{"{column: date, plausible: {future: -1h}}", "found a future that is not above zero, expected a duration such as 24h"},
		{"{cel: row.orgin == \"a\"}", "found no column called orgin; did you mean row.origin?"},
		{"{cel: origin == \"a\"}", "found the name origin, expected row.COLUMN; did you mean row.origin?"},
		{"{cel: request.time > row.date}", "found the name request, expected row.COLUMN"},
		{"{cel: row.origin}", "found an expression of type string, expected one of type bool that is true for rows that are well"},
		{"{cel: row == row}", "found row alone, expected row.COLUMN"},
		{"{cel: 'row.origin =='}", "found what is no CEL"},
		{"{column: origin, regex: '(?<=a)b'}", "expected the syntax of RE2"},
		{"{column: origin, accepted_values: {values: [{a: b}]}}", "found keys and values, expected a boolean"},
	} {
		text := strings.Replace(good, "    landing: {}\n", "    landing: {}\n    expectations:\n      - "+c.expectation+"\n", 1)
		write(t, map[string]string{"a.yaml": text})
		_, err := Load([]string{"a.yaml"})
		if err == nil || !strings.Contains(err.Error(), "a.yaml:10:") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: found %v\nexpected %s", c.expectation, err, c.want)
		}
	}
	// Of a view, over what it outputs.
	text := strings.Replace(good, "    ttl: 24h\n", "    ttl: 24h\n    expectations: [{cel: row.departures > row.date}]\n", 1)
	write(t, map[string]string{"a.yaml": text})
	if _, err := Load([]string{"a.yaml"}); err == nil || !strings.Contains(err.Error(), "a.yaml:18:") ||
		!strings.Contains(err.Error(), "found no column called date; there is row.origin, row.event_time") {
		t.Errorf("found %v", err)
	}
}

// What only protobuf can bring is refused, or read as the text that YAML would have.
func TestExpectationsOfProtobufThatNoFileHolds(t *testing.T) {
	nan := math.NaN()
	for name, e := range map[string]*headwaterv1.Expectation{
		"no kind":    {Column: "origin"},
		"NaN bounds": {Kind: &headwaterv1.Expectation_RowCount{}, Error: &headwaterv1.Bounds{Min: &nan}},
		"NaN share":  {Column: "origin", Kind: &headwaterv1.Expectation_NotNull{}, WarnAbove: nan},
		"NaN value": {Column: "n", Kind: &headwaterv1.Expectation_Range{Range: &headwaterv1.ValueRange{
			Min: structpb.NewNumberValue(nan), Max: &structpb.Value{},
		}}},
		"a struct": {Column: "n", Kind: &headwaterv1.Expectation_AcceptedValues{AcceptedValues: &headwaterv1.AcceptedValues{
			Values: []*structpb.Value{structpb.NewStructValue(&structpb.Struct{}), nil, {}},
		}}},
		"nil inside": {Kind: &headwaterv1.Expectation_References{}},
		"empty CEL":  {Kind: &headwaterv1.Expectation_Cel{}},
	} {
		file := &headwaterv1.DefinitionFile{Sources: []*headwaterv1.Source{{
			Name: "s", EventTime: "at", Columns: []*headwaterv1.Column{{Name: "at", Type: "timestamp"}, {Name: "origin", Type: "string"}, {Name: "n", Type: "float64"}},
			Origin: &headwaterv1.Source_Landing{Landing: &headwaterv1.LandingOrigin{}}, Expectations: []*headwaterv1.Expectation{e},
		}}}
		d, _, violations := FromProto([]*headwaterv1.DefinitionSource{{File: file}})
		problems := fmt.Sprint(violations)
		if len(violations) == 0 {
			found := append(d.Validate(nil), expressionProblems(&d)...)
			if problems = fmt.Sprint(found); len(found) == 0 {
				t.Errorf("%s: found no problem", name)
			}
		}
		if strings.Contains(problems, "nil") {
			t.Errorf("%s: found %s", name, problems)
		}
	}
}

// Drift rules are kept whole, and what is counted by time warns where nothing is declared.
func TestWhatWarnsByDefault(t *testing.T) {
	write(t, map[string]string{"a.yaml": `
entities:
  - name: shop
    join_keys: [{name: shop, type: string}]
sources:
  - name: sales
    landing: {}
    columns: [{name: shop, type: string}, {name: at, type: timestamp}, {name: revenue, type: float64}]
    event_time: at
    expectations: [{column: revenue, completeness: {bucket: 720h}}]
feature_views:
  - name: revenue
    entity: shop
    features: [{name: revenue, type: float64}]
    sql: {sources: [sales], query: "SELECT shop, at AS event_time, revenue FROM sales WHERE at >= {{interval.start}} AND at < {{interval.end}}"}
    drift: {warn: 0.2, columns: [{column: revenue, fail: 0.5}]}
    expectations: [{rows_kept: {bucket: 24h}}, {name: "all", rows_kept: {bucket: 24h}, error: {min: 0.1}}]
`})
	set, err := Load([]string{"a.yaml"})
	if err != nil {
		t.Fatal(err)
	}
	view, source := set.Definitions.Views[0], set.Definitions.Sources[0]
	for _, c := range []struct {
		bounds feature.Bounds
		want   string
	}{
		{source.Expectations[0].Warn, "from 0.5 on"}, {view.Expectations[0].Warn, "from 0.5 on"}, {view.Expectations[1].Warn, ""}, {view.Expectations[1].Error, "from 0.1 on"},
	} {
		if got := c.bounds.String(); (got == "") != (c.want == "") || c.want != "" && *c.bounds.Min != map[string]float64{"from 0.5 on": 0.5, "from 0.1 on": 0.1}[c.want] {
			t.Errorf("found the bounds %q, expected %q", got, c.want)
		}
	}
	again, _, violations := FromProto([]*headwaterv1.DefinitionSource{{File: ToProto(&set.Definitions)}})
	if len(violations) > 0 || !reflect.DeepEqual(again, set.Definitions) || again.Views[0].Drift.Of("revenue") != (feature.DriftThresholds{Warn: 0.2, Fail: 0.5}) {
		t.Errorf("found %+v, %v", again, violations)
	}
}

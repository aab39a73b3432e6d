package openlineage

import (
	"fmt"
	"strings"
	"testing"

	"github.com/headwaterhq/headwater/internal/fault"
)

// event is a RunEvent with one thing changed.
func event(old, new string) []byte {
	const whole = `{"eventTime": "2026-01-31T10:05:00.25Z", "eventType": "COMPLETE", "producer": "https://dbt.example.com", "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json",
		"run": {"runId": "a420a447-8fcc-50d9-a99d-a468dca35fe5"}, "job": {"namespace": "dbt", "name": "flights"},
		"inputs": [{"namespace": "postgres://db:5432", "name": "hw.raw.flights"}],
		"outputs": [{"namespace": "postgres://db:5432", "name": "hw.public.flights", "facets": {
			"symlinks": {"identifiers": [{"namespace": "spark", "name": "flights", "type": "TABLE"}]},
			"columnLineage": {"fields": {"delay": {"inputFields": [{"namespace": "postgres://db:5432", "name": "hw.raw.flights", "field": "late"}]}}}}}]}`
	return []byte(strings.Replace(whole, old, new, 1))
}

func TestReadTold(t *testing.T) {
	told, err := ReadTold(event("", ""))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprintf("%+v", *told), "{Time:2026-01-31 10:05:00.25 +0000 UTC Type:COMPLETE RunID:a420a447-8fcc-50d9-a99d-a468dca35fe5 "+
		"Job:{Namespace:dbt Name:flights} Inputs:[{Name:{Namespace:postgres://db:5432 Name:hw.raw.flights} Aliases:[] Columns:[]}] "+
		"Outputs:[{Name:{Namespace:postgres://db:5432 Name:hw.public.flights} Aliases:[{Namespace:spark Name:flights}] "+
		"Columns:[{Column:delay From:{Namespace:postgres://db:5432 Name:hw.raw.flights} FromColumn:late Kind:value}]}]}"; got != want {
		t.Errorf("found\n%s\nexpected\n%s", got, want)
	}
}

// In what way a column is made of another is told by what the specification calls its transformations.
func TestToldColumnsHaveAKind(t *testing.T) {
	for transformations, want := range map[string]string{
		``:   "value",
		`[]`: "value",
		`[{"type": "DIRECT", "subtype": "IDENTITY"}]`:                                              "value",
		`[{"type": "DIRECT", "subtype": "AGGREGATION", "masking": false}]`:                         "value",
		`[{"type": "INDIRECT", "subtype": "JOIN"}, {"type": "INDIRECT", "subtype": "FILTER"}]`:     "join filter",
		`[{"type": "INDIRECT", "subtype": "GROUP_BY"}]`:                                            "group",
		`[{"type": "INDIRECT", "subtype": "WINDOW"}, {"type": "INDIRECT", "subtype": "GROUP_BY"}]`: "group",
		`[{"type": "INDIRECT", "subtype": "SORT"}]`:                                                "order",
		`[{"type": "INDIRECT", "subtype": "CONDITIONAL"}]`:                                         "value",
		`[{"type": "INDIRECT"}]`:                                                                   "filter",
		`[{"type": "DIRECT"}, {"type": "INDIRECT", "subtype": "SORT"}]`:                            "value order",
	} {
		field := `"field": "late"`
		if transformations != "" {
			field += `, "transformations": ` + transformations
		}
		told, err := ReadTold(event(`"field": "late"`, field))
		if err != nil {
			t.Fatal(err)
		}
		var kinds []string
		for _, c := range told.Outputs[0].Columns {
			kinds = append(kinds, c.Kind.String())
		}
		if got := strings.Join(kinds, " "); got != want {
			t.Errorf("%s: found %s, expected %s", transformations, got, want)
		}
	}
	// What all columns depend on is of none by name.
	told, err := ReadTold(event(`"columnLineage": {`, `"columnLineage": {"dataset": [{"namespace": "s3://b", "name": "raw", "field": "day",
		"transformations": [{"type": "INDIRECT", "subtype": "FILTER"}]}], `))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprintf("%+v", told.Outputs[0].Columns[1]), "{Column: From:{Namespace:s3://b Name:raw} FromColumn:day Kind:filter}"; got != want {
		t.Errorf("found %s, expected %s", got, want)
	}
}

// Whatever is wrong with an event is said in one message.
func TestHostileEvents(t *testing.T) {
	for name, c := range map[string]struct {
		event []byte
		want  string
	}{
		"no JSON":         {[]byte("hello"), "the event: found what is no JSON: invalid character 'h' looking for beginning of value"},
		"cut short":       {event("", "")[:100], "the event: found what is no JSON: unexpected EOF"},
		"a list":          {[]byte("[]"), ": found a array, expected an object"},
		"deep":            {event(`{"namespace": "dbt"`, `{"x": `+strings.Repeat("[", 500_000)+strings.Repeat("]", 500_000)), "the event: found more than 64 levels, expected at most as many"},
		"large":           {make([]byte, MaxEvent+1), "the event: found 1048577 bytes, expected at most 1048576"},
		"no time":         {event("2026-01-31T10:05:00.25Z", "yesterday"), `eventTime: found "yesterday", expected a time as RFC 3339 writes it, such as 2026-01-31T10:05:00Z`},
		"no producer":     {event("https://dbt.example.com", ""), `producer: found "", expected a URI`},
		"another type":    {event("COMPLETE", "DONE"), `eventType: found "DONE", expected START, RUNNING, COMPLETE, ABORT, FAIL or OTHER`},
		"no run id":       {event("a420a447-8fcc-50d9-a99d-a468dca35fe5", "17"), `run.runId: found "17", expected a UUID`},
		"no job":          {event(`"job"`, `"jobs"`), "job: found none, expected a job in a RunEvent and a JobEvent, or a dataset, in a DatasetEvent"},
		"another kind":    {event(`"inputs": [`, `"inputs": 1, "x": [`), "inputs: found a number, expected a list"},
		"no name":         {event(`"name": "flights"}`, `"name": ""}`), "job.name: found nothing, expected a name"},
		"a long name":     {event(`"name": "hw.raw.flights"`, `"name": "`+strings.Repeat("x", 1001)+`"`), "inputs.name: found a name of 1001 bytes, expected at most 1000"},
		"a NUL":           {event("hw.public.flights", `hw\u0000`), `outputs.name: found "hw\x00", expected a name of characters that can be printed`},
		"a column of NUL": {event(`"field": "late"`, `"field": "\u0000"`), `outputs.facets.columnLineage: found "\x00", expected a name of characters that can be printed`},
		"many": {event(`"inputs": [`, `"inputs": [`+strings.Repeat(`{"namespace": "a", "name": "b"},`, 500)),
			"inputs and outputs: found 502, expected at most 500"},
	} {
		_, err := ReadTold(c.event)
		f := fault.As(err)
		if f == nil || f.Reason != fault.InvalidArgument || f.Message != "OpenLineage event: "+c.want {
			t.Errorf("%s: found %v, expected %s", name, err, c.want)
		}
	}
}

func TestRelations(t *testing.T) {
	n := Names{Postgres: Database{"postgres://db:5432", "hw"}, Sources: map[string]Database{"warehouse": {"postgres://wh:5433", "dwh"}}}
	for name, want := range map[Name]string{
		{"postgres://db:5432", "hw.headwater_landing.flights"}: "headwater_landing.flights",
		{"postgres://DB:5432", "hw.public.flights"}:            "public.flights",
		{"postgres://db:5432", "other.public.flights"}:         "",
		{"postgres://wh:5433", "dwh.air.flights"}:              "warehouse:air.flights",
		{"file", "/data/flights.csv"}:                          "file:/data/flights.csv",
		{"file://host", "/data/flights.csv"}:                   "file:/data/flights.csv",
		{"s3://bucket", "flights"}:                             "",
	} {
		if got := n.Relation(name); got != want {
			t.Errorf("%v: found %q, expected %q", name, got, want)
		}
	}
}

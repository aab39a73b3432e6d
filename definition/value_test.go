package definition

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

const values = `feature_views:
  - name: v
    aggregation:
      keys: {k: c}
      aggregates:
        - {quantile: 0.5}
feature_services:
  - name: s
    deprecated: {date: 2027-01-31}
    views:
      - view: v
        rename: {a: b}
        defaults: {a: 1}
tests:
  - name: t
    loads:
      - source: f
        replaces: 1
        rows: [{x: 1}]
    answers:
      - service: s
        at: 2024-01-01T10:00:00Z
`

func TestValuesAreReadAsWritten(t *testing.T) {
	for _, c := range []struct{ written, want string }{
		{"1", "1"}, {"-0.5", "-0.5"}, {"1e3", "1000"}, {"+1", "1"}, {"true", "true"}, {"null", "null"}, {"~", "null"}, {"", "null"},
		{"text", `"text"`}, {`"1"`, `"1"`}, {"!!str 1", `"1"`}, {"[1, a, [null]]", `[1,"a",[null]]`}, {"[]", "[]"},
		// Readers of YAML 1.1 see booleans here, and dates are dates to some.
		{"yes", `"yes"`}, {"off", `"off"`}, {"2024-01-01", `"2024-01-01"`}, {"2001-01-01T00:00:00Z", `"2001-01-01T00:00:00Z"`},
		{"12:30:45", `"12:30:45"`}, {"9007199254740993", `"9007199254740993"`}, {"-9223372036854775808", "-9223372036854775808"},
		// Not a number of 64 bits.
		{"1e999", `"1e999"`},
	} {
		text := strings.Replace(values, "{a: 1}", "{a: "+c.written+"}", 1)
		d, violations := parse("a.yaml", []byte(text))
		if len(violations) > 0 {
			t.Errorf("%s: %v", c.written, violations)
			continue
		}
		want := &headwaterv1.ServiceView{}
		if err := protojson.Unmarshal([]byte(`{"view": "v", "rename": {"a": "b"}, "defaults": {"a": `+c.want+`}}`), want); err != nil {
			t.Fatal(err)
		}
		if found := d.file.FeatureServices[0].Views[0]; !proto.Equal(found, want) {
			t.Errorf("%s: found %v, expected %v", c.written, found, want)
		}
	}
}

func TestValuesThatAreAmbiguousAreRefused(t *testing.T) {
	for _, c := range []struct{ old, now, want string }{
		{"{a: 1}", "{a: 017}", "a.yaml:13:23: found the number 017, expected decimal digits; put it in quotes if it is a text"},
		{"{a: 1}", "{a: 0x11}", "a.yaml:13:23: found the number 0x11, expected decimal digits; put it in quotes if it is a text"},
		{"{a: 1}", "{a: 0o17}", "a.yaml:13:23: found the number 0o17, expected decimal digits; put it in quotes if it is a text"},
		{"{a: 1}", "{a: 1_000}", "a.yaml:13:23: found the number 1_000, expected decimal digits; put it in quotes if it is a text"},
		{"{a: 1}", "{a: 0b11}", "a.yaml:13:23: found the number 0b11, expected decimal digits; put it in quotes if it is a text"},
		{"{a: 1}", "{a: .nan}", "a.yaml:13:23: found the number .nan, expected decimal digits; put it in quotes if it is a text"},
		{"{a: 1}", "{a: -.inf}", "a.yaml:13:23: found the number -.inf, expected decimal digits; put it in quotes if it is a text"},
		{"{a: 1}", "{a: True}", "a.yaml:13:23: found True, expected true or false; put it in quotes if it is a text"},
		{"{a: 1}", "{a: {b: 1}}", "a.yaml:13:23: found keys and values, expected a boolean, a number, a text, a list of these, or null"},
		{"{a: 1}", "{a: !!binary YQ==}", "a.yaml:13:23: found a value with the tag !!binary, expected a boolean, a number, a text, a list of these, or null"},
		{"{a: 1}", "{a: !x y}", "a.yaml:13:23: found a value with the tag !x, expected a boolean, a number, a text, a list of these, or null"},
		{"{a: 1}", "{1: 1}", "a.yaml:13:20: found the number 1 as a key, expected text; put it in quotes"},
		{"{a: 1}", "{null: 1}", "a.yaml:13:20: found null as a key, expected text; put it in quotes"},
		{"{a: 1}", "{[a]: 1}", "a.yaml:13:20: found a list as a key, expected text; put it in quotes"},
		{"{a: 1}", "{a: 1, a: 2}", "a.yaml:13:26: found a a second time (the first is in line 13), expected each key once"},
		{"{a: 1}", "[a]", "a.yaml:13:19: found a list for defaults, expected keys and values"},
		{"{a: 1}", "{<<: {a: 1}}", "a.yaml:13:20: found a value with the tag !!merge as a key, expected text; put it in quotes"},
		{"{a: 1}", "{a: [{b: 1}]}", "a.yaml:13:24: found keys and values, expected a boolean, a number, a text, a list of these, or null"},
		{"{a: b}", "{a: 5}", "a.yaml:12:21: found the number 5 for value, expected text; put it in quotes"},
		{"{k: c}", "text", `a.yaml:4:13: found the text "text" for keys, expected keys and values`},
		{"quantile: 0.5", "quantile: half", `a.yaml:6:22: found the text "half" for quantile, expected a number such as 0.5`},
		{"quantile: 0.5", `quantile: "0.5"`, `a.yaml:6:22: found the text "0.5" for quantile, expected a number such as 0.5`},
		{"quantile: 0.5", "quantile: 0x1", "a.yaml:6:22: found the number 0x1 for quantile, expected a number such as 0.5"},
		{"2027-01-31", "2027-02-31", `found "2027-02-31", expected a day such as 2027-01-31`},
		{"{date: 2027-01-31}", "{date: 2027-01-31T00:00:00Z}", "a.yaml:9:24: found the date 2027-01-31T00:00:00Z for date, expected text; put it in quotes"},
		{"replaces: 1", "replaces: 1.5", "a.yaml:18:19: found the number 1.5 for replaces, expected a whole number such as 1"},
		{"replaces: 1", "replaces: -1", "a.yaml:18:19: found the number -1 for replaces, expected a whole number such as 1"},
		{"replaces: 1", "replaces: 4294967297", "a.yaml:18:19: found the number 4294967297 for replaces, expected a whole number such as 1"},
		{"replaces: 1", "replaces: 1e0", "a.yaml:18:19: found the number 1e0 for replaces, expected a whole number such as 1"},
		{"[{x: 1}]", "[[1]]", "a.yaml:19:16: found a list for rows, expected keys and values"},
		{"[{x: 1}]", "{x: 1}", "a.yaml:19:15: found keys and values for rows, expected a list: each item on a line of its own after `- `, or all in [ ]"},
		{"2024-01-01T10:00:00Z", "2024-01-01", "a.yaml:22:13: found the date 2024-01-01 for at, expected a time with its zone, such as 2024-01-01T10:00:00Z"},
		{"2024-01-01T10:00:00Z", "2024-01-01T10:00:00", "a.yaml:22:13: found the text \"2024-01-01T10:00:00\" for at, expected a time with its zone, such as 2024-01-01T10:00:00Z"},
		{"2024-01-01T10:00:00Z", "noon", `a.yaml:22:13: found the text "noon" for at, expected a time with its zone, such as 2024-01-01T10:00:00Z`},
		{"2024-01-01T10:00:00Z", "{seconds: 5}", "a.yaml:22:13: found keys and values for at, expected a time with its zone, such as 2024-01-01T10:00:00Z"},
		{"2024-01-01T10:00:00Z", "0000-01-01T10:00:00Z", "a.yaml:22:13: found the date 0000-01-01T10:00:00Z for at, expected a time with its zone, such as 2024-01-01T10:00:00Z"},
	} {
		text := strings.Replace(values, c.old, c.now, 1)
		if text == values {
			t.Fatalf("%q is not in the text", c.old)
		}
		write(t, map[string]string{"a.yaml": text})
		if found := refused(t, "a.yaml").Error(); !strings.Contains(found, c.want+"\n") && !strings.HasSuffix(found, c.want) {
			t.Errorf("%s: found    %s\nexpected %s", c.now, found, c.want)
		}
	}
}

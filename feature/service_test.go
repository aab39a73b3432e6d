package feature

import (
	"fmt"
	"testing"
)

// followedService is the service of flights() with all that a service can say of a view.
func followedService(published bool, rename map[string]string, defaults map[string]Literal) (*Service, []ServicePin) {
	d := flights()
	s := &d.Services[0]
	s.Views[0].Published, s.Views[0].Rename, s.Views[0].Defaults = published, rename, defaults
	pin, problems := s.Views[0].ResolvePin(viewVersion(d))
	if len(problems) > 0 {
		panic(problems[0].Message)
	}
	return s, []ServicePin{pin}
}

func TestFingerprintOfWhatAServiceSays(t *testing.T) {
	for _, c := range []struct {
		published bool
		rename    map[string]string
		defaults  map[string]Literal
		want      string
	}{
		{false, nil, nil, "46486efb758632d6a8e00556881a21fa04e74084a88ccab8b6d87cd48af114bb"},
		{false, map[string]string{"mean_delay": "delay"}, nil, "9a74db7d995b5666ad24c7f942ddacd81ce39ccad242cbdab9231501f3fd4240"},
		{false, nil, map[string]Literal{"mean_delay": 12.5}, "f989dcbb06ccef1f7123210da37bc611293b8d49b96f8b4ebee38b253250a1a9"},
		{true, nil, nil, "57c2684a6400599c7f3662e5c81cce11fed45d0b7c7ed64117d470c3f5af4cfa"},
	} {
		s, pins := followedService(c.published, c.rename, c.defaults)
		if got := s.Fingerprint(pins).String(); got != c.want {
			t.Errorf("found %s, expected %s", got, c.want)
		}
	}
	if plain, pins := followedService(false, nil, nil); plain.Fingerprint(pins) != fingerprints(flights())[KindService] {
		t.Error("a service that says nothing more has another fingerprint than before it could")
	}
	// Another version that fits means the same to who follows, and one with another type does not.
	s, pins := followedService(true, nil, nil)
	before := s.Fingerprint(pins)
	d := flights()
	d.Views[0].TTL *= 2
	moved, ok := pins[0].At(viewVersion(d))
	if !ok || s.Fingerprint([]ServicePin{moved}) != before {
		t.Errorf("fits %t, expected a version that fits and means the same", ok)
	}
	d.Views[0].Features[1].Type = TypeString
	if why := pins[0].Misfit(viewVersion(d)); why != "its feature mean_delay is string, not float64" {
		t.Errorf("found %q", why)
	}
}

func TestValueOf(t *testing.T) {
	for _, c := range []struct {
		literal Literal
		typ     string
		want    string
	}{
		{true, "bool", "true"},
		{12.0, "int64", "12"},
		{"9223372036854775807", "int64", "9223372036854775807"},
		{9007199254740994.0, "int64", "found 9007199254740994, which is beyond 2^53 and may have been rounded, expected a text: \"9007199254740993\""},
		{1.5, "int64", "found 1.5, expected a whole number"},
		{"x", "int64", "found \"x\", expected an int64: a whole number from -2^63 to 2^63-1"},
		{1.0, "float64", "1"},
		{"NaN", "float64", "NaN"},
		{"1", "float64", "found the text \"1\", expected a float64: a number, \"NaN\", \"Infinity\" or \"-Infinity\""},
		{"a", "string", "a"},
		{1.0, "string", "found 1, expected a text"},
		{12.5, "decimal(6, 2)", "12.50"},
		{"-0.1", "decimal(6, 2)", "-0.10"},
		{"2026-01-31T12:00:00Z", "timestamp", "2026-01-31T12:00:00Z"},
		{"yesterday", "timestamp", "found \"yesterday\", expected a time such as 2026-01-31T12:00:00Z"},
		{"AP8=", "bytes", "AP8="},
		{"?", "bytes", "found \"?\", expected bytes in base64"},
		{[]any{1.0, 2.0}, "list(int64)", "[1,2]"},
		{[]any{1.0, nil}, "list(int64)", "found NULL as element 2 of a list, expected none: lists hold no NULL; leave it out"},
		{[]any{1.0, "a"}, "list(int64)", "element 2: found \"a\", expected an int64: a whole number from -2^63 to 2^63-1"},
		{[]any{0.5, 1.0}, "vector(2)", "[0.5,1]"},
		{[]any{0.5}, "vector(2)", "found 1 floats, expected 2, as vector(2) has"},
		{true, "list(bool)", "found true, expected a list(bool): a list such as [1, 2]"},
		{nil, "bool", ""},
	} {
		typ, err := ParseType(c.typ)
		if err != nil {
			t.Fatal(err)
		}
		v, err := ValueOf(c.literal, typ)
		got := v.Text()
		if err != nil {
			got = err.Error()
		}
		if got != c.want || err == nil && !v.IsNull() && v.Type() != typ {
			t.Errorf("%s as %s: found %s, expected %s", fmt.Sprint(c.literal), c.typ, got, c.want)
		}
	}
}

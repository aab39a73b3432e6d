package retention

import (
	"testing"

	"github.com/headwaterhq/headwater/feature"
)

func TestRedact(t *testing.T) {
	text, number := feature.String, feature.Int64
	for _, c := range []struct {
		values []feature.Value
		text   string
		want   string
	}{
		{[]feature.Value{text("Mallory-77|x")}, "Mallory-77|x.csv", "[erased].csv"},
		{[]feature.Value{text("Mallory-77|x")}, "for Mallory-77|x, and again Mallory-77|x", "for [erased], and again [erased]"},
		{[]feature.Value{text("Mallory")}, "xMallory Mallory Mallory2", "xMallory [erased] Mallory2"},
		{[]feature.Value{text("Mallory")}, "MalloryMallory", "MalloryMallory"},
		{[]feature.Value{text("Mallory")}, "Mallory\n", "[erased]\n"},
		{[]feature.Value{text("O'Brien")}, "SELECT * FROM p WHERE who = 'O''Brien'", "SELECT * FROM p WHERE who = '[erased]'"},
		{[]feature.Value{text("été-9")}, "fichier-été-9", "fichier-[erased]"},
		{[]feature.Value{text("été-9")}, "fichierété-9", "fichierété-9"},
		{[]feature.Value{number(123456)}, "WHERE id = 123456 AND x < 1234567", "WHERE id = [erased] AND x < 1234567"},
		// What is so short is in too many texts.
		{[]feature.Value{number(7)}, "interval '7 days'", "interval '7 days'"},
		// Of several values all have to be there.
		{[]feature.Value{number(7), text("Mallory")}, "Mallory", "Mallory"},
		{[]feature.Value{number(7), text("Mallory")}, "seat 7 of Mallory", "seat [erased] of [erased]"},
		{[]feature.Value{text("")}, "nothing", "nothing"},
	} {
		got, changed := (&Trace{Values: c.values}).Redact(c.text)
		if got != c.want || changed != (c.want != c.text) {
			t.Errorf("%q: found %q, %t, expected %q", c.text, got, changed, c.want)
		}
	}
}

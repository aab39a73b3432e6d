package feature

import "testing"

// Layout and comments of an expression mean nothing, and what is within its texts does.
func TestCanonicalCEL(t *testing.T) {
	for _, same := range [][]string{
		{"request.n*2", " request.n  *\n\t2 // twice", "request.n // of all\n * 2", "request . n * 2"},
		{"a in[b,'x  // y']", "a in [ b , 'x  // y' ]"},
		{`size(r"\" )+1`, "size(r\"\\\" ) + 1"},
		{`'it\'s  so'+"""a " // b"""`, `'it\'s  so' + """a " // b"""`},
		{"x?-1:- 1", "x ? -1 : -1"},
	} {
		want := canonicalCEL(same[0])
		for _, s := range same[1:] {
			if got := canonicalCEL(s); got != want {
				t.Errorf("%s: found %s, expected %s", s, got, want)
			}
		}
	}
	for _, other := range [][2]string{
		{"'a b'", "'a  b'"}, {"a in b", "ain b"}, {`'a // b'`, `'a '`}, {"r'x'", "r 'x'"}, {`'\' a'`, `'\'  a'`}, {`r'\' + 'a b'`, `r'\' + 'a  b'`},
		{"'open  ", "'open "},
	} {
		if canonicalCEL(other[0]) == canonicalCEL(other[1]) {
			t.Errorf("%s and %s have one form", other[0], other[1])
		}
	}
}

package access

import "testing"

func TestWithoutSecrets(t *testing.T) {
	for text, want := range map[string]string{
		"nothing":       "nothing",
		"127.0.0.1:443": "127.0.0.1:443",
		"for hw_abcdefghijklmnop_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG twice hw_abcdefghijklmnop_0": "for hw_abcdefghijklmnop_… twice hw_abcdefghijklmnop_…",
		"Bearer eyJhbGciOiJub25lIn0.e30.eA!":                   "Bearer (a JWT)!",
		"ewogImFsZyI6IjEifQ.e30.eA":                            "(a JWT)",
		"postgres://ana:s3cret@db:5432/x?a=b":                  "postgres://ana:…@db:5432/x?a=b",
		"rediss://:s3cret@cache":                               "rediss://:…@cache",
		"https://login.example.com:8443/realm#ana@example.com": "https://login.example.com:8443/realm#ana@example.com",
		"spiffe://prod.example/model":                          "spiffe://prod.example/model",
	} {
		if got := withoutSecrets(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

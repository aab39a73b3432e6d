package access

import (
	"strings"
	"testing"

	"github.com/headwaterhq/headwater/internal/fault"
)

// The clumsiest slip with a token: it is given as the name of who is to have one.
func TestTokenForAToken(t *testing.T) {
	_, secret := newSecret()
	token := "hw_abcdefghijklmnop_" + secret
	_, _, err := CreateToken(t.Context(), nil, NewToken{Principal: token, Roles: []string{"admin"}}, func(string) bool { return true })
	if fault.ReasonOf(err) != fault.InvalidArgument || !strings.Contains(err.Error(), "a token cannot be for a token") {
		t.Errorf("found %v, expected a refusal", err)
	}
	if f := fault.As(err); f != nil && (strings.Contains(f.Error(), secret) || len(f.Violations) != 1 || strings.Contains(f.Violations[0].Description, secret)) {
		t.Errorf("the refusal %v shows the secret, or does not say what is wrong", f)
	}
}

// Runs by schedule carry a name of Headwater's own; a caller with that name would pass for one.
func TestTokenForAPartOfHeadwater(t *testing.T) {
	_, _, err := CreateToken(t.Context(), nil, NewToken{Principal: "headwater:schedule", Roles: []string{"admin"}}, func(string) bool { return true })
	f := fault.As(err)
	if f == nil || f.Reason != fault.InvalidArgument || len(f.Violations) != 1 {
		t.Fatalf("found %v, expected a refusal with what is wrong", err)
	}
	const want = `found "headwater:schedule"; names that begin with headwater: are those of what Headwater does by itself, such as runs on a ` +
		`schedule; expected the name of who calls with the token`
	if v := f.Violations[0]; v.Field != "principal" || v.Description != want {
		t.Errorf("found %s: %s, expected principal: %s", v.Field, v.Description, want)
	}
}

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

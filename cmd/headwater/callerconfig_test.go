package main

import (
	"reflect"
	"testing"
	"time"

	"github.com/headwaterhq/headwater/access"
	"github.com/headwaterhq/headwater/server"
)

func TestCallerConfig(t *testing.T) {
	const issuer = "https://login.example.com/realm"
	for _, c := range []struct {
		config callerConfig
		open   bool
		want   *access.OIDC
		err    string
	}{
		{},
		{config: callerConfig{OIDCIssuer: issuer, OIDCRolesClaim: "groups", OIDCRoles: "ds"}, err: `HEADWATER_OIDC_ROLES (oidc_roles): found "ds", expected VALUE=ROLE, with commas between several`},
		{
			config: callerConfig{
				OIDCIssuer: issuer, OIDCAudience: "headwater, features", OIDCAlgorithms: "RS256,PS256", OIDCKeysURL: issuer + "/keys",
				OIDCPrincipalClaim: "email", OIDCRolesClaim: "groups", OIDCRoles: "ou=ds=scientist,ops=admin,ops=model,*=guest", OIDCAttributes: "region=geo.region,team=department", OIDCMaxAge: "1h",
			},
			want: &access.OIDC{
				Issuer: issuer, Audiences: []string{"headwater", "features"}, Algorithms: []string{"RS256", "PS256"}, KeysURL: issuer + "/keys",
				PrincipalClaim: "email", RolesClaim: "groups", Roles: map[string][]string{"ou=ds": {"scientist"}, "ops": {"admin", "model"}, "*": {"guest"}},
				Attributes: map[string]string{"region": "geo.region", "team": "department"}, MaxAge: time.Hour,
			},
		},
		{config: callerConfig{OIDCAudience: "x"}, err: "HEADWATER_OIDC_AUDIENCE (oidc_audience): found it without HEADWATER_OIDC_ISSUER (oidc_issuer), expected both, or neither"},
		{config: callerConfig{OIDCIssuer: issuer, OIDCRoles: "a=b"}, err: "HEADWATER_OIDC_ROLES (oidc_roles): found it without HEADWATER_OIDC_ROLES_CLAIM (oidc_roles_claim), expected the claim that has its values"},
		{config: callerConfig{OIDCIssuer: issuer, OIDCAttributes: "a"}, err: `HEADWATER_OIDC_ATTRIBUTES (oidc_attributes): found "a", expected ATTRIBUTE=CLAIM, with commas between several`},
		{config: callerConfig{OIDCIssuer: issuer, OIDCMaxAge: "5s"}, err: `HEADWATER_OIDC_MAX_AGE (oidc_max_age): found "5s", expected a duration from 1m to 720h`},
		{
			config: callerConfig{OIDCIssuer: issuer}, open: true,
			err: "found HEADWATER_OIDC_ISSUER (oidc_issuer) for a server that asks nobody who calls (HEADWATER_INSECURE_NO_AUTH, insecure_no_auth), expected one of the two",
		},
	} {
		to := server.Config{InsecureNoAuth: c.open}
		err := c.config.apply(&to)
		if got := errorText(err); got != c.err {
			t.Errorf("%+v: got %q, want %q", c.config, got, c.err)
		}
		if !reflect.DeepEqual(to.OIDC, c.want) {
			t.Errorf("%+v: got %+v, want %+v", c.config, to.OIDC, c.want)
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

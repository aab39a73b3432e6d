package main

import (
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/headwaterhq/headwater/access"
	"github.com/headwaterhq/headwater/server"
)

// callerConfig says who callers are taken for, besides those with tokens of the server's own.
type callerConfig struct {
	// TLSCert (HEADWATER_TLS_CERT), TLSKey (HEADWATER_TLS_KEY) and TLSClientCA (HEADWATER_TLS_CLIENT_CA) are files.
	TLSCert     string `yaml:"tls_cert"`
	TLSKey      string `yaml:"tls_key"`
	TLSClientCA string `yaml:"tls_client_ca"`
	// OIDCIssuer (HEADWATER_OIDC_ISSUER) is the issuer whose JWTs are taken. Empty: none are.
	OIDCIssuer string `yaml:"oidc_issuer"`
	// OIDCAudience (HEADWATER_OIDC_AUDIENCE) and OIDCAlgorithms (HEADWATER_OIDC_ALGORITHMS) are lists with commas.
	OIDCAudience   string `yaml:"oidc_audience"`
	OIDCAlgorithms string `yaml:"oidc_algorithms"`
	// OIDCKeysURL (HEADWATER_OIDC_JWKS_URL) is where the issuer's keys are. Empty: as its discovery document says.
	OIDCKeysURL string `yaml:"oidc_jwks_url"`
	// OIDCPrincipalClaim (HEADWATER_OIDC_PRINCIPAL_CLAIM) and OIDCRolesClaim (HEADWATER_OIDC_ROLES_CLAIM) are claims.
	OIDCPrincipalClaim string `yaml:"oidc_principal_claim"`
	OIDCRolesClaim     string `yaml:"oidc_roles_claim"`
	// OIDCRoles (HEADWATER_OIDC_ROLES) is a list of VALUE=ROLE, OIDCAttributes (HEADWATER_OIDC_ATTRIBUTES) one of ATTRIBUTE=CLAIM.
	OIDCRoles      string `yaml:"oidc_roles"`
	OIDCAttributes string `yaml:"oidc_attributes"`
	// OIDCMaxAge (HEADWATER_OIDC_MAX_AGE) is a duration.
	OIDCMaxAge string `yaml:"oidc_max_age"`
}

func (c *callerConfig) fields() map[string]*string {
	return map[string]*string{
		"HEADWATER_TLS_CERT":             &c.TLSCert,
		"HEADWATER_TLS_KEY":              &c.TLSKey,
		"HEADWATER_TLS_CLIENT_CA":        &c.TLSClientCA,
		"HEADWATER_OIDC_ISSUER":          &c.OIDCIssuer,
		"HEADWATER_OIDC_AUDIENCE":        &c.OIDCAudience,
		"HEADWATER_OIDC_ALGORITHMS":      &c.OIDCAlgorithms,
		"HEADWATER_OIDC_JWKS_URL":        &c.OIDCKeysURL,
		"HEADWATER_OIDC_PRINCIPAL_CLAIM": &c.OIDCPrincipalClaim,
		"HEADWATER_OIDC_ROLES_CLAIM":     &c.OIDCRolesClaim,
		"HEADWATER_OIDC_ROLES":           &c.OIDCRoles,
		"HEADWATER_OIDC_ATTRIBUTES":      &c.OIDCAttributes,
		"HEADWATER_OIDC_MAX_AGE":         &c.OIDCMaxAge,
	}
}

func (c *callerConfig) readEnvironment() {
	for name, field := range c.fields() {
		if v := os.Getenv(name); v != "" {
			*field = v
		}
	}
}

// apply puts what is given into a server's configuration, or is a usage fault that says what of it cannot be.
func (c *callerConfig) apply(to *server.Config) error {
	to.TLS = server.TLS{CertFile: c.TLSCert, KeyFile: c.TLSKey, ClientCAFile: c.TLSClientCA}
	if c.OIDCIssuer == "" {
		fields := c.fields()
		for _, name := range slices.Sorted(maps.Keys(fields)) {
			if strings.HasPrefix(name, "HEADWATER_OIDC_") && *fields[name] != "" {
				return usagef("%s (%s): found it without HEADWATER_OIDC_ISSUER (oidc_issuer), expected both, or neither", name, fileName(name))
			}
		}
		return nil
	}
	if to.InsecureNoAuth {
		return usagef("found HEADWATER_OIDC_ISSUER (oidc_issuer) for a server that asks nobody who calls (HEADWATER_INSECURE_NO_AUTH, insecure_no_auth), " +
			"expected one of the two")
	}
	o := access.OIDC{
		Issuer: c.OIDCIssuer, Audiences: list(c.OIDCAudience), Algorithms: list(c.OIDCAlgorithms), KeysURL: c.OIDCKeysURL,
		PrincipalClaim: c.OIDCPrincipalClaim, RolesClaim: c.OIDCRolesClaim, Roles: map[string][]string{}, Attributes: map[string]string{},
	}
	for _, pair := range list(c.OIDCRoles) {
		value, role, ok := cutLast(pair, "=")
		if !ok || value == "" || role == "" {
			return usagef("HEADWATER_OIDC_ROLES (oidc_roles): found %q, expected VALUE=ROLE, with commas between several", pair)
		}
		o.Roles[value] = append(o.Roles[value], role)
	}
	if (len(o.Roles) > 1 || len(o.Roles) == 1 && o.Roles["*"] == nil) && o.RolesClaim == "" {
		return usagef("HEADWATER_OIDC_ROLES (oidc_roles): found it without HEADWATER_OIDC_ROLES_CLAIM (oidc_roles_claim), expected the claim that has its values")
	}
	for _, pair := range list(c.OIDCAttributes) {
		attribute, claim, ok := strings.Cut(pair, "=")
		if !ok || attribute == "" || claim == "" {
			return usagef("HEADWATER_OIDC_ATTRIBUTES (oidc_attributes): found %q, expected ATTRIBUTE=CLAIM, with commas between several", pair)
		}
		o.Attributes[attribute] = claim
	}
	if c.OIDCMaxAge != "" {
		age, err := time.ParseDuration(c.OIDCMaxAge)
		if err != nil || age < time.Minute || age > 30*24*time.Hour {
			return usagef("HEADWATER_OIDC_MAX_AGE (oidc_max_age): found %q, expected a duration from 1m to 720h", c.OIDCMaxAge)
		}
		o.MaxAge = age
	}
	to.OIDC = &o
	return nil
}

// fileName is what the configuration file calls what the environment calls so.
func fileName(variable string) string {
	return strings.ToLower(strings.TrimPrefix(variable, "HEADWATER_"))
}

// list is what stands between commas. nil: nothing.
func list(text string) (items []string) {
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

func cutLast(text, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(text, sep)
	if i < 0 {
		return text, "", false
	}
	return text[:i], text[i+len(sep):], true
}

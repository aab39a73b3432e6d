package access

import (
	"regexp"
	"strings"
)

// What a secret looks like in a text that somebody put it into.
var (
	tokenAnywhere = regexp.MustCompile(`hw_([a-z2-7]{16})_[0-9A-Za-z]+`)
	// A header is a JSON object, which begins with e and w, x, y or z in base64.
	jwtAnywhere = regexp.MustCompile(`e[w-z][0-9A-Za-z_-]{6,}\.[0-9A-Za-z_-]+\.[0-9A-Za-z_-]+`)
	// passwordAnywhere is one in a URL.
	passwordAnywhere = regexp.MustCompile(`(://[^\s/:@]*):[^\s/@]+@`)
)

// WithoutSecrets leaves of tokens, JWTs and the passwords of URLs in a text of a caller's only what may be seen.
func WithoutSecrets(s string) string { return withoutSecrets(s) }

// withoutSecrets leaves of tokens, JWTs and the passwords of URLs in a text only what may be seen.
func withoutSecrets(s string) string {
	if strings.Contains(s, "hw_") {
		s = tokenAnywhere.ReplaceAllString(s, "hw_${1}_…")
	}
	if strings.Count(s, ".") >= 2 {
		s = jwtAnywhere.ReplaceAllString(s, "(a JWT)")
	}
	if strings.Contains(s, "://") {
		s = passwordAnywhere.ReplaceAllString(s, "$1:…@")
	}
	return s
}

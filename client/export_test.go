package client

import (
	"slices"
	"strings"
)

// TriedAgain reports whether calls of a method, as `/SERVICE/METHOD`, are tried again.
func TriedAgain(method string) bool {
	service, name, _ := strings.Cut(strings.TrimPrefix(method, "/"), "/")
	return slices.Contains(readMethods(), methodName{service, name})
}

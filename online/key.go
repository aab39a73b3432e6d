package online

import (
	"regexp"
	"strconv"

	"github.com/headwaterhq/headwater/internal/fault"
)

// DefaultPrefix begins every Redis key unless another prefix is configured.
const DefaultPrefix = "hw"

var prefixPattern = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,32}$`)

// CheckPrefix refuses a prefix that is not 1 to 32 of the characters A-Z, a-z, 0-9, '_', '.' and '-'. A colon would let
// one prefix's keys be read under another, and a brace would decide the key's slot in a Redis Cluster.
func CheckPrefix(prefix string) error {
	if !prefixPattern.MatchString(prefix) {
		return fault.New(fault.InvalidArgument,
			"found the Redis key prefix %q, expected 1 to 32 of the characters A-Z a-z 0-9 _ . -; try %q", prefix, DefaultPrefix)
	}
	return nil
}

// appendKey appends the Redis key of an entity's hash. Prefix and entity name hold no colon, so no two (prefix, entity,
// key) share one.
func appendKey(dst []byte, prefix, entity, key string) []byte {
	dst = append(dst, prefix...)
	dst = append(dst, ':')
	dst = append(dst, entity...)
	dst = append(dst, ':')
	return append(dst, key...)
}

// fieldOf is the hash field of a view version: its ID in decimal. Redis keeps a field that reads as a small integer in
// one to three bytes, and a person at redis-cli can read it.
func fieldOf(viewID int64) string { return strconv.FormatInt(viewID, 10) }

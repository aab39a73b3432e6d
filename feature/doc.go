// Package feature is the domain: entities, sources, views, services, roles, types and values, their validation, the
// canonical encoding, fingerprints, and what differs between two definitions.
//
// It is pure. It imports nothing but the standard library, reads no file, clock or network, and knows neither the wire
// nor the stores; every other package may import it.
//
// Invariant: one meaning, one encoding. Two definitions that mean the same have one fingerprint, two values that are the
// same have one canonical encoding, and golden vectors under testdata hold both still.
package feature

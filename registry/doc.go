// Package registry owns the applied definitions and their versions: which there are, what they are resolved to, and how
// new ones come in.
//
// It may import feature, definition, gen, internal and the Postgres driver. It knows no engine: what applying a definition
// does elsewhere (tables to make, SQL to analyse) is done by the functions of its Config.
//
// Invariant: a version never changes its meaning. The registry counts its changes with a revision; every apply takes the
// lock on it, so revisions follow commit order. Readers hold a Catalog, which is whole and immutable; the Registry swaps
// in the one of a later revision when Postgres notifies of it, or at the next poll when the notification was lost.
package registry

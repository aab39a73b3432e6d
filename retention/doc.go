// Package retention knows what is to be forgotten: where rows of an entity are, by the lineage of its key, and what was erased of
// whom and where, as it is kept.
//
// It imports feature and internal packages, and no other engine: what a view's columns are copied from is given to it as a function.
//
// Invariant: nothing that it keeps says who was erased. It is known by a keyed hash, by which it can be told whether two erasures
// are of one entity, and by who has the database's key and a guess alone.
package retention

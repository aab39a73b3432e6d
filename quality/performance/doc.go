// Package performance measures how good predictions were, with intervals, and finds the slices of them that were worse than the rest at the same time. It is
// pure: what a prediction was made of, and who may know of it, is for others.
//
// It imports quality/drift, for distances. Invariants: an interval is of 95%; what is not known is absent, never 0; a slice is compared with what is not in it within spans
// of time, so that a bad day blames nothing; and the chance of blaming anything by mistake is bounded over all slices that are looked at.
package performance

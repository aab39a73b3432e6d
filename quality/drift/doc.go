// Package drift tells how far two samples of a column lie apart, and whether that is more than chance. Pure.
//
// It imports feature and package profile, and nothing else of the module.
//
// Invariants:
//   - What is missing is a value like any other: NULL, NaN and infinities have buckets of their own, so that more of them are drift.
//   - What cannot be told is never told to be no drift: there is no baseline, or there is not enough data.
//   - A threshold counts only above what samples of their sizes differ by on their own.
package drift

// Package score makes one number of what is known of how good a view, a service or a source is: the mean of parts that are shown with it.
//
// It imports the standard library alone.
//
// Invariants:
//   - What is not known is said to be unknown. It counts neither as good nor as bad.
//   - More that failed, was left out or is late never raises a score, as long as the same parts are known.
//   - Nothing in a part is of values of rows.
package score

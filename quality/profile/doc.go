// Package profile describes columns of rows by sketches that merge: how many values are there, missing or empty, how they are
// distributed, which are the most frequent, and how complete columns are by time and by group. Pure.
//
// It imports feature and window, and nothing else of the module.
//
// Invariants:
//   - A profile depends on the rows alone: however they are cut into parts, in whatever order they are added and the parts are merged,
//     on whatever processor, its canonical encoding is the same. Each of its parts therefore keeps exactly what it would keep of all rows
//     at once: sums are exact, and what is bounded is bounded by a rule that only looks at the whole.
//   - Its memory is bounded, whatever it is given.
//   - It holds values: least and greatest, some of the rows' values, hashes. Whoever may not read the rows is shown counts only.
package profile

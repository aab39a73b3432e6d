// Package bias tells how outcomes and predictions differ between groups of people: rates, impact ratios, what is more than chance, what is
// missing of whom, and which columns stand in for an attribute. Pure.
//
// It imports feature, and nothing else of the module.
//
// Invariants:
//   - A report depends on the rows alone, in whatever order they come, to the last bit.
//   - Its memory is bounded, whatever it is given: what has too many values is refused by name, or told coarser and said to be.
//   - Nobody is left out in silence: who belongs to no known group, to one that is small, or has no outcome is counted and shown.
//   - What cannot be told is never told to be no difference.
package bias

// Package anomaly tells whether a number is unlike those before it. Pure.
//
// It imports nothing of the module.
//
// Invariants:
//   - The number that is asked about is no part of what it is held to.
//   - Of fewer than eight numbers nothing is said, and that is never said to be normal.
//   - A number that is near to what is usual, for people, is no anomaly, however steady the others were.
package anomaly

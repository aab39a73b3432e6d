// Package expr owns on-demand features: CEL expressions over request inputs, the time of the read and other features,
// compiled once and evaluated for every row of a dataset and every entity of an online read.
//
// It may import feature, and nothing else of ours. Invariant: what an expression gives depends on its arguments alone. The
// functions are a closed list (functions.go) without clock, randomness, time zones of the machine, iteration over maps or
// arithmetic that differs between processors; and both stores call the same Evaluate.
//
// NULL: an operation on NULL is NULL, && and || are three-valued (`false && NULL` is false), a condition that is NULL makes
// the whole conditional NULL, and `x == null` and `x != null` test for it. cel-go's unknown values follow exactly these
// rules, so NULL is an unknown to it. An evaluation that fails (division by zero, overflow, a conversion, an index out of
// range, the cost limit) has no value either, and says so. Where one operand is NULL and another fails, the operation
// fails; in && and ||, NULL decides.
package expr

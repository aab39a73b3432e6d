// Package expr owns on-demand features: CEL expressions over request inputs, the time of the read and other features,
// compiled once and evaluated for every row of a dataset and every entity of an online read. It owns row filters too: conditions, of
// a part of CEL, over the columns of a row and the attributes of who asks.
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
//
// # Row filters
//
// A filter is parsed and checked as CEL and lowered to a closed tree (filter_node.go) with two back ends, Bound.Holds and
// Bound.SQL, which give the same for any row and principal. What they give is defined here and is, where the two differ, Postgres's
// order of values and not CEL's:
//
//   - A filter passes a row where its condition is true, neither where it is false nor where it is NULL. NULL is as above, without
//     exception: a NULL is neither in a list nor not in it, be the list empty.
//   - Text is compared by its bytes, and so are bytes.
//   - NaN equals NaN and is greater than any other float; the two zeros are one.
//   - Decimals are compared by value, whatever their scales; timestamps are microseconds in UTC; false is less than true.
//   - A literal is a value of the type of what it is compared with, exactly, or is refused.
//   - An attribute that the principal does not have is an empty list. A text of the principal's that no column can hold, with a NUL or
//     of invalid UTF-8, is in no list; as the principal's name it is NULL.
//
// Nothing in a filter can fail, loop or depend on the clock, and what one evaluation costs is bounded by the length of its text
// and of the row's values.
package expr

package feature

// Columns and values: which rows are meant where an entity is looked for by other columns than its own.

// RowMatch means the rows in which each of the columns has the value beside it.
type RowMatch struct {
	Columns []string
	Values  []Value
}

// CopiedColumn says where the values of a view's output column come from as they are, neither computed nor cast to another text.
type CopiedColumn struct {
	// From are the columns of sources and views that values are taken from, and those that such are equal to in conditions.
	From []CopiedFrom
	// Whole says that all values are taken from there, or are constants. Without it some are computed.
	Whole bool
}

// CopiedFrom is a column of a source or a view by its name in the SQL.
type CopiedFrom struct{ Relation, Column string }

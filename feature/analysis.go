package feature

// Analysis is what Postgres made of a view's SQL: the columns that each output column depends on, and the functions of users
// that it calls.
type Analysis struct {
	// Inputs are sorted by their fields, each once.
	Inputs []ColumnInput
	// Uses lists, for each relation that the SQL reads (by its name in the SQL), the columns it uses in any way, sorted. A
	// relation of which it only counts rows has an empty list.
	Uses map[string][]string
	// Functions are those of users that the SQL calls, sorted by name.
	Functions []FunctionBody
}

// InputKind says how an output column depends on a column that is read. The numbers are the proto's.
type InputKind uint8

const (
	InputInvalid InputKind = iota
	// InputValue: its value is made of it.
	InputValue
	// InputFilter: it decides which rows count.
	InputFilter
	// InputJoin: it decides which rows of two relations belong together.
	InputJoin
	// InputGroup: it decides which rows are one group, or one partition.
	InputGroup
	// InputOrder: it decides in which order rows are taken.
	InputOrder
)

var inputKindNames = [...]string{"invalid", "value", "filter", "join", "group", "order"}

func (k InputKind) String() string { return inputKindNames[k] }

// ColumnInput is one dependency of an output column.
type ColumnInput struct {
	// Column is the output column: a join key, event_time, available_at, a feature or an attribute.
	Column string
	Kind   InputKind
	// Relation is the source or view by its name in the SQL, InputColumn the column of it.
	Relation, InputColumn string
}

// FunctionBody is a function of users as it was when the view was applied.
type FunctionBody struct {
	// Function is its name with schema and argument types.
	Function string
	// Body is the SHA-256 of how Postgres defines it.
	Body Digest
}

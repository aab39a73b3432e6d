package scenario

import (
	"github.com/headwaterhq/headwater/definition"
	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/read"
)

// Step is one command of a scenario. Exactly one of the pointers is set.
type Step struct {
	// Line is where the command stands, from 1.
	Line        int
	Definitions *Definitions
	Compute     *Compute
	Load        *Load
	Retract     *Retract
	Clock       *Clock
	Materialize *Materialize
	Ask         *Ask
}

// Definitions is YAML as files of definitions have it.
type Definitions struct{ YAML string }

// Compute says which Go function computes what a view's SQL does.
type Compute struct{ View, Function string }

// Load is rows for a source. Replaces names the load that they take the place of, "" for none.
type Load struct {
	Name, Source, Replaces string
	Table                  Table
	// Rows are the table's, in the order of the source's columns. Filled in when the definitions are known.
	Rows [][]feature.Value
}

// Retract withdraws a load.
type Retract struct{ Load string }

// Clock sets the time that online loads and reads have.
type Clock struct{ At feature.Time }

// Materialize is one run.
type Materialize struct {
	View string
	// From and To are both set or neither.
	From, To *feature.Time
	// Ledger is the expected counts by name, as far as the file gives them.
	Ledger map[string]int64
	// Fails is part of the message of a run that is expected to fail, "" for one that is expected to be published.
	Fails string
}

// Ask is a point-in-time read of a spine, or an online read at the clock.
type Ask struct {
	// Views are one or more; online it is one.
	Views  []string
	Online bool
	// Position is what the spine is read as of; nil: the newest.
	Position *int64
	Table    Table
	// Of are what is asked of each view. Filled in when the definitions are known.
	Of []AskOf
}

// AskOf is what is asked of one view, and what is expected of it, by the rows of the table.
type AskOf struct {
	View      string
	Questions []Question
	Answers   []Answer
}

// Question asks for one entity at one time.
type Question struct {
	// Keys are the join keys; Key is their encoding, and OK is false when one of them is NULL.
	Keys []feature.Value
	Key  string
	OK   bool
	// At is not used online.
	At feature.Time
}

// Answer is what is expected, as far as the file gives it.
type Answer struct {
	Line   int
	Status read.Status
	// Values are by the position of the feature.
	Values    map[int]feature.Value
	EventTime *feature.Time
	RunSeq    *int64
}

// Outcome is what became of a run.
type Outcome struct {
	// Ledger is by the names that files use.
	Ledger map[string]int64
	// Failed is the message of a run that failed, "" of one that was published.
	Failed string
}

// Engine is a store that scenarios run against.
type Engine interface {
	Define(set *definition.Set) error
	// Compute is for an engine that cannot run a view's SQL.
	Compute(c *Compute) error
	Load(l *Load) error
	Retract(load string) error
	SetClock(now feature.Time) error
	Materialize(m *Materialize) (Outcome, error)
	// Ask finds one winner per question of each view.
	Ask(a *Ask) ([][]read.Winner, error)
}

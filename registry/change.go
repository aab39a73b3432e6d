package registry

import (
	"time"

	"github.com/headwaterhq/headwater/feature"
)

// ChangeKind says what a change does. The numbers are those of the proto's ChangeKind.
type ChangeKind uint8

const (
	// Add: nothing of that name is there yet.
	Add ChangeKind = 1
	// NewVersion: the meaning changes.
	NewVersion ChangeKind = 2
	// Update: only words change, and the version stays.
	Update ChangeKind = 3
	// Remove: it is in use no longer. What it left is kept.
	Remove ChangeKind = 4
	// Retire: it serves what uses it already, and nothing new may use it.
	Retire ChangeKind = 5
	// Revive: it was removed or retired, and is in use again.
	Revive ChangeKind = 6
)

var changeNames = [...]string{"none", "add", "new_version", "update", "remove", "retire", "revive"}

func (k ChangeKind) String() string { return changeNames[k] }

// Change is what an apply does, or would do, to one definition.
type Change struct {
	Kind           ChangeKind
	DefinitionKind feature.Kind
	Name           string
	// Version is that after the change.
	Version     int
	Fingerprint feature.Digest
	// Details say what differs, one line each.
	Details []string
	// Dependents are the nodes that read from the version before, and go on doing so: `view:NAME@VERSION`,
	// `service:NAME`, `dataset:ID`.
	Dependents []string
	// DataWork is what a new version of a view has to be filled with. nil where there is nothing to fill.
	DataWork *DataWork
	// Warnings are what whoever applies should know.
	Warnings []string
}

// DataWork is what a new version of a view has to be filled with.
type DataWork struct {
	Reach
	// PreviousRows is what the version before holds: about as many will be written.
	PreviousRows int64
}

// Reach is what there is to read: the rows, and the event times [From, To) that they lie in. Both are zero without rows.
type Reach struct {
	Rows     int64
	From, To time.Time
}

// Dataset is a dataset that was built, by what it was built from.
type Dataset struct {
	// ID is what nodes name it by, Name what grants do.
	ID, Name string
	// Service is the name of the service, ViewIDs the view versions whose rows it can hold.
	Service string
	ViewIDs []int64
}

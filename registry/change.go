package registry

import "github.com/headwaterhq/headwater/feature"

// ChangeKind says what a change does. The numbers are those of the proto's ChangeKind.
type ChangeKind uint8

const (
	// Add: nothing of that name is there yet.
	Add ChangeKind = 1
	// NewVersion: the meaning changes.
	NewVersion ChangeKind = 2
	// Update: only words change, and the version stays.
	Update ChangeKind = 3
)

var changeNames = [...]string{"none", "add", "new_version", "update"}

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
	// `service:NAME`.
	Dependents []string
}

package access

import "strings"

// Action is what a principal wants to do, as grants name it.
type Action string

// The actions. The list is closed, and mirrors the proto's Action.
const (
	ActionReadOnline  Action = "read_online"
	ActionReadOffline Action = "read_offline"
	ActionList        Action = "list"
	ActionRegister    Action = "register"
	ActionMaterialize Action = "materialize"
	ActionIngest      Action = "ingest"
	ActionReadLineage Action = "read_lineage"
	ActionReadAudit   Action = "read_audit"
	ActionAdminister  Action = "administer"
	ActionApprove     Action = "approve"
)

var actions = map[Action]bool{
	ActionReadOnline: true, ActionReadOffline: true, ActionList: true, ActionRegister: true, ActionMaterialize: true,
	ActionIngest: true, ActionReadLineage: true, ActionReadAudit: true, ActionAdminister: true,
	ActionApprove: true,
}

// Valid reports whether a is on the list.
func (a Action) Valid() bool { return actions[a] }

// Kind is what it wants to do it to.
type Kind string

// The kinds. The list is closed, and mirrors the proto's ResourceKind.
const (
	KindCatalog  Kind = "catalog"
	KindEntity   Kind = "entity"
	KindSource   Kind = "source"
	KindView     Kind = "view"
	KindService  Kind = "service"
	KindRole     Kind = "role"
	KindDataset  Kind = "dataset"
	KindRun      Kind = "run"
	KindSystem   Kind = "system"
	KindFeature  Kind = "feature"
	KindPolicy   Kind = "policy"
	KindTag      Kind = "tag"
	KindModel    Kind = "model"
	KindConsumer Kind = "consumer"
)

var kinds = map[Kind]bool{
	KindCatalog: true, KindEntity: true, KindSource: true, KindView: true, KindService: true, KindRole: true,
	KindDataset: true, KindRun: true, KindSystem: true, KindFeature: true, KindPolicy: true, KindTag: true,
	KindModel: true, KindConsumer: true,
}

// Valid reports whether k is on the list.
func (k Kind) Valid() bool { return kinds[k] }

// Whole is the name that stands for a kind as a whole.
const Whole = "*"

// resource is `KIND:NAME`.
func resource(kind Kind, name string) string { return string(kind) + ":" + name }

// bare is a name without its version: grants are on names, whatever the version.
func bare(name string) string {
	name, _, _ = strings.Cut(name, "@")
	return name
}

package main

import (
	"fmt"
	"io"
	"strings"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

var changeSigns = map[headwaterv1.ChangeKind]string{
	headwaterv1.ChangeKind_CHANGE_KIND_ADD:         "add",
	headwaterv1.ChangeKind_CHANGE_KIND_NEW_VERSION: "new version",
	headwaterv1.ChangeKind_CHANGE_KIND_UPDATE:      "update words",
	headwaterv1.ChangeKind_CHANGE_KIND_REMOVE:      "remove",
	headwaterv1.ChangeKind_CHANGE_KIND_RETIRE:      "retire",
	headwaterv1.ChangeKind_CHANGE_KIND_REVIVE:      "revive",
}

// changeGroups are the branches of the tree of changes, in order. What changed says of each change what it is.
var changeGroups = []struct {
	title string
	kinds []headwaterv1.ChangeKind
}{
	{"added", []headwaterv1.ChangeKind{headwaterv1.ChangeKind_CHANGE_KIND_ADD}},
	{"changed", []headwaterv1.ChangeKind{headwaterv1.ChangeKind_CHANGE_KIND_NEW_VERSION, headwaterv1.ChangeKind_CHANGE_KIND_UPDATE}},
	{"revived", []headwaterv1.ChangeKind{headwaterv1.ChangeKind_CHANGE_KIND_REVIVE}},
	{"retired", []headwaterv1.ChangeKind{headwaterv1.ChangeKind_CHANGE_KIND_RETIRE}},
	{"removed", []headwaterv1.ChangeKind{headwaterv1.ChangeKind_CHANGE_KIND_REMOVE}},
}

// branch is a line of a tree with what hangs on it.
type branch struct {
	text     string
	branches []branch
}

func (b *branch) add(format string, args ...any) *branch {
	b.branches = append(b.branches, branch{text: fmt.Sprintf(format, args...)})
	return &b.branches[len(b.branches)-1]
}

// write draws the branches of b below what stands there already, behind indent.
func (b *branch) write(w io.Writer, indent string) {
	for i := range b.branches {
		sign, below := "├─ ", "│  "
		if i == len(b.branches)-1 {
			sign, below = "└─ ", "   "
		}
		fmt.Fprintln(w, indent+sign+oneLine(b.branches[i].text))
		b.branches[i].write(w, indent+below)
	}
}

// printChanges shows changes as a tree, or in a form for programs.
func (a *app) printChanges(m protoMessage, changes []*headwaterv1.Change) error {
	switch {
	case a.output == "csv":
		t := table{header: []string{"CHANGE", "DEFINITION", "VERSION#", "DETAILS", "DEPENDENTS", "DATA WORK", "WARNINGS"}}
		for _, c := range changes {
			t.add(changeSigns[c.Kind], kindName(c.DefinitionKind)+":"+c.Name, number(c.Version), strings.Join(c.Details, "; "),
				strings.Join(c.Dependents, " "), dataWork(c), strings.Join(c.Warnings, "; "))
		}
		return a.print(m, t)
	case a.output == "json":
		return a.printJSON(m)
	}
	for _, group := range changeGroups {
		var tree branch
		for _, kind := range group.kinds {
			for _, c := range changes {
				if c.Kind == kind {
					changeBranch(&tree, c)
				}
			}
		}
		if len(tree.branches) > 0 {
			fmt.Fprintln(a.out, group.title)
			tree.write(a.out, "")
		}
	}
	return nil
}

// changeBranch puts a change into the tree: what differs, what depends on it, the data work, and what to know.
func changeBranch(tree *branch, c *headwaterv1.Change) {
	title := fmt.Sprintf("%s:%s@%d", kindName(c.DefinitionKind), c.Name, c.Version)
	switch c.Kind {
	case headwaterv1.ChangeKind_CHANGE_KIND_NEW_VERSION:
		title += ", a new version"
	case headwaterv1.ChangeKind_CHANGE_KIND_UPDATE:
		title += ", the same version"
	}
	b := tree.add("%s", title)
	for _, d := range c.Details {
		b.add("%s", d)
	}
	if len(c.Dependents) > 0 {
		what := "read by"
		switch {
		case c.Kind == headwaterv1.ChangeKind_CHANGE_KIND_NEW_VERSION:
			what = "the version before is read by"
		case c.Kind == headwaterv1.ChangeKind_CHANGE_KIND_RETIRE:
			what = "goes on serving"
		}
		readers := b.add("%s", what)
		for _, node := range c.Dependents {
			readers.add("%s", node)
		}
	}
	if work := dataWork(c); work != "" {
		b.add("to materialize: %s", work)
	}
	for _, warning := range c.Warnings {
		b.add("warning: %s", warning)
	}
}

// dataWork says what a new version of a view has to be filled with, "" for what has not.
func dataWork(c *headwaterv1.Change) string {
	w := c.GetDataWork()
	if w == nil {
		return ""
	}
	text := "nothing yet, as there are no rows to read"
	if w.SourceRows > 0 {
		text = counted(w.SourceRows, "row") + " to read"
		if w.From != nil {
			text += " in " + span(w.From, w.To)
		}
	}
	if w.PreviousRows > 0 {
		text += "; the version before holds " + counted(w.PreviousRows, "row")
	}
	return text
}

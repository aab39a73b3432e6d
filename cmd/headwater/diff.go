package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/headwaterhq/headwater/client"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

func newDiff(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "diff VIEW@VERSION VIEW@VERSION", Short: "Show what differs between two versions of a definition",
		Args: takes(2, 2, "VIEW@VERSION VIEW@VERSION"),
		Long: `Shows what differs from the first to the second, and whether they mean the same. A view is named by NAME@VERSION, or NAME
for its newest version; anything else by its kind as well: source:NAME@VERSION.`,
		RunE: a.called(func(cmd *cobra.Command, c *client.Client, args []string) error {
			kind, before, err := parseReference(args[0])
			if err != nil {
				return err
			}
			other, after, err := parseReference(args[1])
			if err != nil {
				return err
			}
			if kind != other {
				return usagef("found %s and %s, expected two definitions of one kind", args[0], args[1])
			}
			d, err := c.Registry.DiffDefinitions(cmd.Context(), &headwaterv1.DiffDefinitionsRequest{Kind: kind, Before: before, After: after})
			if err != nil {
				return err
			}
			names := fmt.Sprintf("%s@%d and %s@%d", d.Before.GetName(), d.Before.GetVersion(), d.After.GetName(), d.After.GetVersion())
			switch {
			case len(d.Details) == 0 && d.WordsOnly:
				a.notef("nothing differs between %s", names)
			case d.WordsOnly:
				a.notef("%s mean the same", names)
			}
			t := table{header: []string{"DIFFERENCE"}}
			for _, line := range d.Details {
				t.add(line)
			}
			if a.output != "table" {
				return a.print(d, t)
			}
			for _, line := range d.Details {
				// White space at the beginning of a line of SQL is kept.
				fmt.Fprintln(a.out, strings.TrimRight(printable(line), " "))
			}
			return nil
		}),
	}
}

// parseReference reads `NAME`, `NAME@VERSION`, of a view, or either behind a kind and a colon.
func parseReference(s string) (headwaterv1.DefinitionKind, string, error) {
	kind, name, found := strings.Cut(s, ":")
	if !found {
		return headwaterv1.DefinitionKind_DEFINITION_KIND_VIEW, s, nil
	}
	k, err := parseKind(kind)
	return k, name, err
}

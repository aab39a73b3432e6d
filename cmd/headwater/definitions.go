package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/headwaterhq/headwater/client"
	"github.com/headwaterhq/headwater/definition"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

func newValidate(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "validate PATH…", Short: "Check definitions without a server", Args: takes(1, 0, "PATH…"),
		Long: `Reads the definitions in the files, and in the .yaml and .yml files of the folders, and checks them against each other. What
only a server can tell (the SQL, names that are defined elsewhere) is for plan.`,
		RunE: func(_ *cobra.Command, paths []string) error {
			set, err := definition.Load(paths)
			if err != nil {
				return err
			}
			d := &set.Definitions
			t := table{header: []string{"KIND", "DEFINITIONS#"}}
			t.add("entity", number(len(d.Entities)))
			t.add("source", number(len(d.Sources)))
			t.add("view", number(len(d.Views)))
			t.add("service", number(len(d.Services)))
			t.add("role", number(len(d.Roles)))
			t.add("policy", number(len(d.Policies)))
			t.add("consumer", number(len(d.Consumers)))
			a.notef("%s valid", counted(len(set.Files), "file"))
			return a.print(&headwaterv1.PlanRequest{Files: set.Files}, t)
		},
	}
}

func newSchema(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "schema", Short: "Write the JSON Schema of definitions, for editors", Args: takesNone,
		Long: `Writes the JSON Schema by which editors complete and check definitions. One that knows yaml-language-server reads it where the
first line of a file of definitions says where it is:

  # yaml-language-server: $schema=headwater.schema.json`,
		RunE: func(*cobra.Command, []string) error {
			_, err := io.WriteString(a.out, definition.Schema())
			return err
		},
	}
}

func counted[T int | int64](n T, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// ending are the flags that say what becomes of what the files do not have.
type ending struct{ prune, retire bool }

func (e *ending) flags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&e.prune, "prune", false, "the files are all there is: remove what the server has and they do not")
	cmd.Flags().BoolVar(&e.retire, "retire", false, "with --prune: retire what would be removed and is still used")
}

func (e *ending) check() error {
	if e.retire && !e.prune {
		return usagef("found --retire without --prune, expected both: it says what becomes of what cannot be removed")
	}
	return nil
}

const endingHelp = `Definitions that are not in the files are left alone. With --prune the files are all there is: what the server has and they do
not is removed, unless a view, a service or a dataset that stays uses it; then it is refused, or retired with --retire: it goes
on serving what uses it, and nothing new may use it. Applying a definition again brings it back.`

func newPlan(a *app) *cobra.Command {
	var out string
	var end ending
	cmd := &cobra.Command{
		Use: "plan PATH…", Short: "Show what apply would change; exit status 6 when there is something", Args: takes(1, 0, "PATH…"),
		Long: `Shows what apply would do with the same files, after all its checks, and changes nothing. The exit status is 6 when
something would change, and 0 when nothing would.

` + endingHelp,
		RunE: a.called(func(cmd *cobra.Command, c *client.Client, paths []string) error {
			if err := end.check(); err != nil {
				return err
			}
			set, err := definition.Read(paths)
			if err != nil {
				return err
			}
			plan, err := c.Registry.Plan(cmd.Context(), &headwaterv1.PlanRequest{Files: set.Files, Prune: end.prune, Retire: end.retire})
			if err != nil {
				return located(set, err)
			}
			if out != "" {
				if err := writePlan(out, set, end, plan); err != nil {
					return err
				}
			}
			if err := a.printChanges(plan, plan.Changes); err != nil {
				return err
			}
			if len(plan.Changes) > 0 {
				return outcome(exitHasChange)
			}
			a.notef("nothing would change")
			return nil
		}),
	}
	cmd.Flags().StringVar(&out, "out", "", "file to keep the plan in, for apply --plan")
	end.flags(cmd)
	return cmd
}

func newApply(a *app) *cobra.Command {
	var from, where string
	var end ending
	cmd := &cobra.Command{
		Use: "apply PATH…", Short: "Make the server hold these definitions", Args: takes(1, 0, "PATH…"),
		Long: `Makes the server hold the definitions, all or none. A change of meaning makes a new version and leaves the old one in
service; a change of words alone (description, owner, tags, deprecation) does not. Services stay pinned to the versions they
have, until they name another: view: NAME@VERSION. Kept with each change are who made it and where from: --origin, else the
commit of the git work tree that holds the files, and whether they differ from it.

` + endingHelp,
		RunE: a.called(func(cmd *cobra.Command, c *client.Client, paths []string) error {
			if err := end.check(); err != nil {
				return err
			}
			set, err := definition.Read(paths)
			if err != nil {
				return err
			}
			request := &headwaterv1.ApplyRequest{Files: set.Files, Origin: where, Prune: end.prune, Retire: end.retire}
			if !cmd.Flags().Changed("origin") {
				request.Origin = origin(cmd.Context(), paths)
			}
			if from != "" {
				plan, err := readPlan(from)
				if err != nil {
					return err
				}
				if err := plan.check(from, set, end); err != nil {
					return err
				}
				request.ExpectedRegistryRevision = &plan.RegistryRevision
			}
			applied, err := c.Registry.Apply(cmd.Context(), request)
			if err != nil {
				return located(set, err)
			}
			if err := a.printChanges(applied, applied.Changes); err != nil {
				return err
			}
			if len(applied.Changes) == 0 {
				a.notef("nothing changed")
			}
			return nil
		}),
	}
	cmd.Flags().StringVar(&from, "plan", "", "plan to carry out; refused when the definitions or the registry changed since")
	cmd.Flags().StringVar(&where, "origin", "", "where the definitions come from, in place of the git commit")
	end.flags(cmd)
	return cmd
}

// located gives the violations of a server's error their places in the files.
func located(set *definition.Set, err error) error {
	if f := fault.As(err); f != nil {
		return definition.Annotate(set, f)
	}
	return err
}

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

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

func newPlan(a *app) *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use: "plan PATH…", Short: "Show what apply would change; exit status 6 when there is something", Args: takes(1, 0, "PATH…"),
		Long: `Shows what apply would do with the same files, after all its checks, and changes nothing. The exit status is 6 when
something would change, and 0 when nothing would.`,
		RunE: a.called(func(cmd *cobra.Command, c *client.Client, paths []string) error {
			set, err := definition.Read(paths)
			if err != nil {
				return err
			}
			plan, err := c.Registry.Plan(cmd.Context(), &headwaterv1.PlanRequest{Files: set.Files})
			if err != nil {
				return located(set, err)
			}
			if out != "" {
				if err := writePlan(out, set, plan); err != nil {
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
	return cmd
}

func newApply(a *app) *cobra.Command {
	var from string
	cmd := &cobra.Command{
		Use: "apply PATH…", Short: "Make the server hold these definitions", Args: takes(1, 0, "PATH…"),
		Long: `Makes the server hold the definitions, all or none. A change of meaning makes a new version and leaves the old one in
service; a change of words alone (description, owner, tags) does not. Definitions that are not in the files are left alone.
Services stay pinned to the versions they have, until they name another: view: NAME@VERSION.`,
		RunE: a.called(func(cmd *cobra.Command, c *client.Client, paths []string) error {
			set, err := definition.Read(paths)
			if err != nil {
				return err
			}
			request := &headwaterv1.ApplyRequest{Files: set.Files, Origin: origin(cmd.Context(), paths[0])}
			if from != "" {
				plan, err := readPlan(from)
				if err != nil {
					return err
				}
				if err := plan.check(from, set); err != nil {
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
	return cmd
}

// located gives the violations of a server's error their places in the files.
func located(set *definition.Set, err error) error {
	if f := fault.As(err); f != nil {
		return definition.Annotate(set, f)
	}
	return err
}

var changeSigns = map[headwaterv1.ChangeKind]string{
	headwaterv1.ChangeKind_CHANGE_KIND_ADD:         "add",
	headwaterv1.ChangeKind_CHANGE_KIND_NEW_VERSION: "new version",
	headwaterv1.ChangeKind_CHANGE_KIND_UPDATE:      "update words",
}

func (a *app) printChanges(m protoMessage, changes []*headwaterv1.Change) error {
	t := table{header: []string{"CHANGE", "DEFINITION", "VERSION#", "DETAILS"}}
	if len(changes) == 0 && a.output == "table" {
		return nil
	}
	for _, c := range changes {
		name := kindName(c.DefinitionKind) + ":" + c.Name
		details := c.Details
		if len(c.Dependents) > 0 {
			details = append(details[:len(details):len(details)], "read by "+strings.Join(c.Dependents, ", "))
		}
		if a.output == "csv" {
			t.add(changeSigns[c.Kind], name, number(c.Version), strings.Join(details, "; "))
			continue
		}
		t.add(changeSigns[c.Kind], name, number(c.Version), first(details...))
		for _, d := range details[min(1, len(details)):] {
			t.add("", "", "", d)
		}
	}
	return a.print(m, t)
}

// origin says where definitions come from: the commit of the folder they are in, or nothing.
func origin(ctx context.Context, path string) string {
	folder := path
	if info, err := os.Stat(path); err == nil && !info.IsDir() {
		folder = filepath.Dir(path)
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	git := func(args ...string) (string, error) {
		out, err := exec.CommandContext(ctx, "git", append([]string{"-C", folder}, args...)...).Output()
		return strings.TrimSpace(string(out)), err
	}
	commit, err := git("rev-parse", "HEAD")
	if err != nil || commit == "" {
		return ""
	}
	if changed, err := git("status", "--porcelain", "--", "."); err != nil || changed != "" {
		return "git:" + commit + " with changes"
	}
	return "git:" + commit
}

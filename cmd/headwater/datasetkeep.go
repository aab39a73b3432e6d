package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/headwaterhq/headwater/client"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

func newDatasetDelete(a *app) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: "delete ID --reason R", Short: "Delete a dataset, by its id or NAME@VERSION; only its manifest stays", Args: takes(1, 1, "ID --reason R"),
		Long: `Deletes the spine of a dataset and what a server keeps of its result, and protects no longer the history that it reads, so
that a later gc may collect it. The dataset cannot be fetched, verified or compared any more; its manifest stays, and its version
is not given again. For who built it, and for who may administer it.`,
		RunE: a.document(func(cmd *cobra.Command, c *client.Client, args []string) error {
			if err := require(cmd, "reason"); err != nil {
				return err
			}
			r, err := c.Datasets.DeleteDataset(cmd.Context(), &headwaterv1.DeleteDatasetRequest{Dataset: datasetID(args[0]), Reason: reason})
			if err != nil {
				return err
			}
			return a.printDocument(r, manifestSections(r.GetManifest())...)
		}),
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, kept with the manifest")
	return cmd
}

func newDatasetDiff(a *app) *cobra.Command {
	var examples int32
	var purpose string
	cmd := &cobra.Command{
		Use: "diff A B", Short: "Compare two datasets: rows and columns that differ, and the runs that made the difference", Args: takes(2, 2, "A B"),
		Long: `Computes two datasets again, each an id or NAME@VERSION, and says in which columns and rows they differ, and which runs gave
the values that do. Rows are brought together by their numbers where the spines are the same, else by keys and times. It changes
nothing. Exit status 0 also where they differ.`,
		RunE: a.document(func(cmd *cobra.Command, c *client.Client, args []string) error {
			if examples < 1 || examples > 1000 {
				return usagef("found --examples %d, expected from 1 to 1000", examples)
			}
			d, err := c.Datasets.DiffDatasets(cmd.Context(), &headwaterv1.DiffDatasetsRequest{A: datasetID(args[0]), B: datasetID(args[1]), Examples: examples, Purpose: purpose})
			if err != nil {
				return err
			}
			return a.printDocument(d, diffSections(d)...)
		}),
	}
	cmd.Flags().Int32Var(&examples, "examples", 20, "how many rows that differ to show")
	addPurposeFlag(cmd, &purpose)
	return cmd
}

func diffSections(d *headwaterv1.DiffDatasetsResponse) []section {
	var facts section
	name := func(m *headwaterv1.Manifest) string {
		return fmt.Sprintf("%s@%d (%s)", m.GetName(), m.GetVersion(), m.GetId())
	}
	facts.add("A", name(d.GetA()))
	facts.add("B", name(d.GetB()))
	same := "no"
	if d.GetSame() {
		same = "yes"
	}
	facts.add("same", same)
	facts.add("matched by", d.GetMatchedBy())
	facts.add("rows of both", number(d.GetRowsBoth()))
	facts.add("rows that differ", number(d.GetRowsDiffer()))
	facts.add("rows of A only", number(d.GetRowsOnlyA()))
	facts.add("rows of B only", number(d.GetRowsOnlyB()))
	if len(d.GetColumnsOnlyA()) > 0 {
		facts.add("columns of A only", strings.Join(d.GetColumnsOnlyA(), ", "))
	}
	if len(d.GetColumnsOnlyB()) > 0 {
		facts.add("columns of B only", strings.Join(d.GetColumnsOnlyB(), ", "))
	}
	columns := section{title: "columns", table: table{header: []string{"COLUMN", "ROWS#", "RUN OF A", "RUN OF B", "ROWS OF RUNS#"}}}
	for _, c := range d.GetColumns() {
		switch {
		case c.GetTypeA() != "":
			columns.add(c.GetColumn(), "", c.GetTypeA(), c.GetTypeB(), "")
		case c.GetRows() > 0 && len(c.GetRuns()) == 0:
			columns.add(c.GetColumn(), number(c.GetRows()), "", "", "")
		}
		for _, r := range c.GetRuns() {
			columns.add(c.GetColumn(), number(c.GetRows()), first(r.GetRunA(), "no row"), first(r.GetRunB(), "no row"), number(r.GetRows()))
		}
	}
	rows := section{title: "rows", table: table{header: []string{"ROW OF A#", "ROW OF B#", "KEY", "COLUMN", "A", "B"}}}
	row := func(n int64) string {
		if n == 0 {
			return "none"
		}
		return number(n)
	}
	for _, e := range d.GetExamples() {
		var key []string
		for _, k := range slices.Sorted(maps.Keys(e.GetKey())) {
			key = append(key, k+"="+valueText(e.GetKey()[k]))
		}
		if len(e.GetValues()) == 0 {
			rows.add(row(e.GetRowA()), row(e.GetRowB()), strings.Join(key, " "), "", "", "")
		}
		for _, v := range e.GetValues() {
			rows.add(row(e.GetRowA()), row(e.GetRowB()), strings.Join(key, " "), v.GetColumn(),
				differentValue(v.GetA(), v.GetStatusA()), differentValue(v.GetB(), v.GetStatusB()))
		}
	}
	return []section{facts, columns, rows}
}

func differentValue(v *headwaterv1.Value, status headwaterv1.ValueStatus) string {
	switch {
	case v != nil:
		return valueText(v)
	case status == headwaterv1.ValueStatus_VALUE_STATUS_UNSPECIFIED:
		return "NULL"
	}
	return enumName(status, "VALUE_STATUS_")
}

package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/headwaterhq/headwater/client"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

// impactPage is how many nodes are asked for at once. Each page is found anew.
const impactPage = 10_000

func newImpact(a *app) *cobra.Command {
	req := &headwaterv1.GetImpactRequest{}
	var from, to string
	var repair bool
	cmd := &cobra.Command{
		Use: "impact SOURCE", Short: "Say what rows of a source reach: views, features, services, datasets, models, predictions and consumers outside", Args: takes(1, 1, "SOURCE"),
		Long: `Says which views, features, services, datasets, models and consumers outside used rows of a source, how many entities hold what was computed of them now, and how
many logged predictions gave it out; by default of all its rows, else of a window of event times, or of one load. With --column only
what is computed from that column is named.

What cannot be told row by row, or not to you, counts, and is said to. With --repair it also prints what would mend it, in order; nothing is done.`,
		RunE: a.document(func(cmd *cobra.Command, c *client.Client, args []string) error {
			req.Source = args[0]
			var err error
			if req.From, err = parseTime("from", from); err != nil {
				return err
			}
			if req.To, err = parseTime("to", to); err != nil {
				return err
			}
			if cmd.Flags().Changed("load") {
				if req.Load < 1 {
					return usagef("found --load %d, expected the id of a load, 1 or more", req.Load)
				}
				for _, name := range []string{"from", "to"} {
					if cmd.Flags().Changed(name) {
						return usagef("found --load and --%s, expected one of them: a load has the rows that it has", name)
					}
				}
			}
			r, err := readImpact(cmd.Context(), c, req)
			if err != nil {
				return err
			}
			return a.printDocument(r, impactSections(req, r, repair)...)
		}),
	}
	flags := cmd.Flags()
	flags.StringVar(&req.Column, "column", "", "only what is computed from this column")
	flags.StringVar(&from, "from", "", "rows of event times from then on (default: all)")
	flags.StringVar(&to, "to", "", "rows of event times before then (default: all)")
	flags.Int64Var(&req.Load, "load", 0, "rows of this load (default: of all)")
	flags.BoolVar(&repair, "repair", false, "print what would mend it, in order; nothing is done")
	return cmd
}

func readImpact(ctx context.Context, c *client.Client, req *headwaterv1.GetImpactRequest) (whole *headwaterv1.GetImpactResponse, err error) {
	req.PageSize = impactPage
	for {
		page, err := c.Lineage.GetImpact(ctx, req)
		if err != nil {
			return nil, err
		}
		if req.PageToken = page.NextPageToken; whole == nil {
			whole = page
		} else {
			whole.Nodes = append(whole.Nodes, page.Nodes...)
		}
		if req.PageToken == "" {
			whole.NextPageToken = ""
			return whole, nil
		}
	}
}

func impactSections(req *headwaterv1.GetImpactRequest, r *headwaterv1.GetImpactResponse, repair bool) []section {
	of := "source " + req.GetSource()
	switch {
	case req.GetLoad() != 0:
		of = fmt.Sprintf("load %d of %s", req.GetLoad(), of)
	case req.GetFrom() != nil || req.GetTo() != nil:
		of = fmt.Sprintf("rows of %s in [%s, %s)", of, instant(req.GetFrom()), instant(req.GetTo()))
	}
	if req.GetColumn() != "" {
		of = "column " + req.GetColumn() + " of " + of
	}
	var said table
	said.add("Impact of " + of)
	said.add(fmt.Sprintf("%s now what was computed of it, and %s gave it out.", verbOf(r.GetEntities(), "entity holds", "entities hold"), verbOf(r.GetPredictions(), "logged read", "logged reads")))
	var unlogged, byReference []string
	for _, name := range r.GetUnlogged() {
		if view, is := strings.CutPrefix(name, "view:"); is {
			byReference = append(byReference, view)
		} else {
			unlogged = append(unlogged, name)
		}
	}
	if len(unlogged) > 0 {
		said.add("Not all reads are logged of " + strings.Join(unlogged, ", ") + ": headwater trace --service S --entity k=v --at T computes one.")
	}
	if len(byReference) > 0 {
		said.add("Features were read by reference, which is not logged, of " + strings.Join(byReference, ", ") + ": headwater lineage uses source:" + req.GetSource() + " says who did.")
	}
	if r.GetHidden() > 0 {
		said.add(fmt.Sprintf("%s not named, for you may not read their lineage.", verbOf(r.GetHidden(), "thing is", "things are")))
	}
	views := table{header: []string{"VIEW", "OWNER", "ENTITIES NOW#", "ROWS NOW#", "ROWS#", "EXACT", "WHAT"}}
	features := table{header: []string{"FEATURE", "OWNER", "COMPUTED BY", "EXACT"}}
	services := table{header: []string{"SERVICE", "OWNER", "LOGGED READS#", "EXACT", "WHAT"}}
	datasets := table{header: []string{"DATASET", "BY", "ROWS#", "EXACT", "WHAT"}}
	models := table{header: []string{"MODEL", "OWNER", "EXACT", "WHAT"}}
	consumers := table{header: []string{"CONSUMER", "OWNER", "WHAT"}}
	for _, n := range r.GetNodes() {
		kind, name, _ := strings.Cut(n.GetId(), ":")
		exact := "no"
		if n.GetExact() {
			exact = "yes"
		}
		switch kind {
		case "view":
			views.add(name, n.GetOwner(), number(n.GetEntities()), number(n.GetLiveRows()), number(n.GetRows()), exact, n.GetTitle())
		case "feature":
			features.add(name, n.GetOwner(), n.GetHow(), exact)
		case "service":
			services.add(name, n.GetOwner(), number(n.GetPredictions()), exact, n.GetTitle())
		case "dataset":
			datasets.add(name, n.GetOwner(), number(n.GetRows()), exact, n.GetTitle())
		case "model":
			models.add(name, n.GetOwner(), exact, n.GetTitle())
		case "consumer":
			consumers.add(name, n.GetOwner(), n.GetTitle())
		}
	}
	var notes, plan table
	for _, note := range r.GetNotes() {
		notes.add(note)
	}
	if repair {
		for _, step := range r.GetRepairs() {
			plan.add(step.GetCommand(), "# "+step.GetNode()+": "+step.GetWhy())
		}
		if len(r.GetRepairs()) == 0 {
			plan.add("nothing")
		}
	}
	return []section{
		{table: said}, {"views", views}, {"features", features}, {"services", services}, {"datasets", datasets}, {"models", models},
		{"consumers", consumers},
		{"what to know of it", notes}, {"what would mend it, in order", plan},
	}
}

// verbOf is a number with what there is of it.
func verbOf(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

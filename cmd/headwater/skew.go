package main

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/headwaterhq/headwater/client"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

func newSkew(a *app) *cobra.Command {
	req := &headwaterv1.GetSkewRequest{}
	var since, until string
	cmd := &cobra.Command{
		Use: "skew MODEL", Short: "Tell how what a model is served differs from what it was trained on", Args: takes(1, 1, "MODEL"),
		Long: `Holds what was served to a model, as the log of its service's reads has it, to the baseline that was set for the model, or to the dataset that it was
trained on: how far each feature has drifted. A sample of the reads is computed again from the history: a value is the same, different, there only online, or there
only offline. MODEL is NAME or NAME@VERSION.

Exit status 5 when a feature failed, or a value is not what the history says.`,
		RunE: a.document(func(cmd *cobra.Command, c *client.Client, args []string) (err error) {
			if req.Since, err = parseTime("since", since); err != nil {
				return err
			}
			if req.Until, err = parseTime("until", until); err != nil {
				return err
			}
			if req.Sample < 0 {
				return usagef("found --sample %d, expected 0 or more", req.Sample)
			}
			req.Model = args[0]
			r, err := c.Quality.GetSkew(cmd.Context(), req)
			if err != nil {
				return err
			}
			if err := a.printDocument(r, skewSections(r)...); err != nil {
				return err
			}
			for _, f := range r.GetFeatures() {
				if f.GetDrift().GetVerdict() == headwaterv1.DriftVerdict_DRIFT_VERDICT_FAIL || f.GetDifferent()+f.GetOnlyOnline()+f.GetOnlyOffline() > 0 {
					return outcome(exitNotHeld)
				}
			}
			return nil
		}),
	}
	flags := cmd.Flags()
	flags.StringVar(&since, "since", "", "reads from this time on, such as 2001-01-31T10:00:00Z (default: seven days before --until)")
	flags.StringVar(&until, "until", "", "reads before this time (default: now)")
	flags.Int32Var(&req.Sample, "sample", 0, "how many reads are computed again (default 200)")
	return cmd
}

func skewSections(r *headwaterv1.GetSkewResponse) []section {
	var facts section
	facts.add("model", r.GetModel())
	facts.add("trained on", first(r.GetBaseline(), "not known"))
	facts.add("served by", r.GetService()+", "+counted(r.GetReads(), "read")+" of "+fmt.Sprintf("%d entities", r.GetEntities())+" from "+moment(r.GetSince())+" until "+moment(r.GetUntil()))
	facts.add("computed again", counted(r.GetComputed(), "read"))
	if r.GetHidden() > 0 {
		facts.add("left out", counted(r.GetHidden(), "read")+" of which policies hide something from you")
	}
	if r.GetNotComputed() > 0 {
		facts.add("not computed", counted(r.GetNotComputed(), "read")+", the last since "+r.GetWhy())
	}
	columns := section{title: "features", table: table{header: []string{"FEATURE", "VERDICT", "PSI#", "BY CHANCE#", "COMPLETENESS#", "MATCH#", "LAG#", "MISMATCH#", "ONLY ONLINE#", "ONLY OFFLINE#",
		"NOT CHECKED#", "REASON"}}}
	distances := section{title: "distances", table: table{header: slices.Concat([]string{"FEATURE"}, distanceHeader)}}
	examples := section{title: "not what the history says", table: table{header: []string{"FEATURE", "READ", "ROW#", "SERVED", "HISTORY"}}}
	for _, f := range r.GetFeatures() {
		d := f.GetDrift()
		psi, floor, change := "", "", ""
		if d.GetBaselineRows() > 0 && d.GetCurrentRows() > 0 {
			psi, floor = fmt.Sprintf("%.4f", d.GetPsi()), fmt.Sprintf("%.4f", d.GetPsiFloor())
			if d.GetCompletenessChange() != 0 {
				change = fmt.Sprintf("%+.1f %%", 100*d.GetCompletenessChange())
			}
		}
		columns.add(d.GetName(), verdictName(d.GetVerdict()), psi, floor, change, number(f.GetMatching()), number(f.GetLagging()), number(f.GetDifferent()), number(f.GetOnlyOnline()),
			number(f.GetOnlyOffline()), number(f.GetNotChecked()), d.GetReason())
		if d.GetBaselineRows() > 0 && d.GetCurrentRows() > 0 {
			distances.add(slices.Concat([]string{d.GetName()}, distanceCells(d))...)
		}
		for _, e := range f.GetExamples() {
			examples.add(d.GetName(), e.GetReadId(), number(e.GetRow()), e.GetServed(), e.GetRecomputed())
		}
	}
	return []section{facts, columns, distances, examples}
}

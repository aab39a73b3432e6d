package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/headwaterhq/headwater/client"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

func newDrift(a *app) *cobra.Command {
	req := &headwaterv1.CompareProfilesRequest{}
	cmd := &cobra.Command{
		Use: "drift BASELINE NODE", Short: "Tell how far the columns of two runs, views, datasets or days of reads lie apart", Args: takes(2, 2, "BASELINE NODE"),
		Long: `Compares the profiles of two things, column by column: NODE with BASELINE. Both are written as for headwater profile, and must be such that
all their values are for the caller. What is missing is a value like any other. A threshold counts only above what samples of these sizes differ by on their
own; where that is too much to tell, the verdict is NOT_ENOUGH_DATA. Distances judge nothing but for PSI: JS is Jensen-Shannon's, KS Kolmogorov and
Smirnov's, Wasserstein's is in the unit of the values, and P is the chance of such a chi-square where nothing has changed. UNSEEN is the share of values
that the baseline has none of. With -o json each has its buckets.

Exit status 5 when a column failed.`,
		RunE: a.called(func(cmd *cobra.Command, c *client.Client, args []string) error {
			if req.Warn < 0 || req.Fail < 0 {
				return usagef("found --warn %v and --fail %v, expected 0 or more", req.Warn, req.Fail)
			}
			req.Baseline, req.Current = args[0], args[1]
			r, err := c.Quality.CompareProfiles(cmd.Context(), req)
			if err != nil {
				return err
			}
			if err := a.print(r, driftTable(r)); err != nil {
				return err
			}
			for _, d := range r.GetColumns() {
				if d.GetVerdict() == headwaterv1.DriftVerdict_DRIFT_VERDICT_FAIL {
					return outcome(exitNotHeld)
				}
			}
			return nil
		}),
	}
	cmd.Flags().Float64Var(&req.Warn, "warn", 0, "PSI from which on a column is warned of (default 0.1)")
	cmd.Flags().Float64Var(&req.Fail, "fail", 0, "PSI from which on a column fails (default 0.25)")
	return cmd
}

// verdictName is written as documents have it.
func verdictName(v headwaterv1.DriftVerdict) string {
	return strings.TrimPrefix(v.String(), "DRIFT_VERDICT_")
}

// distanceHeader names what distanceCells shows, each with its unit where it has one.
var distanceHeader = []string{"PSI#", "BY CHANCE#", "JS DISTANCE NATS#", "JS DIVERGENCE BITS#", "KS#", "WASSERSTEIN#", "L-INFINITY#", "CHI-SQUARE#", "FREEDOM#", "P#", "UNSEEN#", "COMPLETENESS#", "ROWS"}

// distanceCells are how far a column lies from its baseline, empty where there is nothing to compare.
func distanceCells(d *headwaterv1.ColumnDrift) []string {
	if d.GetBaselineRows() == 0 || d.GetCurrentRows() == 0 {
		return make([]string, len(distanceHeader))
	}
	distance := func(f float64) string { return fmt.Sprintf("%.4f", f) }
	optional := func(f *float64, text func(float64) string) string {
		if f == nil {
			return ""
		}
		return text(*f)
	}
	share := func(f float64) string { return fmt.Sprintf("%.1f %%", 100*f) }
	change := ""
	if d.GetCompletenessChange() != 0 {
		change = fmt.Sprintf("%+.1f %%", 100*d.GetCompletenessChange())
	}
	return []string{
		distance(d.GetPsi()), distance(d.GetPsiFloor()), distance(d.GetJensenShannonDistanceNats()), distance(d.GetJensenShannonDivergenceBits()),
		optional(d.KolmogorovSmirnov, distance), optional(d.Wasserstein, shortNumber), distance(d.GetLInfinity()), shortNumber(d.GetChiSquare()),
		strconv.Itoa(int(d.GetChiSquareFreedom())), distance(d.GetChiSquareP()), optional(d.Unseen, share), change,
		fmt.Sprintf("%d to %d", d.GetBaselineRows(), d.GetCurrentRows()),
	}
}

func driftTable(r *headwaterv1.CompareProfilesResponse) table {
	t := table{header: slices.Concat([]string{"COLUMN", "VERDICT"}, distanceHeader, []string{"REASON"})}
	for _, d := range r.GetColumns() {
		t.add(slices.Concat([]string{d.GetName(), verdictName(d.GetVerdict())}, distanceCells(d), []string{d.GetReason()})...)
	}
	return t
}

// runDriftSection is what holding a run to a baseline came to, empty where there was none.
func runDriftSection(d *headwaterv1.RunDrift) section {
	s := section{title: "drift from baseline " + d.GetBaseline(), table: table{header: []string{"COLUMN", "VERDICT", "PSI#", "BY CHANCE#", "REASON"}}}
	if d.GetBaseline() == "" {
		return s
	}
	psi := func(f *float64) string {
		if f == nil {
			return ""
		}
		return fmt.Sprintf("%.4f", *f)
	}
	for _, c := range d.GetColumns() {
		s.add(c.GetName(), verdictName(c.GetVerdict()), psi(c.Psi), psi(c.PsiFloor), c.GetReason())
	}
	return s
}

package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/headwaterhq/headwater/client"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

func newBias(a *app) *cobra.Command {
	return group("bias", "Tell how outcomes in datasets differ between groups of people", newBiasReport(a), newBiasShow(a), newBiasList(a))
}

// intersections is what stands behind the columns of --by for each set of them.
const intersections = "intersections"

func newBiasReport(a *app) *cobra.Command {
	q := &headwaterv1.BiasQuestion{}
	var by, references []string
	var threshold float64
	var purpose, out string
	cmd := &cobra.Command{
		Use: "report DATASET --label L --favourable V --by A[,B][,intersections]", Short: "Compare outcomes and predictions between groups, and keep the report",
		Args: takes(1, 1, "DATASET --label L --favourable V --by A[,B][,intersections]"),
		Long: `Computes a dataset again, its id or NAME@VERSION, and tells of each group of people how often the outcome is favourable, how that
compares with the group that is favoured most (or --reference), and whether it is more than chance; with --prediction also how often it is
wrong for whom; with --stratify also within the values of a column. It tells of whom rows were left out or set aside and values are
missing, and which features stand for an attribute. Groups of less than 2 % of the rows are shown and judged by nothing.

A column is one of the dataset, or VIEW.COLUMN: one that a view stores, such as an attribute, which is read for each row as of the dataset's
position and need not be in the dataset. --by A,B,intersections asks for the groups of both together besides. --favourable is always
needed: nothing else says which outcome is good for whom it is about.

The report is kept with the digest of the dataset's content. The result is text, or with -o json, md or html a document. For who may have the
dataset, and read all rows of the views whose columns are read beside it.`,
		Annotations: map[string]string{moreForms: "md,html"},
		RunE: a.document(func(cmd *cobra.Command, c *client.Client, args []string) error {
			if err := require(cmd, "label", "favourable", "by"); err != nil {
				return err
			}
			q.By, q.Intersections = nil, false
			for i, name := range by {
				if name == intersections && i > 0 && i == len(by)-1 {
					q.Intersections = true
					continue
				}
				q.By = append(q.By, name)
			}
			if q.Intersections && len(q.By) < 2 {
				return usagef("found --by %s, expected two columns or more before %s", strings.Join(by, ","), intersections)
			}
			if cmd.Flags().Changed("threshold") {
				q.Threshold = &threshold
			}
			q.References = map[string]string{}
			for _, text := range references {
				name, value, ok := strings.Cut(text, "=")
				if !ok || name == "" || value == "" {
					return usagef("found --reference %q, expected COLUMN=VALUE", text)
				}
				q.References[name] = value
			}
			r, err := c.Bias.ReportBias(cmd.Context(), &headwaterv1.ReportBiasRequest{Dataset: datasetID(args[0]), Question: q, Purpose: purpose})
			if err != nil {
				return err
			}
			return a.writePage(r, newBiasPage(r.GetReport()), out)
		}),
	}
	flags := cmd.Flags()
	flags.StringVar(&q.Label, "label", "", "column of outcomes")
	flags.StringVar(&q.Favourable, "favourable", "", "the outcome that is good for whom it is about")
	flags.StringSliceVar(&by, "by", nil, "columns whose values make the groups, at most 4; behind them `intersections` for those of each set of columns")
	flags.StringVar(&q.Prediction, "prediction", "", "column of predictions, of the type of the label, or of scores with --threshold")
	flags.Float64Var(&threshold, "threshold", 0, "score from which on a prediction is favourable")
	flags.StringVar(&q.Stratify, "stratify", "", "column within whose values groups are compared as well")
	flags.StringArrayVar(&references, "reference", nil, "group that others are compared with, COLUMN=VALUE; again for more (default the one that is favoured most)")
	flags.StringVar(&out, "out", "", "write the result to this file")
	addPurposeFlag(cmd, &purpose)
	return cmd
}

func newBiasShow(a *app) *cobra.Command {
	var purpose, out string
	cmd := &cobra.Command{
		Use: "show ID", Short: "Show a report that was kept", Args: takes(1, 1, "ID"),
		Long: `Shows a report that headwater bias report made, in the same forms. For who may have the dataset, and read all rows of the views whose columns
were read beside it.`,
		Annotations: map[string]string{moreForms: "md,html"},
		RunE: a.document(func(cmd *cobra.Command, c *client.Client, args []string) error {
			r, err := c.Bias.GetBiasReport(cmd.Context(), &headwaterv1.GetBiasReportRequest{Id: args[0], Purpose: purpose})
			if err != nil {
				return err
			}
			return a.writePage(r, newBiasPage(r.GetReport()), out)
		}),
	}
	cmd.Flags().StringVar(&out, "out", "", "write the result to this file")
	addPurposeFlag(cmd, &purpose)
	return cmd
}

func newBiasList(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "list [DATASET]", Short: "List reports, of one dataset or of all", Args: takes(0, 1, "[DATASET]"),
		RunE: a.called(func(cmd *cobra.Command, c *client.Client, args []string) error {
			req := &headwaterv1.ListBiasReportsRequest{}
			if len(args) == 1 {
				req.Dataset = datasetID(args[0])
			}
			r, err := listBiasReports(cmd.Context(), c, req)
			if err != nil {
				return err
			}
			t := table{header: []string{"ID", "DATASET", "DIGEST", "FAVOURABLE", "BY", "PREDICTION", "MADE AT", "MADE BY"}}
			for _, of := range r.GetReports() {
				q := of.GetQuestion()
				by := slices.Clone(q.GetBy())
				if q.GetIntersections() {
					by = append(by, intersections)
				}
				if of.GetColumnsWithheld() {
					by = append(by, "(withheld)")
				}
				favourable := ""
				if q.GetLabel() != "" {
					favourable = fmt.Sprintf("%s = %s", q.GetLabel(), q.GetFavourable())
				}
				t.add(of.GetId(), of.GetDatasetRef(), short(of.GetContentDigest()), favourable, strings.Join(by, ","), q.GetPrediction(), instant(of.GetCreatedAt()), of.GetPrincipal())
			}
			return a.print(r, t)
		}),
	}
}

func listBiasReports(ctx context.Context, c *client.Client, req *headwaterv1.ListBiasReportsRequest) (whole *headwaterv1.ListBiasReportsResponse, err error) {
	for {
		page, err := c.Bias.ListBiasReports(ctx, req)
		if err != nil {
			return nil, err
		}
		if req.PageToken = page.NextPageToken; whole == nil {
			whole = page
		} else {
			whole.Reports = append(whole.Reports, page.Reports...)
		}
		if req.PageToken == "" {
			whole.NextPageToken = ""
			return whole, nil
		}
	}
}

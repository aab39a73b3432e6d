package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/headwaterhq/headwater/client"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

// performanceBys are what predictions are cut by, as the flag has it.
var performanceBys = []string{"run", "load", "source", "null-pattern", "feature-bucket", "column"}

func newPerformance(a *app) *cobra.Command {
	req := &headwaterv1.GetPerformanceRequest{}
	var by, since, until, task string
	cmd := &cobra.Command{
		Use: "performance MODEL", Short: "Say how good a model's predictions were, as a whole and by slices", Args: takes(1, 1, "MODEL"),
		Long: `Measures logged predictions by their outcomes, with intervals of 95%: accuracy, precision, recall, AUC, log loss and Brier score of a classification; mean absolute error, root mean
squared error and bias of a regression. --by cuts them by the runs, loads or sources that what was read is made of, by which features were missing, by parts of each
feature's values, or of one (--column). The worst slice is first.`,
		RunE: a.document(func(cmd *cobra.Command, c *client.Client, args []string) error {
			var err error
			req.Model = args[0]
			if req.By, err = performanceBy(by, req.Column); err != nil {
				return err
			}
			if req.Task, err = modelTask(task); err != nil {
				return err
			}
			if req.Since, err = parseTime("since", since); err != nil {
				return err
			}
			if req.Until, err = parseTime("until", until); err != nil {
				return err
			}
			r, err := c.Feedback.GetPerformance(cmd.Context(), req)
			if err != nil {
				return err
			}
			for _, note := range r.GetNotes() {
				a.notef("%s", note)
			}
			return a.printDocument(r, performanceSections(r)...)
		}),
	}
	flags := cmd.Flags()
	flags.StringVar(&by, "by", "", "cut by "+strings.Join(performanceBys[:len(performanceBys)-1], ", ")+" or column")
	flags.StringVar(&req.Column, "column", "", "with --by column: the feature, as the service names it")
	flags.StringVar(&since, "since", "", "predictions made from this time on (default: all that are kept)")
	flags.StringVar(&until, "until", "", "predictions made before this time")
	flags.StringVar(&task, "task", "", "classification or regression (default: by what was logged)")
	flags.StringVar(&req.Positive, "positive", "", "the class that scores are of (default: true or 1)")
	return cmd
}

func performanceBy(by, column string) (headwaterv1.PerformanceBy, error) {
	if by == "" && column == "" {
		return 0, nil
	}
	if by == "" {
		return 0, usagef("found --column %s without --by, expected --by column", column)
	}
	i := slices.Index(performanceBys, by)
	switch {
	case i < 0:
		return 0, usagef("--by: found %q, expected one of %s", by, strings.Join(performanceBys, ", "))
	case by == "column" && column == "":
		return 0, usagef("found --by column without --column, expected the feature, as the service names it")
	case by != "column" && column != "":
		return 0, usagef("found --column %s with --by %s, expected --by column", column, by)
	}
	return headwaterv1.PerformanceBy(i + 1), nil
}

func modelTask(task string) (headwaterv1.ModelTask, error) {
	switch task {
	case "":
		return headwaterv1.ModelTask_MODEL_TASK_UNSPECIFIED, nil
	case "classification":
		return headwaterv1.ModelTask_MODEL_TASK_CLASSIFICATION, nil
	case "regression":
		return headwaterv1.ModelTask_MODEL_TASK_REGRESSION, nil
	}
	return 0, usagef("--task: found %q, expected classification or regression", task)
}

func performanceSections(r *headwaterv1.GetPerformanceResponse) []section {
	var facts section
	facts.add("model", r.GetModel())
	facts.add("task", enumName(r.GetTask(), "MODEL_TASK_"))
	if r.GetPositive() != "" {
		facts.add("positive", r.GetPositive())
	}
	facts.add("predictions", number(r.GetOverall().GetPredictions()))
	facts.add("with known outcomes", fmt.Sprintf("%d, %s", r.GetOverall().GetLabelled(), interval(r.GetOverall().GetCoverage(), shareText)))
	if r.GetWithoutRead() > 0 {
		facts.add("without a logged read", number(r.GetWithoutRead()))
	}
	if r.GetParked() > 0 {
		facts.add("outcomes without a prediction", number(r.GetParked()))
	}
	if r.GetHidden() > 0 {
		facts.add("hidden", counted(r.GetHidden(), "slice")+" that you may not see")
	}
	measures := section{title: "measures", table: table{header: []string{"MEASURE", "VALUE#", "95% FROM#", "TO#", "OF#"}}}
	for _, m := range measuresOf(r.GetOverall()) {
		if m.is != nil {
			low, high := ends(m.is)
			measures.add(m.name, shortNumber(m.is.GetValue()), low, high, number(m.is.GetN()))
		}
	}
	header := []string{"SLICE", "TITLE", "PREDICTIONS#", "COVERAGE#", "LOSS#", "95% FROM#", "TO#"}
	extra := []string{"accuracy", "precision", "recall", "AUC", "log loss", "RMSE", "bias"}
	var shown []string
	for _, name := range extra {
		if slices.ContainsFunc(measuresOf(r.GetOverall()), func(m measure) bool { return m.name == name && m.is != nil }) {
			shown = append(shown, name)
			header = append(header, strings.ToUpper(name)+"#")
		}
	}
	cut := section{title: "slices, the worst first", table: table{header: append(header, "EXACT")}}
	for _, s := range r.GetSlices() {
		low, high := ends(s.GetLoss())
		row := []string{s.GetSlice(), s.GetTitle(), number(s.GetPredictions()), coverageText(s.GetCoverage()), valueOf(s.GetLoss()), low, high}
		for _, name := range shown {
			for _, m := range measuresOf(s) {
				if m.name == name {
					row = append(row, valueOf(m.is))
				}
			}
		}
		cut.add(append(row, exactness(s.GetExact(), s.GetWhy()))...)
	}
	return []section{facts, measures, cut}
}

func exactness(exact bool, why string) string {
	if exact {
		return "yes"
	}
	return "no: " + why
}

type measure struct {
	name string
	is   *headwaterv1.Estimate
}

func measuresOf(s *headwaterv1.PerformanceSlice) []measure {
	return []measure{
		{"loss", s.GetLoss()}, {"accuracy", s.GetAccuracy()}, {"precision", s.GetPrecision()}, {"recall", s.GetRecall()}, {"AUC", s.GetAuc()}, {"log loss", s.GetLogLoss()},
		{"Brier score", s.GetBrier()}, {"MAE", s.GetMae()}, {"RMSE", s.GetRmse()}, {"bias", s.GetBias()},
	}
}

func valueOf(e *headwaterv1.Estimate) string {
	if e == nil {
		return ""
	}
	return shortNumber(e.GetValue())
}

// ends are those of an interval, empty where there are none.
func ends(e *headwaterv1.Estimate) (low, high string) {
	if e == nil || e.Low == nil || e.High == nil {
		return "", ""
	}
	return shortNumber(e.GetLow()), shortNumber(e.GetHigh())
}

func shareText(f float64) string { return fmt.Sprintf("%.1f %%", 100*f) }

func coverageText(e *headwaterv1.Estimate) string {
	if e == nil {
		return ""
	}
	return shareText(e.GetValue())
}

func interval(e *headwaterv1.Estimate, text func(float64) string) string {
	if e == nil {
		return ""
	}
	if e.Low == nil || e.High == nil {
		return text(e.GetValue())
	}
	return fmt.Sprintf("%s (%s to %s)", text(e.GetValue()), text(e.GetLow()), text(e.GetHigh()))
}

func newAttribute(a *app) *cobra.Command {
	req := &headwaterv1.AttributeLossRequest{}
	var since, until, task string
	cmd := &cobra.Command{
		Use: "attribute MODEL --since T", Short: "Say what a model's loss since a time comes from: a load, all alike, or its labels", Args: takes(1, 1, "MODEL --since T"),
		Long: `Compares the predictions that were made of each load, run and source, and with each feature missing or in a part of its values, with all others at the same time, beyond what was
usual before T; and says which were worse than chance makes them, over all that were compared. The verdict is UPSTREAM_SUSPECT, with the source, the load, the run
and what would mend it; UNIFORM_DECAY; LABEL_ISSUE; INSUFFICIENT_LABELS; or NO_DECAY.

Exit status 5 with the verdict UPSTREAM_SUSPECT, UNIFORM_DECAY or LABEL_ISSUE.`,
		RunE: a.document(func(cmd *cobra.Command, c *client.Client, args []string) error {
			if err := require(cmd, "since"); err != nil {
				return err
			}
			var err error
			req.Model = args[0]
			if req.Task, err = modelTask(task); err != nil {
				return err
			}
			if req.Since, err = parseTime("since", since); err != nil {
				return err
			}
			if req.Until, err = parseTime("until", until); err != nil {
				return err
			}
			r, err := c.Feedback.AttributeLoss(cmd.Context(), req)
			if err != nil {
				return err
			}
			for _, note := range r.GetNotes() {
				a.notef("%s", note)
			}
			if err := a.printDocument(r, attributionSections(r)...); err != nil {
				return err
			}
			switch r.GetVerdict() {
			case headwaterv1.LossVerdict_LOSS_VERDICT_INSUFFICIENT_LABELS, headwaterv1.LossVerdict_LOSS_VERDICT_NO_DECAY:
				return nil
			}
			return outcome(exitNotHeld)
		}),
	}
	flags := cmd.Flags()
	flags.StringVar(&since, "since", "", "since when it is thought to be worse, such as 2001-01-31T10:00:00Z")
	flags.StringVar(&until, "until", "", "predictions made before this time (default: all)")
	flags.StringVar(&task, "task", "", "classification or regression (default: by what was logged)")
	flags.StringVar(&req.Positive, "positive", "", "the class that scores are of (default: true or 1)")
	return cmd
}

func attributionSections(r *headwaterv1.AttributeLossResponse) []section {
	var facts section
	facts.add("verdict", strings.TrimPrefix(r.GetVerdict().String(), "LOSS_VERDICT_"))
	facts.add("reason", r.GetReason())
	if s := r.GetSuspect(); s != nil {
		facts.add("source", s.GetSource())
		if s.GetLoad() != 0 {
			facts.add("load", fmt.Sprintf("%d %s", s.GetLoad(), s.GetFile()))
		}
		facts.add("run", s.GetRun())
	}
	facts.add("loss before", interval(r.GetBefore(), shortNumber))
	facts.add("loss since", interval(r.GetSince(), shortNumber))
	if r.LabelsMoved != nil && r.PredictionsMoved != nil {
		facts.add("outcomes moved", fmt.Sprintf("%.3f", r.GetLabelsMoved()))
		facts.add("predictions moved", fmt.Sprintf("%.3f", r.GetPredictionsMoved()))
	}
	facts.add("slices compared", number(r.GetTested()))
	if r.GetHidden() > 0 {
		facts.add("hidden", counted(r.GetHidden(), "slice")+" that you may not see")
	}
	cut := section{title: "slices, those that stand out most first", table: table{header: []string{"SLICE", "TITLE", "LABELLED#", "EXCESS#", "95% FROM#", "TO#", "USUAL#", "Q#", "STANDS OUT", "EXACT"}}}
	evidence := section{title: "runs behind those that stand out", table: table{header: []string{"SLICE", "RUN", "WHAT"}}}
	for _, s := range r.GetSlices() {
		if len(cut.rows) < 20 || s.GetStandsOut() {
			low, high := ends(s.GetExcess())
			q, out := "", "too few"
			if s.GetTested() {
				if q, out = fmt.Sprintf("%.2g", s.GetQ()), "no"; s.GetStandsOut() {
					out = "yes"
				}
			}
			cut.add(s.GetSlice(), s.GetTitle(), number(s.GetLabelled()), valueOf(s.GetExcess()), low, high, shortNumber(s.GetUsual()), q, out, exactness(s.GetExact(), s.GetWhy()))
		}
		for _, e := range s.GetEvidence() {
			for _, line := range slices.Concat(e.GetChecks(), e.GetDrift()) {
				evidence.add(s.GetSlice(), e.GetRun(), line)
			}
			if len(e.GetChecks())+len(e.GetDrift()) == 0 {
				evidence.add(s.GetSlice(), e.GetRun(), "no check failed or warned, and nothing drifted")
			}
		}
	}
	commands := section{title: "what shows what it reached, and what would mend it, in order"}
	for _, c := range r.GetSuspect().GetCommands() {
		commands.add(c)
	}
	return []section{facts, cut, evidence, commands}
}

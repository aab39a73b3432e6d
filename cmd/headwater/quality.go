package main

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/headwaterhq/headwater/client"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

func newQuality(a *app) *cobra.Command {
	req := &headwaterv1.GetQualityRequest{}
	var since string
	cmd := &cobra.Command{
		Use: "quality [NODE]", Short: "List how good views, services and sources are, the worst first, or what one was like over time", Args: takes(0, 1, "[NODE]"),
		Long: `Lists the newest version of each view and service, and each source, with a score, the worst first, and whose it is. A score is from 0 to 100, the mean of the parts
that are known: of a view checks, completeness, drift, freshness and anomalies of its newest run, of a service the scores of its views, their freshness, what reads were
given and skew, of a source checks, rows that were set aside, left out or late, freshness and drift of what is made of it. A part that is unknown is shown as ?, and
counts neither way.

A NODE is view:NAME[@VERSION] or NAME, of which runs are listed, the newest first, service:NAME[@VERSION] or source:NAME. Its score over time is drawn as bars: the lowest
of each span of time, a blank where nothing is known. -o json has it by the hour.`,
		RunE: a.called(func(cmd *cobra.Command, c *client.Client, args []string) (err error) {
			if req.Since, err = parseTime("since", since); err != nil {
				return err
			}
			if len(args) > 0 {
				if req.Node = args[0]; !strings.Contains(req.Node, ":") {
					req.Node = "view:" + req.Node
				}
				if req.Kind != "" {
					return usagef("found --kind %s with a NODE, expected one of them", req.Kind)
				}
			}
			r, err := c.Quality.GetQuality(cmd.Context(), req)
			if err != nil {
				return err
			}
			if req.Node != "" && a.output != "json" && a.output != "csv" {
				from := time.Now().Add(-qualityAge)
				if req.Since != nil {
					from = req.Since.AsTime()
				}
				fmt.Fprintln(a.out, scoreLine(r.GetHistory(), from, time.Now()))
			}
			return a.print(r, qualityTable(r.GetNodes()))
		}),
	}
	cmd.Flags().StringVar(&since, "since", "", "runs, reads and scores from this time on, such as 2001-01-31T10:00:00Z (default: 30 days ago)")
	cmd.Flags().StringVar(&req.Kind, "kind", "", "view, service or source: list these alone")
	return cmd
}

// qualityAge is how far back the server looks unless it is told.
const qualityAge = 30 * 24 * time.Hour

func qualityTable(nodes []*headwaterv1.NodeQuality) table {
	t := table{header: []string{"NODE", "SCORE#", "PARTS", "RUN", "ENDED AT", "OWNER", "WHY"}}
	for _, n := range nodes {
		score := ""
		if n.Score != nil {
			score = fmt.Sprintf("%.0f", math.Floor(n.GetScore()))
		}
		var parts, why []string
		if n.GetFailed() {
			why = append(why, "the run failed")
		}
		for _, p := range n.GetParts() {
			if p.Value == nil {
				parts = append(parts, p.GetName()+" ?")
				continue
			}
			parts = append(parts, fmt.Sprintf("%s %.2f", p.GetName(), math.Floor(p.GetValue()*100+1e-6)/100))
			if p.GetValue() < 1 {
				why = append(why, p.GetName()+": "+p.GetDetail())
			}
		}
		if why == nil && n.Score == nil {
			why = append(why, "nothing is known of it")
		}
		t.add(n.GetNode(), score, strings.Join(parts, "  "), n.GetRun(), moment(n.GetEndedAt()), n.GetOwner(), strings.Join(why, "; "))
	}
	return t
}

// scoreBars is how many bars a score over time has.
const scoreBars = 60

// scoreLine draws a score from one time to another, and says what it was at least, and is now.
func scoreLine(history []*headwaterv1.QualityPoint, from, to time.Time) string {
	if len(history) == 0 {
		return "no score is known since " + from.UTC().Format(time.RFC3339)
	}
	lowest := make([]*headwaterv1.QualityPoint, scoreBars)
	least := history[0]
	for _, p := range history {
		if p.GetScore() < least.GetScore() {
			least = p
		}
		at := min(max(int(float64(p.GetAt().AsTime().Sub(from))/float64(max(to.Sub(from), 1))*scoreBars), 0), scoreBars-1)
		if lowest[at] == nil || p.GetScore() < lowest[at].GetScore() {
			lowest[at] = p
		}
	}
	var b strings.Builder
	for _, p := range lowest {
		if p == nil {
			b.WriteRune(' ')
			continue
		}
		b.WriteRune(blocks[min(max(int(p.GetScore()/100*float64(len(blocks))), 0), len(blocks)-1)])
	}
	text := fmt.Sprintf("%s ▏%s▕ now %.0f", moment(timestamppb.New(from)), b.String(), math.Floor(history[len(history)-1].GetScore()))
	if least.GetScore() < 100 {
		text += fmt.Sprintf(", at least %.0f at %s", math.Floor(least.GetScore()), moment(least.GetAt()))
		var parts []string
		for _, p := range least.GetParts() {
			parts = append(parts, fmt.Sprintf("%s %.2f", p.GetName(), math.Floor(p.GetValue()*100+1e-6)/100))
		}
		if parts != nil {
			text += " (" + strings.Join(parts, ", ") + ")"
		}
	}
	return text
}

// anomalySection is what of a run is unlike the runs before it.
func anomalySection(list []*headwaterv1.RunAnomaly) section {
	s := section{title: "anomalies", table: table{header: []string{"METRIC", "FOUND#", "EXPECTED#", "DEVIATIONS#", "EARLIER RUNS#", "BY"}}}
	amount := func(f *float64) string {
		if f == nil {
			return ""
		}
		return shortNumber(*f)
	}
	for _, a := range list {
		by := "all days"
		if a.GetSeasonal() {
			by = "days of the week"
		}
		s.add(a.GetMetric(), amount(a.Value), amount(a.Expected), amount(a.Z), number(a.GetPoints()), by)
	}
	return s
}

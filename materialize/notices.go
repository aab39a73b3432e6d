package materialize

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/internal/notify"
	"github.com/headwaterhq/headwater/quality"
	"github.com/headwaterhq/headwater/quality/drift"
)

// maxNoticed is how many columns or checks a notice names.
const maxNoticed = 10

// someNamed are the first of names, and how many there are besides.
func someNamed(names []string) string {
	if more := len(names) - maxNoticed; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:maxNoticed], ", "), more)
	}
	return strings.Join(names, ", ")
}

func (r *Run) notice(kind notify.Kind) notify.Notice {
	run := fmt.Sprint(r.ID)
	if r.Seq > 0 {
		run = r.Ref()
	}
	return notify.Notice{Kind: kind, Node: fmt.Sprintf("view:%s@%d", r.View, r.ViewVersion), OwnedKind: "view", OwnedName: r.View, Run: run, Remedy: "headwater runs show " + run}
}

// checkNotice tells of checks that came to one of some states.
func (r *Run) checkNotice(kind notify.Kind, is func(quality.State) bool) (list []notify.Notice) {
	var found, expected []string
	for i := range r.Checks {
		if c := &r.Checks[i]; is(c.State) {
			found, expected = append(found, fmt.Sprintf("%s of %s: %s", c.Name, c.Subject, c.Found)), append(expected, fmt.Sprintf("%s of %s: %s", c.Name, c.Subject, c.Expected))
		}
	}
	if found == nil {
		return nil
	}
	n := r.notice(kind)
	n.Found, n.Expected = someNamed(found), someNamed(expected)
	return []notify.Notice{n}
}

// noticesOf are those of a run that is published.
func (r *Run) noticesOf() []notify.Notice {
	list := r.checkNotice(notify.CheckWarned, func(s quality.State) bool { return s == quality.Warned })
	if r.Drift != nil {
		for verdict, kind := range map[drift.Verdict]notify.Kind{drift.Fail: notify.DriftFailed, drift.Warn: notify.DriftWarned} {
			var columns []string
			for _, c := range r.Drift.Columns {
				if c.Verdict == verdict {
					columns = append(columns, c.Name)
				}
			}
			// One notice of a run says how far it has come.
			if columns != nil && r.Drift.Verdict == verdict {
				n := r.notice(kind)
				n.Found, n.Expected, n.Remedy = fmt.Sprintf("%s of %s", verdict, someNamed(columns)), "rows like those of baseline "+r.Drift.Baseline, fmt.Sprintf("headwater drift baseline:%s run:%s", r.Drift.Baseline, r.Ref())
				list = append(list, n)
			}
		}
	}
	if r.Anomalies != nil && len(r.Anomalies.Found) > 0 {
		var metrics []string
		for _, a := range r.Anomalies.Found {
			metrics = append(metrics, a.Metric)
		}
		n := r.notice(notify.Anomaly)
		n.Found, n.Expected, n.Remedy = someNamed(metrics), "metrics like those of the runs before it", fmt.Sprintf("headwater quality view:%s@%d", r.View, r.ViewVersion)
		list = append(list, n)
	}
	return list
}

// tellPublished tells webhooks of what is wrong with a run that is published, and tellFailed of one that failed, in its transaction.
func tellPublished(ctx context.Context, tx pgx.Tx, r *Run) error {
	return notify.Add(ctx, tx, r.noticesOf()...)
}

func tellFailed(ctx context.Context, tx pgx.Tx, r *Run, message string) error {
	failed := r.notice(notify.RunFailed)
	failed.Found, failed.Expected = message, "a run that is published"
	return notify.Add(ctx, tx, append(r.checkNotice(notify.CheckFailed, quality.State.Blocks), failed)...)
}

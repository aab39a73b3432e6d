package main

import (
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/headwaterhq/headwater/client"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

func newRuns(a *app) *cobra.Command {
	var view, reason string
	var watch bool
	var limit int32
	list := &cobra.Command{
		Use: "list", Short: "List runs, newest first", Args: takesNone,
		RunE: a.called(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			runs, err := c.Materialization.ListRuns(cmd.Context(), &headwaterv1.ListRunsRequest{View: view, PageSize: limit})
			if err != nil {
				return err
			}
			return a.print(runs, runTable(runs.Runs))
		}),
	}
	list.Flags().StringVar(&view, "view", "", "runs of this view only")
	list.Flags().Int32Var(&limit, "limit", 50, "how many, at most 1000")
	show := &cobra.Command{
		Use: "show RUN", Short: "Show one run, by its id or as VIEW@VERSION/SEQ: ledger, inputs, checks, gates, phases", Args: takes(1, 1, "RUN"),
		RunE: a.document(func(cmd *cobra.Command, c *client.Client, args []string) error {
			r, err := c.Materialization.GetRun(cmd.Context(), &headwaterv1.GetRunRequest{Run: strings.TrimPrefix(args[0], "run:")})
			if err != nil {
				return err
			}
			if watch {
				if r.Run, err = a.watch(cmd.Context(), c, r.GetRun()); err != nil {
					return err
				}
			}
			return a.printDocument(r, runSections(r.GetRun())...)
		}),
	}
	show.Flags().BoolVar(&watch, "watch", false, "show how far it is until it has ended, and then what became of it")
	cancel := &cobra.Command{
		Use: "cancel RUN…", Short: "End runs that have not ended; what they wrote is undone", Args: takes(1, 0, "RUN…"),
		Long: `Ends runs that have not ended, each named by its id or as VIEW@VERSION/SEQ: those that wait at once, those at work within a
second, on whichever server they are. What they wrote is undone, and what was published before goes on serving. When one
of them has been published or has failed, none is cancelled.`,
		RunE: a.called(func(cmd *cobra.Command, c *client.Client, args []string) error {
			for i := range args {
				args[i] = strings.TrimPrefix(args[i], "run:")
			}
			runs, err := c.Materialization.CancelRuns(cmd.Context(), &headwaterv1.CancelRunsRequest{Runs: args, Reason: reason})
			if err != nil {
				return err
			}
			return a.print(runs, runTable(runs.Runs))
		}),
	}
	cancel.Flags().StringVar(&reason, "reason", "", "why; kept with the runs")
	return group("runs", "Runs: materializations of views", list, show, cancel, newRunsApprove(a), newRunsVerify(a), newRunChecks(a), newRunStats(a))
}

// runName is VIEW@VERSION/SEQ, or VIEW@VERSION and the id while there is no sequence.
func runName(r *headwaterv1.Run) string {
	name := r.View + "@" + number(r.ViewVersion)
	if r.Seq > 0 {
		return name + "/" + number(r.Seq)
	}
	return name + " (id " + number(r.Id) + ")"
}

func runTable(runs []*headwaterv1.Run) table {
	t := table{header: []string{"ID#", "RUN", "STATE", "SCOPE", "READ#", "PRODUCED#", "INSERTED#", "WITHDRAWN#", "UNCHANGED#", "LIVE#",
		"POSITION#", "ONLINE", "STARTED AT", "TOOK#"}}
	for _, r := range runs {
		cells := []string{number(r.Id), runName(r), enumName(r.State, "RUN_STATE_"), enumName(r.Scope, "RUN_SCOPE_"), "", "", "", "", "", "", "",
			enumName(r.OnlineState, "ONLINE_STATE_"), moment(r.StartedAt), took(r)}
		// What did not publish wrote nothing that could be counted.
		if r.State == headwaterv1.RunState_RUN_STATE_PUBLISHED {
			l := r.GetLedger()
			for i, n := range []int64{l.GetRead(), l.GetProduced(), l.GetInserted(), l.GetWithdrawn(), l.GetUnchanged(), l.GetLiveAfter(), r.Position} {
				cells[4+i] = number(n)
			}
		}
		t.add(cells...)
	}
	return t
}

func took(r *headwaterv1.Run) string {
	if r.StartedAt == nil || r.EndedAt == nil {
		return ""
	}
	return duration(r.EndedAt.AsTime().Sub(r.StartedAt.AsTime()))
}

func runSections(r *headwaterv1.Run) []section {
	sections := []section{runFacts(r)}
	if l := r.GetLedger(); l != nil && r.State == headwaterv1.RunState_RUN_STATE_PUBLISHED {
		sections = append(sections, ledgerSection(l))
	}
	inputs := section{title: "inputs", table: table{header: []string{"SOURCE", "LOAD#", "FILE", "SHA256", "ROWS#"}}}
	for _, in := range r.Inputs {
		if in.View != "" {
			// Which publication it was: rows that an earlier run wrote may be made of an earlier one.
			inputs.add("view "+in.View+"@"+number(in.ViewVersion)+" as of its run "+number(in.ViewSeq), "", "", "", number(in.RowsRead))
			continue
		}
		what := in.Source + "@" + number(in.SourceVersion)
		if in.Relation != "" {
			relation := in.Relation
			if in.Kept {
				relation += " (rows kept)"
			}
			inputs.add(what, "", relation, short(in.RowsDigest), number(in.RowsRead))
			continue
		}
		inputs.add(what+" up to load number "+number(in.LoadNumber), "", "", short(in.SourceFingerprint), number(in.RowsRead))
		for _, load := range in.Loads {
			inputs.add("", number(load.Id), load.FileName, short(load.FileSha256), number(load.Rows))
		}
	}
	checks, toLookAt := checkSections(r.Checks)
	gates := section{title: "gates", table: table{header: []string{"GATE", "PASSED", "DETAIL"}}}
	for _, g := range r.Gates {
		passed := "no"
		if g.Passed {
			passed = "yes"
		}
		gates.add(g.Name, passed, g.Detail)
	}
	phases := section{title: "phases", table: table{header: []string{"PHASE", "TOOK#"}}}
	for _, p := range r.Phases {
		phases.add(p.Name, duration(time.Duration(p.DurationMicros)*time.Microsecond))
	}
	warnings := section{title: "warnings"}
	for _, w := range r.Warnings {
		warnings.add(w)
	}
	return append(sections, inputs, checks, toLookAt, runDriftSection(r.Drift), anomalySection(r.Anomalies), gates, phases, warnings)
}

// maxShownIntervals is how many intervals of a run are shown.
const maxShownIntervals = 8

func runFacts(r *headwaterv1.Run) section {
	var s section
	s.add("run", runName(r))
	s.add("id", number(r.GetId()))
	s.add("state", enumName(r.State, "RUN_STATE_"))
	switch {
	case r.Error != "" && r.State == headwaterv1.RunState_RUN_STATE_QUEUED:
		s.add("last attempt", r.Error)
	case r.State == headwaterv1.RunState_RUN_STATE_CANCELLED:
		s.add("why", r.Error)
	case r.Error != "":
		s.add("error", r.Error)
	}
	if r.GetToApprove() != "" {
		s.add("to approve", r.ToApprove)
	}
	if r.State == headwaterv1.RunState_RUN_STATE_PUBLISHED {
		s.add("wrote", wrote(r.GetLedger()))
		s.add("position", number(r.Position))
	}
	if scope := enumName(r.Scope, "RUN_SCOPE_"); scope != "" {
		s.add("scope", scope)
	}
	switch interval := span(r.IntervalStart, r.IntervalEnd); {
	case len(r.Intervals) > 1:
		for i, in := range r.Intervals {
			if i == maxShownIntervals {
				s.add("", number(len(r.Intervals)-i)+" more, up to "+moment(r.IntervalEnd))
				break
			}
			name := ""
			if i == 0 {
				name = number(len(r.Intervals)) + " intervals"
			}
			s.add(name, span(in.Start, in.End))
		}
	case interval != "":
		s.add("interval", interval)
	case r.State == headwaterv1.RunState_RUN_STATE_PUBLISHED:
		s.add("interval", "none: nothing was new")
	}
	s.add("fingerprint", r.Fingerprint)
	if r.Digest != "" {
		s.add("digest", r.Digest)
	}
	for _, e := range r.Erasures {
		s.add("erased", erasedText(e))
	}
	if online := enumName(r.OnlineState, "ONLINE_STATE_"); online != "" {
		s.add("online", online+": "+number(r.OnlineWritten)+" written, "+number(r.OnlineStale)+" not newer, "+
			number(r.OnlineTombstones)+" tombstones")
	}
	if r.State == headwaterv1.RunState_RUN_STATE_QUEUED {
		s.add("waits for", first(r.WaitsFor, "a worker"))
	}
	if r.Progress != nil || r.CancelRequestedAt != nil && r.EndedAt == nil {
		_, what, far := new(runProgress).at(r, time.Now())
		if far != "" {
			what += ", " + far
		}
		s.add("progress", what)
	}
	s.add("queued", moment(r.QueuedAt)+" by "+r.Principal+queuedBy[r.Trigger])
	s.add("priority", number(r.Priority))
	if r.Attempt > 1 || r.Attempt > 0 && r.State == headwaterv1.RunState_RUN_STATE_QUEUED {
		s.add("attempt", number(r.Attempt))
	}
	if r.StartedAt != nil {
		s.add("started", moment(r.StartedAt))
	}
	if r.EndedAt != nil {
		s.add("ended", moment(r.EndedAt)+" after "+took(r))
	}
	return s
}

// queuedBy is why there is a run, where nobody asked for it.
var queuedBy = map[headwaterv1.RunTrigger]string{
	headwaterv1.RunTrigger_RUN_TRIGGER_SCHEDULE:   ", on schedule",
	headwaterv1.RunTrigger_RUN_TRIGGER_INPUTS:     ", after what it reads",
	headwaterv1.RunTrigger_RUN_TRIGGER_PUSH:       ", for rows that were pushed",
	headwaterv1.RunTrigger_RUN_TRIGGER_QUARANTINE: ", for rows out of quarantine",
}

func wrote(l *headwaterv1.Ledger) string {
	if l.GetInserted() == 0 && l.GetWithdrawn() == 0 {
		return "nothing changed: no row was written"
	}
	return number(l.GetInserted()) + " inserted, " + number(l.GetWithdrawn()) + " withdrawn, " + number(l.GetUnchanged()) + " unchanged"
}

// ledgerSection shows every bucket, so that the sums can be checked by eye.
func ledgerSection(l *headwaterv1.Ledger) section {
	s := section{title: "ledger", table: table{header: []string{"ROWS", "#", "WHERE THEY WENT"}}}
	s.add("read", number(l.Read), sum("accepted", l.Accepted, "quarantined", l.Quarantined, "duplicate", l.Duplicate,
		"dropped", l.Dropped, "too late", l.TooLate))
	s.add("accepted", number(l.Accepted), sum("used", l.Used, "filtered", l.Filtered, "unaccounted", l.Unaccounted))
	s.add("computed", number(l.Computed), sum("produced", l.Produced, "quarantined", l.OutputQuarantined, "dropped", l.OutputDropped))
	s.add("produced", number(l.Produced), sum("inserted", l.Inserted, "unchanged", l.Unchanged))
	s.add("live after", number(l.LiveAfter), number(l.LiveBefore)+" live before + "+number(l.Inserted)+" inserted - "+
		number(l.Withdrawn)+" withdrawn")
	for _, r := range l.Reasons {
		s.add(r.Bucket, number(r.Rows), r.Reason)
	}
	return s
}

func sum(parts ...any) string {
	var words []string
	for i := 0; i < len(parts); i += 2 {
		words = append(words, number(parts[i+1].(int64))+" "+parts[i].(string))
	}
	return strings.Join(words, " + ")
}

// erasedText is what an erasure did to a run or a dataset.
func erasedText(e *headwaterv1.Erasure) string {
	text := counted(int(e.GetRows()), "row") + " on " + moment(e.GetTime()) + " (" + e.GetId() + "): " + e.GetReason()
	switch {
	case e.GetNewDigest() == "":
		text += "; what is left has no known digest"
	case e.GetNewDigest() != e.GetOldDigest():
		text += "; what is left has the digest " + e.GetNewDigest()
	}
	return text
}

package server

import (
	"context"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/headwaterhq/headwater/dataset"
	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/wire"
	"github.com/headwaterhq/headwater/materialize"
	"github.com/headwaterhq/headwater/offline"
)

func timestampOf(t *time.Time) *timestamppb.Timestamp {
	if t == nil {
		return nil
	}
	return timestamppb.New(feature.TimeOf(*t).Calendar())
}

func timeOf(t *timestamppb.Timestamp) *time.Time {
	if t == nil {
		return nil
	}
	at := t.AsTime()
	return &at
}

func hexOf(d feature.Digest) string {
	if d.IsZero() {
		return ""
	}
	return d.String()
}

func loadOf(l *offline.Load) *headwaterv1.Load {
	out := &headwaterv1.Load{
		Id: l.ID, Source: l.Source, Number: l.Number, State: headwaterv1.LoadState_LOAD_STATE_LIVE,
		FileName: l.FileName, FileSize: l.FileSize, FileSha256: hexOf(l.FileSHA256), Rows: l.Rows,
		EventTimeMin: timestampOf(l.EventTimeMin), EventTimeMax: timestampOf(l.EventTimeMax),
		Replaces: l.Replaces, RetractReason: l.RetractReason,
		Principal: l.Principal, CommittedAt: timestamppb.New(l.CommittedAt),
		IgnoredColumns: l.IgnoredColumns, RowsDigest: hexOf(l.RowsDigest), Batches: int32(l.Batches),
		Quarantined: l.Quarantined, Dropped: l.Dropped, Reasons: loadReasonsOf(l), Erased: l.Erased,
	}
	switch {
	case l.EndedByRetraction:
		out.State, out.RetractReason = headwaterv1.LoadState_LOAD_STATE_RETRACTED, l.EndedReason
	case l.EndedBy != 0:
		out.State, out.ReplacedBy = headwaterv1.LoadState_LOAD_STATE_REPLACED, l.EndedBy
	case l.RetractReason != "":
		out.State = headwaterv1.LoadState_LOAD_STATE_RETRACTION
	}
	return out
}

var runStates = map[materialize.State]headwaterv1.RunState{
	materialize.Queued:    headwaterv1.RunState_RUN_STATE_QUEUED,
	materialize.Running:   headwaterv1.RunState_RUN_STATE_RUNNING,
	materialize.Published: headwaterv1.RunState_RUN_STATE_PUBLISHED,
	materialize.Failed:    headwaterv1.RunState_RUN_STATE_FAILED,
	materialize.Cancelled: headwaterv1.RunState_RUN_STATE_CANCELLED,
}

var onlineStates = map[materialize.OnlineState]headwaterv1.OnlineState{
	materialize.OnlinePending: headwaterv1.OnlineState_ONLINE_STATE_PENDING,
	materialize.OnlineLoaded:  headwaterv1.OnlineState_ONLINE_STATE_LOADED,
	materialize.OnlineFailed:  headwaterv1.OnlineState_ONLINE_STATE_FAILED,
}

var runScopes = map[offline.ScopeKind]headwaterv1.RunScope{
	offline.Incremental: headwaterv1.RunScope_RUN_SCOPE_INCREMENTAL,
	offline.Interval:    headwaterv1.RunScope_RUN_SCOPE_INTERVAL,
	offline.Full:        headwaterv1.RunScope_RUN_SCOPE_FULL,
}

func runOf(r *materialize.Run) *headwaterv1.Run {
	l := r.Ledger
	out := &headwaterv1.Run{
		Id: r.ID, View: r.View, ViewVersion: int32(r.ViewVersion), Seq: r.Seq, State: runStates[r.State], Position: r.Position,
		Fingerprint: hexOf(r.Fingerprint), Principal: r.Principal,
		Scope: runScopes[r.Scope], QueuedAt: timestamppb.New(r.QueuedAt), StartedAt: timestampOf(r.StartedAt), EndedAt: timestampOf(r.EndedAt),
		Error: fault.Hidden(r.KeptError), Warnings: r.Warnings, OnlineState: onlineStates[r.OnlineState],
		OnlineWritten: r.OnlineWritten, OnlineStale: r.OnlineStale, OnlineTombstones: r.OnlineTombstones,
		Ledger: &headwaterv1.Ledger{
			Read: l.Read, Accepted: l.Accepted, Quarantined: l.Quarantined, Duplicate: l.Duplicate, Dropped: l.Dropped,
			TooLate: l.TooLate, Used: l.Used, Filtered: l.Filtered, Unaccounted: l.Unaccounted,
			Computed: l.Computed, OutputQuarantined: l.OutputQuarantined, OutputDropped: l.OutputDropped,
			Produced: l.Produced, Unchanged: l.Unchanged, Inserted: l.Inserted, Withdrawn: l.Withdrawn,
			LiveBefore: l.LiveBefore, LiveAfter: l.LiveAfter,
		},
	}
	tellJob(out, &r.Job)
	for _, e := range r.Erasures {
		erasure := &headwaterv1.Erasure{
			Id: e.ID, Time: timestamppb.New(e.Time), Principal: e.Principal, Reason: e.Reason, Rows: e.Rows, OldDigest: e.Old.String(),
		}
		if e.Known {
			erasure.NewDigest = e.New.String()
		}
		out.Erasures = append(out.Erasures, erasure)
	}
	if r.State == materialize.Published {
		// The digest of no rows is zero too.
		out.Digest = r.Digest.String()
		if !r.Interval.IsEmpty() {
			out.IntervalStart = timestamppb.New(r.Interval.Start.Calendar())
			out.IntervalEnd = timestamppb.New(r.Interval.End.Calendar())
		}
	}
	for _, span := range r.Spans {
		out.Intervals = append(out.Intervals, &headwaterv1.Interval{
			Start: timestamppb.New(span.Start.Calendar()), End: timestamppb.New(span.End.Calendar()),
		})
	}
	for _, b := range r.Reasons {
		out.Ledger.Reasons = append(out.Ledger.Reasons, &headwaterv1.LedgerReason{Bucket: b.Bucket, Reason: b.Reason, Rows: b.Rows})
	}
	for _, g := range r.Gates {
		out.Gates = append(out.Gates, &headwaterv1.Gate{Name: g.Name, Passed: g.Passed, Detail: g.Detail})
	}
	if r.Anomalies != nil {
		out.MetricsTested = int32(r.Anomalies.Tested)
		for _, a := range r.Anomalies.Found {
			out.Anomalies = append(out.Anomalies, &headwaterv1.RunAnomaly{
				Metric: a.Metric, Value: a.Value, Expected: a.Expected, Z: a.Z, Points: int32(a.Points), Seasonal: a.Seasonal,
			})
		}
	}
	for _, p := range r.Phases {
		out.Phases = append(out.Phases, &headwaterv1.Phase{Name: p.Name, DurationMicros: p.Micros})
	}
	for _, in := range r.Inputs {
		input := &headwaterv1.RunInput{
			Source: in.Source, SourceVersion: int32(in.SourceVersion), SourceFingerprint: hexOf(in.SourceFingerprint),
			LoadNumber: in.LoadNumber, RowsRead: in.Rows, Duplicates: in.Duplicates, Relation: in.Relation, Kept: in.Kept != nil,
		}
		if in.RowsDigest != nil {
			input.RowsDigest = in.RowsDigest.String()
		}
		for _, l := range in.Loads {
			input.Loads = append(input.Loads, &headwaterv1.RunInput_Load{
				Id: l.ID, FileName: l.FileName, FileSha256: hexOf(l.SHA256), Rows: l.Rows,
			})
		}
		out.Inputs = append(out.Inputs, input)
	}
	for _, in := range r.ViewInputs {
		out.Inputs = append(out.Inputs, &headwaterv1.RunInput{
			View: in.View, ViewVersion: int32(in.Version), ViewSeq: in.Seq, RowsRead: in.Rows,
		})
	}
	return out
}

// manifestOf is a manifest as the caller may see it who may know of it and of the values in it.
func manifestOf(ctx context.Context, m *dataset.Manifest) *headwaterv1.Manifest {
	out := &headwaterv1.Manifest{
		Id: m.ID, Name: m.Name, Version: int32(m.Version), State: headwaterv1.DatasetState_DATASET_STATE_BUILT,
		Service: m.Service, ServiceVersion: int32(m.ServiceVersion), ServiceFingerprint: m.ServiceFingerprint,
		Position: m.Position, TimestampColumn: m.TimestampColumn, KeyMapping: m.KeyMapping, Purpose: m.Purpose, Use: m.Use, Rows: m.Rows,
		SpineDigest: m.SpineDigest, ContentDigest: m.ContentDigest, ArrowSha256: m.ArrowSHA256, ArrowWriter: m.ArrowWriter,
		Principal: m.Principal, CreatedAt: timestamppb.New(m.CreatedAt), ServerVersion: m.ServerVersion,
	}
	switch m.State {
	case dataset.Released:
		out.State = headwaterv1.DatasetState_DATASET_STATE_RELEASED
	case dataset.Deleted:
		out.State = headwaterv1.DatasetState_DATASET_STATE_DELETED
		out.DeletedAt, out.DeletedBy = timestampOf(m.DeletedAt), m.DeletedBy
	}
	out.Views, out.OnDemand = manifestViews(m.Views), manifestViews(m.OnDemand)
	out.Features, out.Joins = m.Features, manifestJoins(m.Joins)
	out.SpineOrigin = spineOriginOf(m.SpineOrigin)
	out.Knowledge, out.MayLeak = headwaterv1.KnowledgeMode_KNOWLEDGE_MODE_ARRIVAL, m.MayLeak
	if m.Knowledge == dataset.KnowledgeEvent {
		out.Knowledge = headwaterv1.KnowledgeMode_KNOWLEDGE_MODE_EVENT
	}
	for _, p := range m.Partial {
		out.Partial = append(out.Partial, &headwaterv1.PartialCoverage{
			View: p.View, ViewVersion: int32(p.Version), Rows: p.Rows, First: timestamppb.New(p.First), Last: timestamppb.New(p.Last),
		})
	}
	addTallies(out, m)
	out.Gates, out.CarriedTags, out.ReleasedAt, out.ReleasedBy = gatesOf(m.Gates), carriedTags(m.ImpactTags), timestampOf(m.ReleasedAt), m.ReleasedBy
	if out.Policy = appliedFor(ctx, m.Principal, out.GetPolicy()); out.GetPolicy().GetWithheld() {
		for _, source := range out.GetSpineOrigin().GetSources() {
			source.Rules = nil
		}
	}
	for _, e := range m.Erasures {
		out.Erasures = append(out.Erasures, &headwaterv1.Erasure{
			Id: e.ID, Time: timestamppb.New(e.Time), Principal: e.Principal, Reason: e.Reason, Rows: e.Rows, OldDigest: e.OldDigest,
			NewDigest: e.NewDigest, OldSpineDigest: e.OldSpineDigest, NewSpineDigest: e.NewSpineDigest,
		})
	}
	for name, version := range m.Followed {
		if out.Followed == nil {
			out.Followed = map[string]int32{}
		}
		out.Followed[name] = int32(version)
	}
	for _, c := range m.Columns {
		t, _ := feature.ParseType(c.Type)
		column := &headwaterv1.ManifestColumn{
			Name: c.Name, Type: wire.TypeOf(t), TypeName: c.Type, Origin: c.Origin, Nulls: c.Nulls, Summary: columnSummary(c.Summary, t),
		}
		for status := range headwaterv1.ValueStatus_name {
			s := headwaterv1.ValueStatus(status)
			if n := c.Statuses[statusName(s)]; n > 0 {
				column.Statuses = append(column.Statuses, &headwaterv1.StatusCount{Status: s, Rows: n})
			}
		}
		sortStatuses(column.Statuses)
		out.Columns = append(out.Columns, column)
	}
	if heldFrom(ctx, m) {
		withoutHeld(out)
	}
	return out
}

func manifestViews(views []dataset.ManifestView) []*headwaterv1.ManifestView {
	var out []*headwaterv1.ManifestView
	for _, v := range views {
		out = append(out, &headwaterv1.ManifestView{
			View: v.View, Version: int32(v.Version), Fingerprint: v.Fingerprint, Seq: v.Seq,
			CoveredFrom: timestampOf(v.CoveredFrom), CoveredTo: timestampOf(v.CoveredTo), Runs: v.Runs,
		})
	}
	return out
}

func statusName(s headwaterv1.ValueStatus) string {
	return strings.TrimPrefix(s.String(), "VALUE_STATUS_")
}

func sortStatuses(counts []*headwaterv1.StatusCount) {
	slices.SortFunc(counts, func(a, b *headwaterv1.StatusCount) int { return int(a.GetStatus()) - int(b.GetStatus()) })
}

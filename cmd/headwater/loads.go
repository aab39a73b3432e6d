package main

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/spf13/cobra"

	"github.com/headwaterhq/headwater/client"
	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/tabular"
)

func newIngest(a *app) *cobra.Command {
	var replaces, format string
	var wait bool
	cmd := &cobra.Command{
		Use: "ingest SOURCE FILE…", Short: "Load files into a source, one load each, in order; - is standard input",
		Long: `Sends files to a landing source. Each file becomes one load, whole or not at all, in the order given. A file must have the
source's columns, by name; those of CSV and NDJSON are read as the types that the source declares, and an empty cell of CSV
is NULL. Columns that the source does not have are refused, or left out where it says so (schema_changes).

The same file (by its SHA-256) is taken once. --replaces loads one file in the place of an earlier load, whose rows count no
longer.

Rows without an event time, or without a part of the unique key, are refused with their file, or set aside or left out as the source
says (null_event_time). A load queues a run of each view that takes the source's rows as they come (push); --wait waits for them.`,
		Args: takes(2, 0, "SOURCE FILE…"),
		RunE: a.called(func(cmd *cobra.Command, c *client.Client, args []string) error {
			files := args[1:]
			form, err := tabular.ParseFormat(format)
			if err != nil {
				return err
			}
			in := ingestion{app: a, client: c, source: args[0], format: form}
			if replaces != "" {
				if len(files) != 1 {
					return usagef("found %d files, expected one with --replaces: a load is replaced by one load", len(files))
				}
				if in.replaces, err = loadID(replaces); err != nil {
					return err
				}
			}
			if err := in.askSource(cmd.Context()); err != nil {
				return err
			}
			done := &headwaterv1.ListLoadsResponse{}
			var runs []int64
			var failed error
			for _, path := range files {
				r, err := in.load(cmd.Context(), path)
				if err != nil {
					failed = err
					break
				}
				done.Loads, runs = append(done.Loads, r.GetLoad()), append(runs, r.GetRuns()...)
			}
			if len(done.Loads) > 0 {
				if err := a.print(done, loadTable(done.Loads)); err != nil {
					return err
				}
			}
			if failed != nil && len(done.Loads) > 0 {
				a.notef("%d of %d files were loaded before the one that failed; go on from there", len(done.Loads), len(files))
			}
			if wait {
				failed = errors.Join(failed, a.awaitRuns(cmd.Context(), c, runs))
			} else if len(runs) > 0 {
				a.notef("queued %s of views that take these rows; `headwater runs list` says how they end", counted(len(runs), "run"))
			}
			return failed
		}),
	}
	cmd.Flags().StringVar(&replaces, "replaces", "", "id of the load that the file replaces")
	cmd.Flags().BoolVar(&wait, "wait", false, "wait until the runs that the loads queued have ended and the online store holds what they wrote")
	cmd.Flags().StringVar(&format, "format", "", "format of the files: "+tabular.FormatNames()+" (default: by extension)")
	return cmd
}

// askSource asks the server what rows of a source are.
func (in *ingestion) askSource(ctx context.Context) error {
	d, err := in.client.Registry.GetDefinition(ctx, &headwaterv1.GetDefinitionRequest{
		Kind: headwaterv1.DefinitionKind_DEFINITION_KIND_SOURCE, Name: in.source,
	})
	if err != nil {
		return err
	}
	sources := d.GetDefinition().GetSources()
	if len(sources) != 1 {
		return fault.New(fault.Internal, "the server described source %s by %s, expected one", in.source, counted(len(sources), "source"))
	}
	source := sources[0]
	for _, c := range source.Columns {
		t, err := feature.ParseType(c.Type)
		if err != nil {
			return fault.New(fault.Unimplemented, "column %s of source %s: %s; this client is older than the server", c.Name, in.source, err)
		}
		in.columns = append(in.columns, feature.Column{Name: c.Name, Type: t})
	}
	// Else the server sets such rows aside, or leaves them out.
	if source.NullEventTime == "" || source.NullEventTime == feature.RefuseNull.String() {
		in.notNull = append([]string{source.EventTime}, source.UniqueKey...)
	}
	in.leaveOut = source.SchemaChanges == "ignore_new_columns"
	in.foreign = source.GetPostgres() != nil
	return nil
}

// ingestion is one command's loads.
type ingestion struct {
	*app
	client   *client.Client
	source   string
	format   tabular.Format
	columns  []feature.Column
	notNull  []string
	replaces int64
	// leaveOut says that columns of files which the source does not have are left out.
	leaveOut bool
	// foreign says that others keep the rows, so that the server takes none.
	foreign bool
}

func (in *ingestion) load(ctx context.Context, path string) (*headwaterv1.IngestResponse, error) {
	file, err := tabular.Open(path, in.in, in.format)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	header := &headwaterv1.IngestHeader{FileName: file.Name, FileSize: file.Size, FileSha256: file.SHA256.String(), Replaces: in.replaces}
	if in.foreign {
		// The server says so, whatever is in the file.
		none := func(func(arrow.RecordBatch, error) bool) {}
		return in.client.Ingest(ctx, in.source, header, client.Rows{Schema: tabular.ArrowSchema(in.columns), Batches: none})
	}
	if in.leaveOut {
		file.LeaveOut = true
		if header.IgnoredColumns, err = file.Others(in.columns); err != nil {
			return nil, err
		}
	}
	rows, err := file.Read(in.columns, in.notNull...)
	if err != nil {
		return nil, err
	}
	bar := in.progress("ingest " + file.Name)
	defer bar.clear()
	r, err := in.client.Ingest(ctx, in.source, header, client.Rows{Schema: rows.Schema(), Batches: watched(rows, bar)})
	if err != nil {
		return nil, err
	}
	bar.clear()
	if ignored := r.GetLoad().GetIgnoredColumns(); len(ignored) > 0 {
		in.notef("%s: left out, as source %s has no such columns: %s", file.Path, in.source, strings.Join(ignored, ", "))
	}
	for _, reason := range r.GetReasons() {
		in.notef("%s: %s %s: %s", file.Path, counted(int(reason.GetRows()), "row"), reason.GetBucket(), reason.GetReason())
	}
	return r, nil
}

// awaitRuns waits for runs, shows them, and says why one did not end well.
func (a *app) awaitRuns(ctx context.Context, c *client.Client, ids []int64) error {
	var ended []*headwaterv1.Run
	for _, id := range ids {
		run, err := a.watch(ctx, c, &headwaterv1.Run{Id: id})
		if err != nil {
			return err
		}
		ended = append(ended, run)
		a.notef("run %s: %s", runName(run), enumName(run.State, "RUN_STATE_"))
	}
	return failureOf(ended)
}

func newLoads(a *app) *cobra.Command {
	list := &cobra.Command{
		Use: "list SOURCE", Short: "List the loads of a source", Args: takes(1, 1, "SOURCE"),
		RunE: a.called(func(cmd *cobra.Command, c *client.Client, args []string) error {
			loads, err := c.Loads.ListLoads(cmd.Context(), &headwaterv1.ListLoadsRequest{Source: args[0]})
			if err != nil {
				return err
			}
			return a.print(loads, loadTable(loads.Loads))
		}),
	}
	show := &cobra.Command{
		Use: "show LOAD", Short: "Show one load", Args: takes(1, 1, "LOAD"),
		RunE: a.document(func(cmd *cobra.Command, c *client.Client, args []string) error {
			id, err := loadID(args[0])
			if err != nil {
				return err
			}
			r, err := c.Loads.GetLoad(cmd.Context(), &headwaterv1.GetLoadRequest{Id: id})
			if err != nil {
				return err
			}
			return a.printDocument(r, loadFacts(r.GetLoad()), batchFacts(r.GetBatches()))
		}),
	}
	var reason string
	retract := &cobra.Command{
		Use: "retract LOAD --reason R", Short: "Withdraw a load; later runs withdraw what came from it", Args: takes(1, 1, "LOAD --reason R"),
		RunE: a.document(func(cmd *cobra.Command, c *client.Client, args []string) error {
			if err := require(cmd, "reason"); err != nil {
				return err
			}
			id, err := loadID(args[0])
			if err != nil {
				return err
			}
			r, err := c.Loads.RetractLoad(cmd.Context(), &headwaterv1.RetractLoadRequest{Id: id, Reason: reason})
			if err != nil {
				return err
			}
			return a.printDocument(r, loadFacts(r.GetLoad()))
		}),
	}
	retract.Flags().StringVar(&reason, "reason", "", "why, kept with the retraction")
	return group("loads", "Loads of sources", list, show, retract)
}

// loadID reads `12` or `load:12`.
func loadID(s string) (int64, error) {
	id, err := strconv.ParseInt(strings.TrimPrefix(s, "load:"), 10, 64)
	if err != nil || id <= 0 {
		return 0, usagef("found load %q, expected its id, a number above 0; see `headwater loads list SOURCE`", s)
	}
	return id, nil
}

func loadTable(loads []*headwaterv1.Load) table {
	t := table{header: []string{"LOAD#", "SOURCE", "NUMBER#", "STATE", "FILE", "ROWS#", "SET ASIDE#", "LEFT OUT#", "SHA256", "FROM", "TO", "COMMITTED AT"}}
	for _, l := range loads {
		t.add(number(l.Id), l.Source, number(l.Number), loadState(l), l.FileName, number(l.Rows), number(l.Quarantined), number(l.Dropped), short(l.FileSha256),
			moment(l.EventTimeMin), moment(l.EventTimeMax), moment(l.CommittedAt))
	}
	return t
}

func loadState(l *headwaterv1.Load) string {
	state := enumName(l.State, "LOAD_STATE_")
	if l.ReplacedBy != 0 {
		state += " by " + number(l.ReplacedBy)
	}
	return state
}

func loadFacts(l *headwaterv1.Load) section {
	var s section
	s.add("load", number(l.GetId()))
	s.add("source", l.GetSource())
	s.add("number", number(l.GetNumber()))
	s.add("state", loadState(l))
	switch {
	case l.GetBatches() > 0:
		s.add("rows", number(l.Rows))
	case l.GetFileName() != "":
		s.add("file", l.FileName)
		s.add("size", counted(l.FileSize, "byte"))
		s.add("sha256", none(l.FileSha256))
		s.add("rows", number(l.Rows))
	}
	if l.GetErased() > 0 {
		s.add("erased", counted(int(l.Erased), "row")+" of these")
	}
	if l.GetEventTimeMin() != nil {
		s.add("event times", instant(l.EventTimeMin)+" to "+instant(l.EventTimeMax))
	}
	for _, r := range l.GetReasons() {
		s.add(r.GetBucket(), counted(int(r.GetRows()), "row")+": "+r.GetReason())
	}
	if l.GetRowsDigest() != "" {
		s.add("rows digest", l.RowsDigest)
	}
	if l.GetBatches() > 0 {
		s.add("batches", number(int64(l.Batches)))
	}
	if len(l.GetIgnoredColumns()) > 0 {
		s.add("left out", strings.Join(l.IgnoredColumns, ", "))
	}
	if l.GetReplaces() != 0 {
		ends := "replaces"
		if l.State == headwaterv1.LoadState_LOAD_STATE_RETRACTION {
			ends = "retracts"
		}
		s.add(ends, "load "+number(l.Replaces))
	}
	if l.GetRetractReason() != "" {
		s.add("reason", l.RetractReason)
	}
	s.add("committed", moment(l.GetCommittedAt())+" by "+l.GetPrincipal())
	return s
}

// batchFacts are the batches of a load, by their keys.
func batchFacts(batches []*headwaterv1.BatchResult) section {
	s := section{title: "batches", table: table{header: []string{"KEY", "ROWS#"}}}
	for _, b := range batches {
		s.table.add(b.GetIdempotencyKey(), number(b.GetRows()))
	}
	return s
}

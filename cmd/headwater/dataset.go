package main

import (
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/spf13/cobra"

	"github.com/headwaterhq/headwater/client"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/tabular"
)

func newDataset(a *app) *cobra.Command {
	return group("dataset", "Point-in-time training datasets",
		newDatasetBuild(a), newDatasetList(a), newDatasetShow(a), newDatasetFetch(a), newDatasetVerify(a), newDatasetDiff(a), newDatasetRelease(a),
		newDatasetApprove(a), newDatasetDelete(a))
}

func newDatasetBuild(a *app) *cobra.Command {
	var service, spine, out, format, mapping, knowledge string
	var joins []string
	var reads spineFlags
	header := &headwaterv1.BuildDatasetHeader{}
	cmd := &cobra.Command{
		Use: "build (--service S | --feature VIEW.FEATURE --name NAME) (--spine FILE | --spine-sql SELECT | --spine-events SOURCE) --out FILE", Short: "Join a spine to features, each row as of its own time",
		Long: `Sends a spine (rows of join keys and a timestamp, with labels or any other columns), and writes it back with one column
VIEW__FEATURE for each feature: the value that was the newest one known at the row's timestamp. There is one row for each of
the spine's, in its order. The server keeps the spine and a manifest, so the dataset can be had again.

The server reads the spine itself where its rows are in a source: with --spine-sql 'SELECT …' --spine-source SOURCE, or with
--spine-events SOURCE --from T --to T, one row for each event.

Features are those of a service, or are listed by --feature. With --join the views of an entity are read once for each of
several columns: with --join home_:airport=home_airport --join away_:airport=away_airport each feature of views of airports is
two columns, home_VIEW__FEATURE and away_VIEW__FEATURE.

Rows are left out only where rules ask for it, and the manifest counts by which: the first that matches, in the order given.

A dataset of which a gate does not hold is built and held: its manifest is printed, no file is written, and the exit status is 5.
headwater dataset show says what is missing.`,
		Args: takesNone,
		RunE: a.document(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			switch {
			case len(header.Features) == 0:
				if err := require(cmd, "service", "out"); err != nil {
					return err
				}
			case service != "":
				return usagef("found --service and --feature, expected one of the two")
			default:
				if err := require(cmd, "name", "out"); err != nil {
					return err
				}
			}
			if err := reads.fill(cmd, header); err != nil {
				return err
			}
			if _, err := tabular.FormatOf(out); err != nil {
				return err
			}
			var err error
			if header.KeyMapping, err = parseMapping(mapping); err != nil {
				return err
			}
			switch knowledge {
			case "arrival":
			case "event":
				header.Knowledge = headwaterv1.KnowledgeMode_KNOWLEDGE_MODE_EVENT
			default:
				return usagef("found --knowledge %q, expected arrival or event", knowledge)
			}
			if header.Joins, err = parseJoins(joins); err != nil {
				return err
			}
			form, err := tabular.ParseFormat(format)
			if err != nil {
				return err
			}
			return a.buildDataset(cmd.Context(), c, spineFile{spine, form}, service, header, out)
		}),
	}
	flags := cmd.Flags()
	flags.StringVar(&service, "service", "", "the service whose features to join, NAME or NAME@VERSION")
	flags.StringSliceVar(&header.Features, "feature", nil, "instead of a service: VIEW.FEATURE or VIEW@VERSION.FEATURE, or a view for all of its features; "+
		"several by commas, or again")
	flags.StringVar(&spine, "spine", "", "file of entity keys, timestamps and any other columns; - is standard input")
	reads.add(cmd)
	flags.StringVar(&format, "format", "", "format of the spine: "+tabular.FormatNames()+" (default: by extension)")
	flags.StringVar(&out, "out", "", "file to write: .parquet, .csv, .ndjson, .arrow or .arrows")
	flags.StringVar(&header.Name, "name", "", "name of the dataset (default: the service's; required with --feature)")
	flags.StringVar(&header.AsOf, "as-of", "", "state of the data: pos:17, run:VIEW@2/5 or a time (default: the newest)")
	flags.StringVar(&header.Purpose, "purpose", "", "why, kept with the dataset")
	addUseFlag(cmd, &header.Use)
	flags.StringVar(&header.TimestampColumn, "timestamp", "timestamp", "the spine's column that says for when; with --spine-events that source's event time, if not given")
	flags.StringVar(&knowledge, "knowledge", "arrival", "what a row may know: arrival, what was available at its time; or event, what was true by then, "+
		"whenever it arrived: values may leak from the future")
	flags.BoolVar(&header.AllowPartial, "allow-partial", false, "also rows of times that no run of a view covers; the manifest counts them")
	flags.BoolVar(&header.WithStatuses, "with-statuses", false, "a column NAME__status behind each feature: PRESENT, NULL, NO_ROW and so on")
	addLeaveOutFlags(flags, header)
	flags.StringVar(&mapping, "key-mapping", "", "join keys that the spine calls otherwise, KEY=COLUMN[,KEY2=COLUMN2]")
	flags.StringArrayVar(&joins, "join", nil, "views to read by other columns, under a prefix: PREFIX:KEY=COLUMN[,KEY2=COLUMN2][@VIEW,VIEW2]; again for more")
	return cmd
}

func (a *app) buildDataset(
	ctx context.Context, c *client.Client, spine spineFile, service string, header *headwaterv1.BuildDatasetHeader, out string,
) error {
	sent, expected := client.Rows{}, func() int64 { return 0 }
	bar := a.progress("spine")
	defer bar.clear()
	if header.GetSpine() == nil {
		file, rows, err := spine.open(ctx, a, c, service, header)
		if err != nil {
			return err
		}
		defer file.Close()
		sent, expected = client.Rows{Schema: rows.Schema(), Batches: watched(rows, bar)}, rows.Rows
	}
	output, err := tabular.Create(out)
	if err != nil {
		return err
	}
	defer output.Abort()
	dataset, err := c.BuildDataset(ctx, service, header, sent)
	if err != nil {
		return spineFault(err)
	}
	defer dataset.Close()
	bar.clear()
	manifest, err := a.receive(dataset, output, out, expected())
	if held := dataset.Held(); held != nil {
		// There is a dataset, and no file.
		return errors.Join(a.printDocument(&headwaterv1.GetDatasetResponse{Manifest: held}, manifestSections(held)...), err)
	}
	if err != nil {
		return err
	}
	a.warnOf(manifest)
	return a.printDocument(&headwaterv1.GetDatasetResponse{Manifest: manifest}, manifestSections(manifest)...)
}

// warnOf notes what a reader of a dataset must not miss.
func (a *app) warnOf(m *headwaterv1.Manifest) {
	if m.GetMayLeak() {
		a.notef("WARNING: dataset %s@%d MAY LEAK: rows have values that arrived after their times, which no model has when it serves (knowledge event)",
			m.GetName(), m.GetVersion())
	}
	for _, p := range m.GetPartial() {
		a.notef("WARNING: no run of view %s@%d covers %s of the spine, from %s to %s: values may be missing that a later run has",
			p.GetView(), p.GetViewVersion(), counted(p.GetRows(), "row"), instant(p.GetFirst()), instant(p.GetLast()))
	}
}

// receive writes a dataset to a file and gives the file its name when all of it is there.
func (a *app) receive(dataset *client.Dataset, output *tabular.Output, path string, rows int64) (*headwaterv1.Manifest, error) {
	format, err := tabular.FormatOf(path)
	if err != nil {
		return nil, err
	}
	bar := a.progress("dataset")
	defer bar.clear()
	if format == tabular.FormatArrowStream {
		// The very bytes that the manifest's arrow_sha256 is of.
		_, err = io.Copy(output, dataset)
	} else {
		err = transcode(dataset, output, format, func(n int64) {
			share := -1.0
			if rows > 0 {
				share = float64(n) / float64(rows)
			}
			bar.show(share, counted(n, "row"))
		})
	}
	if cause := dataset.Err(); cause != nil {
		return nil, cause
	}
	if err != nil {
		return nil, err
	}
	manifest, err := dataset.Manifest()
	if err != nil {
		return nil, err
	}
	if err := output.Commit(); err != nil {
		a.notef("dataset %s was made; get it with `headwater dataset fetch %[1]s --out FILE`", manifest.Id)
		return nil, err
	}
	return manifest, nil
}

func transcode(dataset *client.Dataset, output io.Writer, format tabular.Format, progress func(rows int64)) error {
	r, err := ipc.NewReader(dataset)
	if err != nil {
		return badStream(err)
	}
	w, err := tabular.NewWriter(output, format, r.Schema())
	if err != nil {
		return err
	}
	for rows := int64(0); ; {
		batch, err := r.Read()
		if err == io.EOF {
			return w.Close()
		}
		if err != nil {
			return badStream(err)
		}
		if err := w.Write(batch); err != nil {
			return err
		}
		rows += batch.NumRows()
		progress(rows)
	}
}

func badStream(err error) error {
	return fault.New(fault.Internal, "the server sent something else than an Arrow stream; see the server's log").Because(err)
}

func newDatasetFetch(a *app) *cobra.Command {
	var out, purpose, use string
	var acceptErased bool
	cmd := &cobra.Command{
		Use: "fetch ID --out FILE", Short: "Get a dataset again, by its id or NAME@VERSION: the same rows, whatever changed since", Args: takes(1, 1, "ID --out FILE"),
		RunE: a.document(func(cmd *cobra.Command, c *client.Client, args []string) error {
			if err := require(cmd, "out"); err != nil {
				return err
			}
			if _, err := tabular.FormatOf(out); err != nil {
				return err
			}
			output, err := tabular.Create(out)
			if err != nil {
				return err
			}
			defer output.Abort()
			dataset, err := c.FetchDataset(cmd.Context(), &headwaterv1.FetchDatasetRequest{
				Dataset: datasetID(args[0]), AcceptErased: acceptErased, Purpose: purpose, Use: use,
			})
			if err != nil {
				return err
			}
			defer dataset.Close()
			manifest, err := a.receive(dataset, output, out, 0)
			if err != nil {
				return err
			}
			a.warnOf(manifest)
			return a.printDocument(&headwaterv1.GetDatasetResponse{Manifest: manifest}, manifestSections(manifest)...)
		}),
	}
	cmd.Flags().StringVar(&out, "out", "", "file to write: .parquet, .csv, .ndjson, .arrow or .arrows")
	cmd.Flags().BoolVar(&acceptErased, "accept-erased", false, "of a dataset that an erasure touched, take what is left of it")
	addPurposeFlag(cmd, &purpose)
	addUseFlag(cmd, &use)
	return cmd
}

// addUseFlag adds the flag of what a dataset is used for.
func addUseFlag(cmd *cobra.Command, use *string) {
	cmd.Flags().StringVar(use, "use", "training", "what it is used for, which licences may ask: training, or export where it goes to others")
}

func datasetID(s string) string { return strings.TrimPrefix(s, "dataset:") }

// addPurposeFlag adds the flag of what a dataset is wanted for when it is had again.
func addPurposeFlag(cmd *cobra.Command, purpose *string) {
	cmd.Flags().StringVar(purpose, "purpose", "", "what it is wanted for now, where a policy asks")
}

func newDatasetVerify(a *app) *cobra.Command {
	var purpose string
	cmd := &cobra.Command{
		Use: "verify ID", Short: "Compute a dataset (id or NAME@VERSION) again and compare digests; exit status 5 when they differ", Args: takes(1, 1, "ID"),
		RunE: a.called(func(cmd *cobra.Command, c *client.Client, args []string) error {
			r, err := c.Datasets.VerifyDataset(cmd.Context(), &headwaterv1.VerifyDatasetRequest{Dataset: datasetID(args[0]), Purpose: purpose})
			if err != nil {
				return err
			}
			m := r.GetManifest()
			t := table{header: []string{"DATASET", "DIGEST", "EXPECTED", "FOUND", "SAME"}}
			compare := func(what, expected, found string) {
				same := "yes"
				if expected != found {
					same = "no"
				}
				t.add(m.GetId(), what, expected, found, same)
			}
			content := m.GetContentDigest()
			if n := len(m.GetErasures()); n > 0 {
				content = m.GetErasures()[n-1].GetNewDigest()
			}
			compare("content", content, r.FoundContentDigest)
			if len(m.GetErasures()) == 0 {
				compare("arrow", m.GetArrowSha256(), r.FoundArrowSha256)
			}
			if err := a.print(r, t); err != nil {
				return err
			}
			if r.Verdict == headwaterv1.DatasetVerdict_DATASET_VERDICT_ERASED {
				a.notef("dataset %s is ERASED: it is what an erasure left of it, as `headwater dataset show %[1]s` says", m.GetId())
				return nil
			}
			if r.Same {
				return nil
			}
			return fault.New(fault.DigestMismatch, "dataset %s is not the same any more\n  %s", m.GetId(),
				first(strings.Join(r.Differences, "\n  "), "the server did not say what differs"))
		}),
	}
	addPurposeFlag(cmd, &purpose)
	return cmd
}

func newDatasetList(a *app) *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use: "list", Short: "List datasets, newest first", Args: takesNone,
		RunE: a.called(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			list, err := c.Datasets.ListDatasets(cmd.Context(), &headwaterv1.ListDatasetsRequest{Name: name})
			if err != nil {
				return err
			}
			t := table{header: []string{"ID", "DATASET", "STATE", "SERVICE", "POSITION#", "ROWS#", "DIGEST", "CREATED AT", "CREATED BY"}}
			for _, m := range list.Datasets {
				t.add(m.Id, m.Name+"@"+number(m.Version), stateText(m), servedBy(m),
					number(m.Position), number(m.Rows), short(m.ContentDigest), moment(m.CreatedAt), m.Principal)
			}
			return a.print(list, t)
		}),
	}
	cmd.Flags().StringVar(&name, "name", "", "datasets of this name only")
	return cmd
}

func newDatasetShow(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "show ID", Short: "Show the manifest of a dataset, by its id or NAME@VERSION", Args: takes(1, 1, "ID"),
		RunE: a.document(func(cmd *cobra.Command, c *client.Client, args []string) error {
			r, err := c.Datasets.GetDataset(cmd.Context(), &headwaterv1.GetDatasetRequest{Dataset: datasetID(args[0])})
			if err != nil {
				return err
			}
			a.warnOf(r.GetManifest())
			return a.printDocument(r, manifestSections(r.GetManifest())...)
		}),
	}
}

// stateText is a dataset's state, and what to mind of it.
func stateText(m *headwaterv1.Manifest) string {
	state := enumName(m.State, "DATASET_STATE_")
	if m.GetState() == headwaterv1.DatasetState_DATASET_STATE_BUILT {
		state += ", HELD"
	}
	if m.GetMayLeak() {
		state += ", MAY LEAK"
	}
	return state
}

// taggedColumn is the column of a dataset that has a tag, if one does.
func taggedColumn(t *headwaterv1.CarriedTag) string {
	if t.GetColumn() == "" {
		return ""
	}
	return "in column " + t.GetColumn() + " "
}

// servedBy is what a dataset's features are of: a service, or views.
func servedBy(m *headwaterv1.Manifest) string {
	if m.GetService() != "" {
		return m.GetService() + "@" + number(m.GetServiceVersion())
	}
	return counted(int64(len(m.GetFeatures())), "feature")
}

func joinText(j *headwaterv1.DatasetJoin) string {
	var keys []string
	for _, key := range slices.Sorted(maps.Keys(j.GetKeyMapping())) {
		keys = append(keys, key+" is column "+j.KeyMapping[key])
	}
	return strings.TrimSpace(strings.Join(keys, ", ") + " for views " + strings.Join(j.GetViews(), ", "))
}

func manifestSections(m *headwaterv1.Manifest) []section {
	var facts section
	facts.add("id", m.GetId())
	facts.add("dataset", m.GetName()+"@"+number(m.GetVersion()))
	facts.add("state", enumName(m.GetState(), "DATASET_STATE_"))
	if m.GetHeld() != "" {
		facts.add("held", m.GetHeld())
	}
	if m.GetReleasedBy() != "" {
		facts.add("released", moment(m.GetReleasedAt())+" by "+m.GetReleasedBy())
	}
	for _, t := range m.GetCarriedTags() {
		facts.add("tag "+t.GetTag(), taggedColumn(t)+"from "+strings.Join(t.GetFrom(), ", "))
	}
	if m.GetService() != "" {
		facts.add("service", servedBy(m))
	} else {
		facts.add("features", number(len(m.GetFeatures())))
	}
	if m.GetDeletedBy() != "" {
		facts.add("deleted", moment(m.GetDeletedAt())+" by "+m.GetDeletedBy())
	}
	facts.add("position", number(m.GetPosition()))
	facts.add("rows", number(m.GetRows()))
	if m.GetMayLeak() {
		facts.add("knowledge", "event: VALUES MAY LEAK FROM THE FUTURE")
	}
	resultFacts(&facts, m)
	facts.add("timestamp", m.GetTimestampColumn())
	if o := m.GetSpineOrigin(); o != nil {
		facts.add("spine", originText(o))
		if o.GetSql() != "" {
			facts.add("spine sql", strings.Join(strings.Fields(o.Sql), " "))
		}
	}
	for _, key := range slices.Sorted(maps.Keys(m.GetKeyMapping())) {
		facts.add("key "+key, "column "+m.KeyMapping[key])
	}
	for _, j := range m.GetJoins() {
		facts.add("join "+j.Prefix, joinText(j))
	}
	for _, e := range m.GetErasures() {
		facts.add("erased", erasedText(e))
	}
	if m.GetPurpose() != "" {
		facts.add("purpose", m.Purpose)
	}
	if m.GetUse() != "" {
		facts.add("use", m.Use)
	}
	facts.add("spine digest", m.GetSpineDigest())
	facts.add("content digest", m.GetContentDigest())
	facts.add("arrow sha256", m.GetArrowSha256()+" ("+m.GetArrowWriter()+")")
	facts.add("created", moment(m.GetCreatedAt())+" by "+m.GetPrincipal()+", server "+m.GetServerVersion())
	madeFacts(&facts, m)

	views := section{title: "views", table: table{header: []string{"VIEW", "RUN#", "COVERS", "FINGERPRINT", "VALUES OF RUNS"}}}
	for _, v := range m.GetViews() {
		views.add(v.View+"@"+number(v.Version), number(v.Seq), span(v.CoveredFrom, v.CoveredTo), short(v.Fingerprint), runsText(v.Runs))
	}
	partial := section{title: "not covered", table: table{header: []string{"VIEW", "ROWS#", "FIRST", "LAST"}}}
	for _, p := range m.GetPartial() {
		partial.add(p.GetView()+"@"+number(p.GetViewVersion()), number(p.GetRows()), instant(p.GetFirst()), instant(p.GetLast()))
	}
	columns := section{title: "columns", table: table{header: []string{"COLUMN", "TYPE", "ORIGIN", "NULLS#", "STATUSES"}}}
	for _, c := range m.GetColumns() {
		var statuses []string
		for _, s := range c.Statuses {
			statuses = append(statuses, number(s.Rows)+" "+strings.TrimPrefix(s.Status.String(), "VALUE_STATUS_"))
		}
		columns.add(c.Name, columnType(c), c.Origin, number(c.Nulls), strings.Join(statuses, ", "))
	}
	sections := []section{facts, views}
	if len(m.GetGates()) > 0 {
		sections = append(sections, gatesSection(m.GetGates()))
	}
	if s := spineLeftOut(m); len(s.table.rows) > 0 {
		sections = append(sections, s)
	}
	if len(m.GetPartial()) > 0 {
		sections = append(sections, partial)
	}
	return append(append(sections, columns), resultSections(m)...)
}

// columnType is a column's type as definitions write it; an older server sends it without parameters.
func columnType(c *headwaterv1.ManifestColumn) string {
	return first(c.GetTypeName(), enumName(c.Type, "VALUE_TYPE_"))
}

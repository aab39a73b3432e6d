package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/spf13/cobra"

	"github.com/headwaterhq/headwater/client"
	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/tabular"
	"github.com/headwaterhq/headwater/internal/wire"
)

func newPredictions(a *app) *cobra.Command {
	var model, format string
	log := &cobra.Command{
		Use: "log FILE --model M", Short: "Log what a model predicted, from a file; - is standard input", Args: takes(1, 1, "FILE --model M"),
		Long: `Logs predictions, one for each row. The file has the columns id and time; prediction, score or both; and read_id, with row where a read was of
several entities, or the join keys of the service that the model reads. A prediction is known by its id: the same file again changes nothing.`,
		RunE: a.document(func(cmd *cobra.Command, c *client.Client, args []string) error {
			if err := require(cmd, "model"); err != nil {
				return err
			}
			f, err := openFeedback(a, args[0], format)
			if err != nil {
				return err
			}
			defer f.Close()
			all, err := f.predictions(cmd.Context(), c, model)
			if err != nil {
				return err
			}
			r, err := c.LogPredictions(cmd.Context(), model, all)
			if err != nil {
				return f.explain(err, r.GetLogged()+r.GetDuplicates()+r.GetErased(), len(all))
			}
			var facts section
			facts.add("logged", number(r.GetLogged()))
			facts.add("here already", number(r.GetDuplicates()))
			facts.add("outcomes that waited for them", number(r.GetJoined()))
			facts.add("without their read", number(r.GetWithoutRead()))
			if r.GetErased() > 0 {
				facts.add("of what was erased, not kept", number(r.GetErased()))
			}
			return a.printDocument(r, facts)
		}),
	}
	log.Flags().StringVar(&model, "model", "", "the model that predicted, NAME or NAME@VERSION")
	log.Flags().StringVar(&format, "format", "", "format of the file: "+tabular.FormatNames()+" (default: by extension)")
	return group("predictions", "What models predicted", log)
}

func newOutcomes(a *app) *cobra.Command {
	var model, format string
	report := &cobra.Command{
		Use: "report FILE --model M", Short: "Report what became of predictions, from a file; - is standard input", Args: takes(1, 1, "FILE --model M"),
		Long: `Reports outcomes, one for each row. The file has the columns id, which is that of the prediction, and actual; and time, when it was known, unless that is now.
They may come late, again, and in any order: of two outcomes of a prediction the one that was known later counts. One whose prediction is not here is
parked until it is. An empty actual takes back what was reported.`,
		RunE: a.document(func(cmd *cobra.Command, c *client.Client, args []string) error {
			if err := require(cmd, "model"); err != nil {
				return err
			}
			f, err := openFeedback(a, args[0], format)
			if err != nil {
				return err
			}
			defer f.Close()
			all, err := f.outcomes()
			if err != nil {
				return err
			}
			r, err := c.ReportOutcomes(cmd.Context(), model, all)
			if err != nil {
				return f.explain(err, r.GetRecorded()+r.GetRevised()+r.GetDuplicates()+r.GetOutdated()+r.GetErased(), len(all))
			}
			var facts section
			facts.add("recorded", number(r.GetRecorded()))
			facts.add("revised", number(r.GetRevised()))
			facts.add("known already", number(r.GetDuplicates()))
			facts.add("outdated", number(r.GetOutdated()))
			facts.add("parked until their predictions come", number(r.GetParked()))
			if r.GetErased() > 0 {
				facts.add("of what was erased, not kept", number(r.GetErased()))
			}
			return a.printDocument(r, facts)
		}),
	}
	report.Flags().StringVar(&model, "model", "", "the model whose predictions they are of")
	report.Flags().StringVar(&format, "format", "", "format of the file: "+tabular.FormatNames()+" (default: by extension)")
	return group("outcomes", "What became of predictions", report)
}

// feedbackFile is a file of predictions or outcomes.
type feedbackFile struct {
	*tabular.File
	app   *app
	names []string
}

func openFeedback(a *app, path, format string) (*feedbackFile, error) {
	form, err := tabular.ParseFormat(format)
	if err != nil {
		return nil, err
	}
	file, err := tabular.Open(path, a.in, form)
	if err != nil {
		return nil, err
	}
	f := &feedbackFile{File: file, app: a}
	if f.names, err = file.Others(nil); err != nil {
		file.Close()
		return nil, err
	}
	return f, nil
}

func (f *feedbackFile) has(name string) bool { return slices.Contains(f.names, name) }

// explain says how far a file was sent.
func (f *feedbackFile) explain(err error, sent int64, all int) error {
	if sent > 0 {
		f.app.notef("%s: %d of %d rows were kept before the one that failed; the file may be sent again", f.Path, sent, all)
	}
	return err
}

// each reads the rows as columns of which some have a type, by name. nil is NULL.
func (f *feedbackFile) each(typed []feature.Column, do func(row map[string]*headwaterv1.Value) error) error {
	columns, err := f.Columns(typed)
	if err != nil {
		return err
	}
	rows, err := f.Read(columns)
	if err != nil {
		return err
	}
	n := 0
	for batch, err := range rows.Batches() {
		if err != nil {
			return err
		}
		for i := range int(batch.NumRows()) {
			n++
			row := map[string]*headwaterv1.Value{}
			for c := range columns {
				v, err := feedbackValue(batch.Column(c), i)
				if err != nil {
					return f.bad(n, "column %s: %v", columns[c].Name, err)
				}
				row[columns[c].Name] = v
			}
			if row["id"].GetStringValue() == "" {
				return f.bad(n, "column id: found nothing, expected the id of a prediction")
			}
			if err := do(row); err != nil {
				return err
			}
		}
	}
	return nil
}

func feedbackValue(a arrow.Array, i int) (*headwaterv1.Value, error) {
	v, err := tabular.ValueAt(a, i)
	if err != nil || v.IsNull() {
		return nil, err
	}
	return wire.ToValue(v.Clone()), nil
}

func (f *feedbackFile) bad(row int, format string, args ...any) error {
	return fault.New(fault.InvalidRows, "%s: row %d, %s", f.Path, row, fmt.Sprintf(format, args...))
}

// typed are those of some columns that the file has, and those that it must have.
func (f *feedbackFile) typed(must []feature.Column, may ...feature.Column) []feature.Column {
	for _, c := range may {
		if f.has(c.Name) {
			must = append(must, c)
		}
	}
	return must
}

func (f *feedbackFile) predictions(ctx context.Context, c *client.Client, model string) (all []*headwaterv1.Prediction, err error) {
	typed := f.typed([]feature.Column{{Name: "id", Type: feature.TypeString}, {Name: "time", Type: feature.TypeTimestamp}},
		feature.Column{Name: "score", Type: feature.TypeFloat64}, feature.Column{Name: "read_id", Type: feature.TypeString}, feature.Column{Name: "row", Type: feature.TypeInt64})
	own := []string{"id", "time", "prediction", "score", "read_id", "row"}
	var keys []string
	for _, name := range f.names {
		if !slices.Contains(own, name) {
			keys = append(keys, name)
		}
	}
	if len(keys) > 0 {
		typed = f.typed(typed, modelKeys(ctx, c, model)...)
	}
	err = f.each(typed, func(row map[string]*headwaterv1.Value) error {
		p := &headwaterv1.Prediction{
			Id: row["id"].GetStringValue(), Time: row["time"].GetTimestampValue(), ReadId: row["read_id"].GetStringValue(), Row: int32(row["row"].GetInt64Value()),
			Prediction: row["prediction"],
		}
		if s := row["score"]; s != nil {
			score := s.GetFloat64Value()
			p.Score = &score
		}
		if p.Time == nil {
			return f.bad(len(all)+1, "column time: found nothing, expected when the prediction was made")
		}
		if p.ReadId == "" && len(keys) > 0 {
			p.Keys = map[string]*headwaterv1.Value{}
			for _, name := range keys {
				if p.Keys[name] = row[name]; row[name] == nil {
					p.Keys[name] = &headwaterv1.Value{}
				}
			}
		}
		all = append(all, p)
		return nil
	})
	return all, err
}

// modelKeys are the join keys of what a model reads with their types, none where the caller may not know of them: values then say of what type they are.
func modelKeys(ctx context.Context, c *client.Client, model string) []feature.Column {
	m, err := c.Lineage.GetModel(ctx, &headwaterv1.GetModelRequest{Model: model})
	if err != nil || m.GetModel().GetService() == "" {
		return nil
	}
	keys, _, _, err := askedColumns(ctx, c, &headwaterv1.GetFeaturesRequest{Service: m.GetModel().GetService()})
	if err != nil {
		return nil
	}
	return keys
}

func (f *feedbackFile) outcomes() (all []*headwaterv1.Outcome, err error) {
	if !f.has("actual") {
		return nil, fault.New(fault.InvalidRows, "%s: found no column actual, expected what became of each prediction in it", f.Path)
	}
	for _, name := range f.names {
		if !slices.Contains([]string{"id", "actual", "time"}, name) {
			return nil, fault.New(fault.InvalidRows, "%s: found column %s, expected only id, actual and time; take it out of the file", f.Path, name)
		}
	}
	typed := f.typed([]feature.Column{{Name: "id", Type: feature.TypeString}}, feature.Column{Name: "time", Type: feature.TypeTimestamp})
	err = f.each(typed, func(row map[string]*headwaterv1.Value) error {
		o := &headwaterv1.Outcome{Id: row["id"].GetStringValue(), Actual: row["actual"]}
		if o.Actual == nil {
			o.Actual = &headwaterv1.Value{}
		}
		if t := row["time"]; t != nil {
			o.Time = t.GetTimestampValue()
		}
		all = append(all, o)
		return nil
	})
	return all, err
}

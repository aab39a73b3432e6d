package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/headwaterhq/headwater/access"
	"github.com/headwaterhq/headwater/dataset"
	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/quality"
	"github.com/headwaterhq/headwater/quality/bias"
	"github.com/headwaterhq/headwater/read"
	"github.com/headwaterhq/headwater/registry"
)

// biasService tells how outcomes differ between groups of people.
type biasService struct {
	headwaterv1.UnimplementedBiasServiceServer
	registry *registry.Registry
	pool     *pgxpool.Pool
	datasets *datasetService
}

// ReportBias makes a report for who may have the dataset, and may read the attributes beside it.
func (s *biasService) ReportBias(ctx context.Context, req *headwaterv1.ReportBiasRequest) (*headwaterv1.ReportBiasResponse, error) {
	m, plan, err := s.datasets.permittedDataset(ctx, req.GetDataset())
	if err != nil {
		return nil, err
	}
	if m.Digest() == "" {
		return nil, fault.New(fault.FailedPrecondition, "dataset %s: an erasure left nothing of it that is known, so nothing is told of it", m.Ref())
	}
	asked, err := s.ask(ctx, m, plan, req.GetQuestion())
	if err != nil {
		return nil, err
	}
	if err := s.datasets.builder.Examine(ctx, m, plan, asked.beside, asked); err != nil {
		return nil, asked.refusal(err)
	}
	found := &quality.BiasFindings{SpineSetAside: spineSetAside(m)}
	if err := s.addSetAside(ctx, m, asked, found); err != nil {
		return nil, err
	}
	report, err := asked.collector.Report()
	if err != nil {
		return nil, asked.refusal(err)
	}
	found.Report = *report
	if err := asked.favoured(report); err != nil {
		return nil, err
	}
	kept := &quality.BiasReport{Dataset: m.ID, Digest: m.Digest(), Question: asked.kept, Findings: found, Principal: access.PrincipalFrom(ctx).Name}
	if err := s.keep(ctx, m, kept); err != nil {
		return nil, err
	}
	return &headwaterv1.ReportBiasResponse{Report: biasMessage(kept, m)}, nil
}

// keep keeps a report on a dataset of which no erasure took rows while it was made: one that did has taken what was found before, and would not take this.
func (s *biasService) keep(ctx context.Context, m *dataset.Manifest, r *quality.BiasReport) error {
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		var now dataset.Manifest
		if err := tx.QueryRow(ctx, `SELECT manifest FROM headwater.dataset WHERE id = $1 FOR SHARE`, r.Dataset).Scan(&now); err != nil {
			if errors.Is(err, pgx.ErrNoRows) {
				return dataset.Missing(r.Dataset)
			}
			return err
		}
		if err := now.CheckKept(); err != nil {
			return err
		}
		if now.Digest() != r.Digest {
			return fault.New(fault.FailedPrecondition, "dataset %s: an erasure took rows out of it while the report was made, so it is not kept; ask for it again", m.Ref())
		}
		return quality.KeepBiasReport(ctx, tx, r)
	})
	if err != nil {
		return database.Fault(err)
	}
	return nil
}

// GetBiasReport shows what may be had with the dataset. What was set aside is shown to who may read all that it was of.
func (s *biasService) GetBiasReport(ctx context.Context, req *headwaterv1.GetBiasReportRequest) (*headwaterv1.GetBiasReportResponse, error) {
	r, err := quality.FindBiasReport(ctx, s.pool, req.GetId())
	if err != nil {
		return nil, err
	}
	none := fault.New(fault.NotFound, "there is no report %q; `headwater bias list` shows those there are", shorten(req.GetId(), maxShownName))
	if r == nil {
		return nil, missingDataset(ctx, none)
	}
	m, _, err := s.datasets.permittedDataset(ctx, r.Dataset)
	if err != nil {
		return nil, err
	}
	for _, view := range r.Question.Views {
		if err := access.RequireRows(ctx, access.KindView, view); err != nil {
			return nil, err
		}
	}
	if f := r.Findings; f != nil && slices.ContainsFunc(f.SetAsideOf, func(of quality.BiasSetAside) bool { return !seesSetAside(ctx, of) }) {
		r.Findings = f.WithoutSetAside()
	}
	if n := len(m.Erasures); n > 0 && r.Findings != nil && r.Digest != m.Digest() {
		// What was found is of rows that an erasure took.
		r.Findings, r.Erased = nil, &m.Erasures[n-1].Time
	}
	return &headwaterv1.GetBiasReportResponse{Report: biasMessage(r, m)}, nil
}

// defaultBiasReports is how many reports a page has unless it is said.
const defaultBiasReports = 100

// ListBiasReports lists what was asked, and not what was found, of datasets that the caller may list. Values of groups are found, and columns are told of where their view may be listed.
func (s *biasService) ListBiasReports(ctx context.Context, req *headwaterv1.ListBiasReportsRequest) (*headwaterv1.ListBiasReportsResponse, error) {
	resp := &headwaterv1.ListBiasReportsResponse{}
	behind, err := biasKey(req.GetPageToken())
	if err != nil {
		return nil, err
	}
	of := map[string]*dataset.Manifest{}
	if ref := req.GetDataset(); ref != "" {
		m, err := dataset.Find(ctx, s.pool, ref)
		if err != nil {
			return nil, missing(ctx, access.ActionList, access.KindDataset, err)
		}
		if err := requireOr(ctx, access.ActionList, access.KindDataset, m.Name, dataset.Missing(ref)); err != nil {
			return nil, err
		}
		of[m.ID] = m
	} else {
		all, err := dataset.List(ctx, s.pool, "")
		if err != nil {
			return nil, err
		}
		shown, err := access.Filter(ctx, access.ActionList, access.KindDataset, all, func(m *dataset.Manifest) string { return m.Name })
		if err != nil {
			return nil, err
		}
		for _, m := range shown {
			of[m.ID] = m
		}
	}
	limit := cmp.Or(int(req.GetPageSize()), defaultBiasReports)
	reports, err := quality.BiasReports(ctx, s.pool, slices.Collect(maps.Keys(of)), behind, limit+1)
	if err != nil {
		return nil, database.Fault(err)
	}
	for i, r := range reports {
		if i == limit {
			last := reports[i-1]
			resp.NextPageToken = fmt.Sprintf("%d %s", last.At.UnixMicro(), last.ID)
			break
		}
		withheld := withholdColumns(ctx, &r.Question)
		shown := biasMessage(r, of[r.Dataset])
		shown.ColumnsWithheld = withheld
		resp.Reports = append(resp.Reports, shown)
	}
	return resp, nil
}

// biasKey is that of a page token, nil for none.
func biasKey(token string) (*quality.BiasKey, error) {
	if token == "" {
		return nil, nil
	}
	micros, id, ok := strings.Cut(token, " ")
	at, err := strconv.ParseInt(micros, 10, 64)
	if err != nil || !ok || id == "" {
		return nil, fault.New(fault.InvalidArgument, "page_token: found %q, expected the next_page_token of the page before", shorten(token, maxShownName))
	}
	return &quality.BiasKey{At: time.UnixMicro(at), ID: id}, nil
}

// withholdColumns takes values out of a question, and columns of views that the caller may not list; it reports whether there were such.
func withholdColumns(ctx context.Context, q *quality.BiasQuestion) (withheld bool) {
	q.References = nil
	hidden := func(column string) bool {
		return slices.ContainsFunc(q.Views, func(view string) bool {
			return strings.HasPrefix(column, view+".") && !access.Allows(ctx, access.ActionList, access.KindView, view)
		})
	}
	by := len(q.By)
	q.By = slices.DeleteFunc(q.By, hidden)
	withheld = len(q.By) < by
	if hidden(q.Label) {
		q.Label, q.Favourable, withheld = "", "", true
	}
	for _, column := range []*string{&q.Prediction, &q.Stratify} {
		if hidden(*column) {
			*column, withheld = "", true
		}
	}
	if q.Prediction == "" {
		q.Threshold = nil
	}
	return withheld
}

// spineSetAside is how many rows of sources were quarantined when the spine was read.
func spineSetAside(m *dataset.Manifest) (rows int64) {
	if m.SpineOrigin == nil {
		return 0
	}
	for i := range m.SpineOrigin.Sources {
		for _, of := range m.SpineOrigin.Sources[i].LeftOut {
			if of.Bucket == "quarantined" {
				rows += of.Rows
			}
		}
	}
	return rows
}

func seesSetAside(ctx context.Context, of quality.BiasSetAside) bool {
	kind, name := subjectResource(of.View, of.Subject)
	return access.AllowsRows(ctx, kind, name)
}

// addSetAside counts the rows that are quarantined at the sequences that the dataset reads, unless some of them are not for the caller.
func (s *biasService) addSetAside(ctx context.Context, m *dataset.Manifest, asked *biasQuestion, found *quality.BiasFindings) error {
	var names []string
	for _, name := range asked.kept.By {
		names = append(names, name[strings.LastIndex(name, ".")+1:])
	}
	attributes := make([]feature.Value, len(names))
	for i := range m.Views {
		v := &m.Views[i]
		view, err := s.registry.Catalog().PastView(fmt.Sprintf("%s@%d", v.View, v.Version))
		if err != nil {
			return err
		}
		err = quality.SetAsideBy(ctx, s.pool, view.ID, v.Seq, names, func(subject string, values []*string, rows int64) error {
			of := quality.BiasSetAside{View: v.View, Subject: subject}
			if !seesSetAside(ctx, of) {
				found.SetAsideWithheld = true
				return nil
			}
			if !slices.Contains(found.SetAsideOf, of) {
				found.SetAsideOf = append(found.SetAsideOf, of)
			}
			for k, text := range values {
				attributes[k] = feature.Null()
				if text != nil {
					// What is no value of the type is none.
					attributes[k], _ = groupValue(*text, asked.types[k])
				}
			}
			asked.collector.AddSetAside(attributes, rows)
			return nil
		})
		if err != nil {
			return err
		}
	}
	if found.SetAsideWithheld {
		found.SetAsideOf = nil
		asked.collector.WithoutSetAside()
	}
	return nil
}

// groupValue is the value of a type that outcomes and groups have, of its text.
func groupValue(text string, t feature.Type) (feature.Value, error) {
	switch t {
	case feature.TypeString:
		return feature.String(text), nil
	case feature.TypeBool:
		if text == "true" || text == "false" {
			return feature.Bool(text == "true"), nil
		}
	case feature.TypeInt64:
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return feature.Int64(n), nil
		}
	case feature.TypeFloat64:
		if f, err := strconv.ParseFloat(text, 64); err == nil && !math.IsNaN(f) && !math.IsInf(f, 0) {
			return feature.Float64(f), nil
		}
	}
	return feature.Null(), fmt.Errorf("found %q, expected a %s", shorten(text, maxShownName), t)
}

// biasQuestion is a question about a dataset, with where in its rows the columns are. It takes the rows.
type biasQuestion struct {
	kept      quality.BiasQuestion
	collector *bias.Collector
	beside    []dataset.Beside
	// types are those of the attributes.
	types []feature.Type
	// attributes, columns and the others are positions in rows; -1: there is none.
	attributes                 []int
	label, prediction, stratum int
	columns                    []int
	row                        bias.Row
}

func (q *biasQuestion) Row(values []feature.Value) error {
	for i, at := range q.attributes {
		q.row.Attributes[i] = values[at]
	}
	q.row.Label = values[q.label]
	if q.prediction >= 0 {
		q.row.Prediction = values[q.prediction]
	}
	if q.stratum >= 0 {
		q.row.Stratum = values[q.stratum]
	}
	for i, at := range q.columns {
		q.row.Columns[i] = values[at]
	}
	return q.collector.Add(&q.row)
}

func (q *biasQuestion) LeftOut(values []feature.Value) error {
	for i, at := range q.attributes {
		q.row.Attributes[i] = values[at]
	}
	return q.collector.AddLeftOut(q.row.Attributes)
}

// refusal is what is told of an error of the rows.
func (q *biasQuestion) refusal(err error) error {
	var many *bias.TooMany
	var reference *bias.UnknownReference
	switch {
	case errors.As(err, &many):
		field := "by"
		if many.Strata {
			field = "stratify"
		}
		return badQuestion(field, "%s; leave it out, or bring its values to fewer in the spine", many)
	case errors.As(err, &reference):
		return badQuestion("references", "%s", reference)
	}
	return err
}

// favoured refuses an outcome that no row has: what is written otherwise than in the data would look like an outcome that nobody has.
func (q *biasQuestion) favoured(r *bias.Report) error {
	var known, favourable int64
	for i := range r.Groupings[0].Groups {
		known += r.Groupings[0].Groups[i].Label.Known
		favourable += r.Groupings[0].Groups[i].Label.Favourable
	}
	if known == 0 || favourable > 0 {
		return nil
	}
	return badQuestion("favourable", "found no row with %s = %s, expected one of its values: %s", q.kept.Label, shorten(q.kept.Favourable, maxShownName),
		strings.Join(q.collector.Outcomes(), ", "))
}

func badQuestion(field, format string, args ...any) error {
	description := fmt.Sprintf(format, args...)
	return fault.New(fault.InvalidArgument, "%s: %s", field, description).Violating(fault.Violation{Field: "question." + field, Description: description})
}

// ask finds the columns of a question, of those that the caller may read.
func (s *biasService) ask(ctx context.Context, m *dataset.Manifest, plan *read.Plan, asked *headwaterv1.BiasQuestion) (*biasQuestion, error) {
	q := &biasQuestion{label: -1, prediction: -1, stratum: -1, kept: quality.BiasQuestion{
		Label: asked.GetLabel(), Favourable: asked.GetFavourable(), By: asked.GetBy(), Intersections: asked.GetIntersections(), Prediction: asked.GetPrediction(),
		Threshold: asked.Threshold, Stratify: asked.GetStratify(), References: asked.GetReferences(),
	}}
	used := map[string]string{}
	column := func(field, name string) (int, feature.Type, error) {
		if other, ok := used[name]; ok {
			return 0, 0, badQuestion(field, "found %s, which is %s already, expected another column", shorten(name, maxShownName), other)
		}
		used[name] = field
		return s.column(ctx, m, q, field, name)
	}
	labelAt, labelType, err := column("label", asked.GetLabel())
	if err != nil {
		return nil, err
	}
	q.label = labelAt
	favourable, err := groupValue(asked.GetFavourable(), labelType)
	if err != nil {
		if !bias.CanGroup(labelType) && labelType != feature.TypeFloat64 {
			return nil, badQuestion("label", "column %s: found %s, expected bool, int64, float64 or string", asked.GetLabel(), labelType)
		}
		return nil, badQuestion("favourable", "%s, the type of %s", err, asked.GetLabel())
	}
	for _, name := range asked.GetBy() {
		at, t, err := column("by", name)
		if err != nil {
			return nil, err
		}
		if !bias.CanGroup(t) {
			return nil, badQuestion("by", "column %s: found %s, expected bool, int64 or string", name, t)
		}
		q.attributes, q.types = append(q.attributes, at), append(q.types, t)
	}
	if name := asked.GetPrediction(); name != "" {
		at, t, err := column("prediction", name)
		if err != nil {
			return nil, err
		}
		switch numeric := t == feature.TypeInt64 || t == feature.TypeFloat64; {
		case asked.Threshold != nil && !numeric:
			return nil, badQuestion("prediction", "column %s: found %s with a threshold, expected int64 or float64", name, t)
		case asked.Threshold == nil && t != labelType:
			return nil, badQuestion("prediction", "column %s: found %s, expected %s, the type of %s; of scores say the threshold from which on they are favourable", name, t, labelType, asked.GetLabel())
		}
		q.prediction = at
	} else if asked.Threshold != nil {
		return nil, badQuestion("threshold", "found one without a prediction, expected none")
	}
	if name := asked.GetStratify(); name != "" {
		at, t, err := column("stratify", name)
		if err != nil {
			return nil, err
		}
		if !bias.CanGroup(t) {
			return nil, badQuestion("stratify", "column %s: found %s, expected bool, int64 or string", name, t)
		}
		q.stratum = at
	}
	for _, name := range slices.Sorted(maps.Keys(asked.GetReferences())) {
		if !slices.Contains(asked.GetBy(), name) {
			return nil, badQuestion("references", "found %s, expected one of %s", shorten(name, maxShownName), strings.Join(asked.GetBy(), ", "))
		}
	}
	question := bias.Question{
		Attributes: asked.GetBy(), Intersections: asked.GetIntersections(), References: asked.GetReferences(), Label: asked.GetLabel(), Favourable: asked.GetFavourable(),
		Prediction: asked.GetPrediction(), Threshold: asked.Threshold, Stratum: asked.GetStratify(),
	}
	for i := range m.Columns {
		c := &m.Columns[i]
		isInput := slices.ContainsFunc(plan.Inputs, func(in feature.Column) bool { return c.Origin == "spine" && in.Name == c.Name })
		if _, ok := used[c.Name]; ok || !isInput && !strings.HasPrefix(c.Origin, "feature:") {
			continue
		}
		t, err := feature.ParseType(c.Type)
		if err != nil {
			return nil, err
		}
		question.Columns, q.columns = append(question.Columns, feature.Column{Name: c.Name, Type: t}), append(q.columns, i)
	}
	q.row.Attributes, q.row.Columns = make([]feature.Value, len(q.attributes)), make([]feature.Value, len(q.columns))
	q.collector, err = bias.New(question, favourable)
	return q, err
}

// column is where a column is in the rows of a question, and its type: one of the dataset, or one that a view stores.
func (s *biasService) column(ctx context.Context, m *dataset.Manifest, q *biasQuestion, field, name string) (int, feature.Type, error) {
	var names []string
	for i := range m.Columns {
		c := &m.Columns[i]
		if strings.HasPrefix(c.Origin, "status:") {
			continue
		}
		if c.Name == name {
			t, err := feature.ParseType(c.Type)
			return i, t, err
		}
		names = append(names, c.Name)
	}
	view, of, ok := strings.Cut(name, ".")
	if !ok {
		return 0, 0, badQuestion(field, "found no column %s in dataset %s, expected one of %s, or VIEW.COLUMN for one that a view stores", shorten(name, maxShownName), m.Ref(), strings.Join(names, ", "))
	}
	if err := access.RequireRows(ctx, access.KindView, view); err != nil {
		return 0, 0, err
	}
	ref := view
	for i := range m.Views {
		if m.Views[i].View == view {
			ref = fmt.Sprintf("%s@%d", view, m.Views[i].Version)
		}
	}
	version, err := s.registry.Catalog().PastView(ref)
	if err != nil {
		return 0, 0, err
	}
	if version.OnDemand != nil {
		return 0, 0, badQuestion(field, "view %s: its features are computed on demand, so it stores no column; ask for them in the dataset", version.Ref())
	}
	stored := version.Stored()
	slot := slices.IndexFunc(stored, func(c feature.Column) bool { return c.Name == of })
	if slot < 0 {
		var there []string
		for _, c := range stored {
			there = append(there, c.Name)
		}
		return 0, 0, badQuestion(field, "found no column %s in view %s, expected one of %s", shorten(of, maxShownName), version.Ref(), strings.Join(there, ", "))
	}
	shown := access.Shown{Kind: access.KindView, Ref: version.Ref(), Rows: m.Rows, Features: []string{version.Ref() + "." + of}, Dataset: m.ID}
	columns := map[string]bool{}
	version.SourceColumns(of, columns)
	shown.SourceColumns = slices.Sorted(maps.Keys(columns))
	if err := access.SessionFrom(ctx).Show(&shown); err != nil {
		return 0, 0, err
	}
	if !slices.Contains(q.kept.Views, view) {
		q.kept.Views = append(q.kept.Views, view)
	}
	q.beside = append(q.beside, dataset.Beside{Version: version, Slot: slot, KeyColumns: read.KeyColumns(version, m.KeyMapping, nil)})
	return len(m.Columns) + len(q.beside) - 1, stored[slot].Type, nil
}

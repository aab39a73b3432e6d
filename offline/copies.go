package offline

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/offline/analysis"
)

// Copies says of each output column of a view version from which columns of its sources and views values are taken as they are: it
// has Postgres analyse the SQL anew, and so needs nothing that was kept. Leaves tx as it was.
func Copies(ctx context.Context, tx pgx.Tx, v *feature.ViewVersion) (map[string]feature.CopiedColumn, error) {
	if v.Aggregation != nil {
		return aggregationCopies(v), nil
	}
	if v.SQL == nil {
		return nil, nil
	}
	sp, err := tx.Begin(ctx)
	if err != nil {
		return nil, err
	}
	found, err := copiesOf(ctx, sp, v)
	return found, errors.Join(err, sp.Rollback(context.WithoutCancel(ctx)))
}

func copiesOf(ctx context.Context, tx pgx.Tx, v *feature.ViewVersion) (map[string]feature.CopiedColumn, error) {
	in, err := emptyOutput(ctx, tx, v)
	if err != nil {
		return nil, err
	}
	return analysis.Copies(ctx, tx, in)
}

// emptyOutput makes a view of the SQL over empty inputs, to be analysed.
func emptyOutput(ctx context.Context, tx pgx.Tx, v *feature.ViewVersion) (in analysis.Input, err error) {
	if err := pinSession(ctx, tx); err != nil {
		return in, err
	}
	if err := limitAnalysis(ctx, tx); err != nil {
		return in, err
	}
	if err := createEmptyInputs(ctx, tx, v); err != nil {
		return in, err
	}
	statement, err := outputStatement(v, Span{Start: 0, End: 1})
	if err != nil {
		return in, err
	}
	if err := createOutputView(ctx, tx, v, Span{Start: 0, End: 1}); err != nil {
		return in, err
	}
	return analysis.Input{Statement: *statement, Relations: inputRelations(v)}, nil
}

// aggregationCopies is what Copies says of declared aggregations: those that give back one of the values of a window copy it.
func aggregationCopies(v *feature.ViewVersion) map[string]feature.CopiedColumn {
	a, src := v.Aggregation, v.SourceVersions[0]
	found := map[string]feature.CopiedColumn{}
	from := func(column string) feature.CopiedColumn {
		return feature.CopiedColumn{From: []feature.CopiedFrom{{Relation: src.Name, Column: column}}, Whole: true}
	}
	for _, k := range v.EntityVersion.JoinKeys {
		found[k.Name] = from(a.KeyColumn(k.Name))
	}
	for i := range a.Aggregates {
		switch g := &a.Aggregates[i]; g.Function {
		case feature.First, feature.Last, feature.Min, feature.Max:
			found[g.Feature] = from(g.Column)
		}
	}
	return found
}

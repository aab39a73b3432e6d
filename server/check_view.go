package server

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/expr"
	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/offline"
)

// checkView asks whatever a view is computed by whether it can be, and what its features are made of.
func checkView(ctx context.Context, tx pgx.Tx, v *feature.ViewVersion) (*feature.Analysis, error) {
	if v.OnDemand == nil {
		return offline.CheckView(ctx, tx, v)
	}
	compiled, problems := expr.CompileVersion(v)
	if len(problems) > 0 {
		f := fault.New(fault.InvalidDefinition, "found expressions of view %s that cannot be", v.Name)
		for _, p := range problems {
			f.Violating(fault.Violation{Field: p.Field, Description: p.Message, Line: p.Line, Column: p.Column})
		}
		return nil, f
	}
	return compiled.Analysis(v.Features), nil
}

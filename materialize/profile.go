package materialize

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/zeebo/xxh3"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/offline"
	"github.com/headwaterhq/headwater/quality"
	"github.com/headwaterhq/headwater/quality/profile"
)

// ProfileSpecs are what a profile of a view's output describes: its entities as one column, which is counted only, then its features and
// attributes. Completeness is counted by the first attributes that can be grouped by.
func ProfileSpecs(v *feature.ViewVersion) []profile.Spec {
	var keys []string
	for _, k := range v.EntityVersion.JoinKeys {
		keys = append(keys, k.Name)
	}
	specs := []profile.Spec{{Name: strings.Join(keys, ", "), Type: feature.TypeString, Key: true}}
	grouped := 0
	for i, c := range v.Stored() {
		spec := profile.Spec{Name: c.Name, Type: c.Type}
		if i >= len(v.Features) && profile.CanGroup(c.Type) && grouped < profile.MaxGroupColumns {
			spec.Group = true
			grouped++
		}
		specs = append(specs, spec)
	}
	return specs
}

// ProfileRow adds a row of a view's output, of which encoding is the canonical one, to a profile of ProfileSpecs. values is memory that is
// used again.
func ProfileRow(p *profile.Profile, r *feature.Row, encoding []byte, values []feature.Value) []feature.Value {
	values = append(append(values[:0], feature.String(r.Key)), r.Values...)
	p.Add(r.EventTime, xxh3.Hash(encoding), values)
	return values
}

// observing makes observers that describe the output of a view. nil: nobody wants to know.
func (rn *runner) observing(v *feature.ViewVersion) (func() *offline.Observer, error) {
	if rn.noProfiles {
		return nil, nil
	}
	specs := ProfileSpecs(v)
	if _, err := profile.New(specs); err != nil {
		return nil, fmt.Errorf("view %s: %w", v.Ref(), err)
	}
	return func() *offline.Observer {
		// Made of the same columns a moment ago.
		p, _ := profile.New(specs)
		var values []feature.Value
		return &offline.Observer{
			Row: func(r *feature.Row, encoding []byte) { values = ProfileRow(p, r, encoding, values) },
			End: func() ([]byte, error) { return quality.PackProfile(p) },
		}
	}, nil
}

// observed makes one profile of those of the parts of the output. A run of which a part was written without one has none.
func (r *Run) observed(v *feature.ViewVersion, parts ...[]byte) error {
	whole, err := profile.New(ProfileSpecs(v))
	if err != nil {
		return err
	}
	for _, part := range parts {
		if part == nil {
			return nil
		}
		p, err := quality.UnpackProfile(part)
		if err != nil {
			return err
		}
		if err := whole.Merge(p); err != nil {
			return err
		}
	}
	r.profile = whole
	return nil
}

// keepProfile keeps what the output is like, and forgets what its chunks were.
func (r *Run) keepProfile(ctx context.Context, tx pgx.Tx) error {
	if r.profile == nil {
		return nil
	}
	if _, err := tx.Exec(ctx, `UPDATE headwater.run_chunk SET profile = NULL WHERE run_id = $1 AND profile IS NOT NULL`, r.ID); err != nil {
		return err
	}
	return quality.KeepRunProfile(ctx, tx, r.ID, r.profile)
}

package lineage

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
)

// resolve finds the record that a node stands for, or returns a NOT_FOUND fault.
func (w *walker) resolve(ctx context.Context, ref NodeRef) (node, error) {
	switch ref.Kind {
	case Source:
		_, err := w.resolveDefinition(ctx, ref.Kind, ref.Name, 0)
		return node{kind: Source, name: ref.Name}, err
	case View, Service:
		d, err := w.resolveDefinition(ctx, ref.Kind, ref.Name, ref.Version)
		if err != nil {
			return node{}, err
		}
		return node{kind: ref.Kind, id: d.ID}, nil
	case Feature:
		view, err := w.resolveDefinition(ctx, View, ref.Name, ref.Version)
		if err != nil {
			return node{}, err
		}
		if view.feature(ref.Feature) == nil {
			return node{}, fault.New(fault.NotFound, "view %s has no feature %s%s; `headwater describe view %s` shows those it has",
				view.ref(), ref.Feature, nearest(ref.Feature, view.featureNames()), view.Name)
		}
		return node{kind: Feature, id: view.ID, name: ref.Feature}, nil
	case Load:
		id, err := resolveKey[int64](ctx, w.q, `SELECT id FROM headwater.load WHERE id = $1`, ref.LoadID)
		if errors.Is(err, pgx.ErrNoRows) {
			err = fault.New(fault.NotFound, "there is no load %d; `headwater loads list SOURCE` shows those there are", ref.LoadID)
		}
		return node{kind: Load, id: id}, err
	case Run:
		view, err := w.resolveDefinition(ctx, View, ref.Name, ref.Version)
		if err != nil {
			return node{}, err
		}
		id, err := resolveKey[int64](ctx, w.q, `SELECT id FROM headwater.run WHERE view_id = $1 AND seq = $2`, view.ID, ref.Seq)
		if errors.Is(err, pgx.ErrNoRows) {
			err = fault.New(fault.NotFound, "there is no run %s/%d; `headwater runs list --view %s` shows those there are",
				view.ref(), ref.Seq, view.Name)
		}
		return node{kind: Run, id: id}, err
	default:
		id, err := resolveKey[string](ctx, w.q, `SELECT id FROM headwater.dataset WHERE id = $1 OR name = $2 AND version = $3`,
			ref.DatasetID, ref.Name, ref.Version)
		if errors.Is(err, pgx.ErrNoRows) {
			err = fault.New(fault.NotFound, "there is no dataset %s; `headwater dataset list` shows those there are, by id and by "+
				"NAME@VERSION", strings.TrimPrefix(ref.String(), "dataset:"))
		}
		return node{kind: Dataset, name: id}, err
	}
}

func resolveKey[T any](ctx context.Context, q querier, sql string, args ...any) (key T, err error) {
	err = q.QueryRow(ctx, sql, args...).Scan(&key)
	return key, err
}

// resolveDefinition finds a version of a definition, the newest for version 0.
func (w *walker) resolveDefinition(ctx context.Context, kind NodeKind, name string, version int) (*definition, error) {
	found, err := w.selectDefinitions(ctx, `WHERE d.kind = $1 AND d.name = $2 AND ($3 = 0 OR d.version = $3)
		ORDER BY d.version DESC LIMIT 1`, kind.String(), name, version)
	if err != nil {
		return nil, err
	}
	if len(found) == 1 {
		return found[0], nil
	}
	var newest *int
	err = w.q.QueryRow(ctx, `SELECT max(version) FROM headwater.definition WHERE kind = $1 AND name = $2`,
		kind.String(), name).Scan(&newest)
	if err != nil {
		return nil, err
	}
	if newest != nil {
		return nil, fault.New(fault.NotFound, "there is no version %d of %s %s; the newest is %d", version, kind, name, *newest)
	}
	type row struct{ Name string }
	rows, err := collect[row](ctx, w.q, `SELECT DISTINCT name FROM headwater.definition WHERE kind = $1 ORDER BY name`, kind.String())
	if err != nil {
		return nil, err
	}
	var candidates []string
	for _, r := range rows {
		candidates = append(candidates, r.Name)
	}
	return nil, fault.New(fault.NotFound, "there is no %s %s%s; `headwater list %ss` shows those there are",
		kind, name, nearest(name, candidates), kind)
}

// nearest is what to add to a message about a name that nothing has.
func nearest(name string, candidates []string) string {
	if near, ok := feature.Nearest(name, candidates); ok {
		return fmt.Sprintf(", did you mean %s?", near)
	}
	return ""
}

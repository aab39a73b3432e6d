package lineage

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/internal/fault"
)

// NotFound is the fault of a node that does not exist. It says nothing of what does, neither near names nor other versions,
// so that whoever hides a node from a caller can answer with the same.
func NotFound(ref NodeRef) *fault.Fault {
	_, name, _ := strings.Cut(ref.String(), ":")
	var look string
	switch ref.Kind {
	case Source, View, Service:
		look = fmt.Sprintf("`headwater list %ss` shows those there are", ref.Kind)
	case Feature:
		look = fmt.Sprintf("`headwater describe view %s` shows those of the view", ref.Name)
	case Load:
		look = "`headwater loads list SOURCE` shows those of a source"
	case Run:
		look = fmt.Sprintf("`headwater runs list --view %s` shows those of the view", ref.Name)
	case Dataset:
		look = "`headwater dataset list` shows those there are, by id and by NAME@VERSION"
	}
	return fault.New(fault.NotFound, "there is no %s %s; %s", ref.Kind, name, look)
}

// resolve finds the record that a node stands for, or returns NotFound.
func (w *walker) resolve(ctx context.Context, ref NodeRef) (n node, err error) {
	n.kind = ref.Kind
	switch ref.Kind {
	case Source:
		n.name = ref.Name
		_, err = w.resolveDefinition(ctx, "source", ref)
	case View, Service:
		var d *definition
		if d, err = w.resolveDefinition(ctx, ref.Kind.String(), ref); err == nil {
			n.id = d.ID
		}
	case Feature:
		n.name = ref.Feature
		var view *definition
		if view, err = w.resolveDefinition(ctx, "view", ref); err == nil {
			n.id = view.ID
			if view.feature(ref.Feature) == nil {
				err = pgx.ErrNoRows
			}
		}
	case Load:
		err = w.q.QueryRow(ctx, `SELECT id FROM headwater.load WHERE id = $1`, ref.LoadID).Scan(&n.id)
	case Run:
		err = w.q.QueryRow(ctx, `
			SELECT r.id FROM headwater.run r JOIN headwater.definition d ON d.id = r.view_id
			WHERE d.kind = 'view' AND d.name = $1 AND d.version = $2 AND r.seq = $3`, ref.Name, ref.Version, ref.Seq).Scan(&n.id)
	case Dataset:
		err = w.q.QueryRow(ctx, `SELECT id FROM headwater.dataset WHERE id = $1 OR name = $2 AND version = $3`,
			ref.DatasetID, ref.Name, ref.Version).Scan(&n.name)
	}
	if errors.Is(err, pgx.ErrNoRows) {
		err = NotFound(ref)
	}
	return n, err
}

// resolveDefinition finds the version of a definition that ref names, the newest for 0.
func (w *walker) resolveDefinition(ctx context.Context, kind string, ref NodeRef) (*definition, error) {
	found, err := w.selectDefinitions(ctx, `WHERE d.kind = $1 AND d.name = $2 AND ($3 = 0 OR d.version = $3)
		ORDER BY d.version DESC LIMIT 1`, kind, ref.Name, ref.Version)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, pgx.ErrNoRows
	}
	return found[0], nil
}

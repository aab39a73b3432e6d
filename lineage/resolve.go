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
	case Source, View, Service, Consumer:
		look = fmt.Sprintf("`headwater list %ss` shows those there are", ref.Kind)
	case Feature:
		look = fmt.Sprintf("`headwater describe view %s` shows those of the view", ref.Name)
	case SourceColumn, ViewColumn:
		look = fmt.Sprintf("`headwater describe %s %s` shows those of the %[1]s", ref.Kind, ref.Name)
	case Load:
		look = "`headwater loads list SOURCE` shows those of a source"
	case Run:
		look = fmt.Sprintf("`headwater runs list --view %s` shows those of the view", ref.Name)
	case Model:
		look = "`headwater model list` shows those there are"
	case OutsideJob, OutsideTable:
		look = "`headwater lineage show source:NAME --up` shows what a source comes from"
	case Dataset:
		look = "`headwater dataset list` shows those there are, by id and by NAME@VERSION"
	case Prediction:
		look = "`headwater reads list` shows the reads that are kept, and `headwater trace --service S --entity k=v --at T` computes one that is not"
	case Predictions:
		look = "`headwater reads list` shows the reads that are kept"
	}
	what := ref.Kind.String()
	if ref.Column != "" {
		what = "column"
	}
	return fault.New(fault.NotFound, "there is no %s %s; %s", what, name, look)
}

// NotFoundAsOf is NotFound where the graph was asked for as of another time than now.
func NotFoundAsOf(ref NodeRef, asOf string) *fault.Fault {
	f := NotFound(ref)
	if asOf == "" {
		return f
	}
	message, _, _ := strings.Cut(f.Error(), ";")
	return fault.New(fault.NotFound, "%s as of %s; ask without --as-of, or for a later one", message, asOf)
}

// resolve finds the record that a node stands for, or returns NotFound.
func (w *walker) resolve(ctx context.Context, ref NodeRef) (n node, err error) {
	n.kind = ref.Kind
	switch ref.Kind {
	case Source:
		n.name = ref.Name
		_, err = w.resolveDefinition(ctx, "source", ref)
	case SourceColumn:
		n.name, n.column = ref.Name, ref.Column
		err = w.q.QueryRow(ctx, `
			SELECT FROM headwater.definition d JOIN headwater.definition_column c ON c.definition_id = d.id
			WHERE d.kind = 'source' AND d.name = $1 AND c.name = $2 AND d.applied_at < $3 LIMIT 1`, ref.Name, ref.Column, w.at.Before).Scan()
	case View, Service, Consumer:
		n.id, err = w.resolveDefinition(ctx, ref.Kind.String(), ref)
	case Feature:
		n, err = w.resolveColumn(ctx, ref, ref.Feature, "feature")
	case ViewColumn:
		n, err = w.resolveColumn(ctx, ref, ref.Column, "")
	case Load:
		err = w.q.QueryRow(ctx, `SELECT id FROM headwater.load WHERE id = $1 AND committed_at < $2`, ref.LoadID, w.at.Before).Scan(&n.id)
	case Run:
		err = w.q.QueryRow(ctx, `
			SELECT r.id FROM headwater.run r JOIN headwater.definition d ON d.id = r.view_id
			WHERE d.kind = 'view' AND d.name = $1 AND d.version = $2 AND r.seq = $3 AND coalesce(r.position <= $4, r.started_at < $5)`,
			ref.Name, ref.Version, ref.Seq, w.at.Position, w.at.Before).Scan(&n.id)
	case Dataset:
		err = w.q.QueryRow(ctx, `SELECT id FROM headwater.dataset WHERE (id = $1 OR name = $2 AND version = $3) AND created_at < $4`,
			ref.DatasetID, ref.Name, ref.Version, w.at.Before).Scan(&n.name)
	case Model:
		n.name = ref.Name
		err = w.q.QueryRow(ctx, `
			SELECT version FROM headwater.model WHERE name = $1 AND ($2 = 0 OR version = $2) AND registered_at < $3
			ORDER BY version DESC LIMIT 1`, ref.Name, ref.Version, w.at.Before).Scan(&n.id)
	case Prediction:
		n.name = ref.ReadID
		w.read, err = w.loggedRead(ctx, ref.ReadID)
	}
	if errors.Is(err, pgx.ErrNoRows) {
		err = NotFoundAsOf(ref, w.AsOf)
	}
	return n, err
}

// resolveDefinition finds the version of a definition that ref names, the newest for 0.
func (w *walker) resolveDefinition(ctx context.Context, kind string, ref NodeRef) (id int64, err error) {
	err = w.q.QueryRow(ctx, `
		SELECT d.id FROM headwater.definition d WHERE d.kind = $1 AND d.name = $2 AND ($3 = 0 OR d.version = $3) AND d.applied_at < $4
		ORDER BY d.version DESC LIMIT 1`, kind, ref.Name, ref.Version, w.at.Before).Scan(&id)
	return id, err
}

// resolveColumn finds a column of the view version that ref names, with a role, or with any. A feature is a column where columns are
// asked for.
func (w *walker) resolveColumn(ctx context.Context, ref NodeRef, name, role string) (n node, err error) {
	n = node{kind: ref.Kind, name: name}
	if w.Columns {
		n.kind = ViewColumn
	}
	if n.id, err = w.resolveDefinition(ctx, "view", ref); err != nil {
		return n, err
	}
	return n, w.q.QueryRow(ctx, `SELECT FROM headwater.definition_column WHERE definition_id = $1 AND name = $2 AND ($3 = '' OR role = $3)`,
		n.id, name, role).Scan()
}

package dataset

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/quality"
	"github.com/headwaterhq/headwater/quality/profile"
)

// A Requirement is what must hold before the rows of a dataset are given out. A dataset of which one does not hold is held: its build
// sends no rows, and it is not fetched before it is released.
//
// A build asks in its order all requirements that a Builder has, when the dataset is there whole and nothing of it was sent, and so does a release, in its
// transaction. A requirement looks at nothing but the manifest, the database and definitions: what it says of one dataset must not depend on who asks.
type Requirement struct {
	// Gate names it in manifests, approvals and messages: lower case, with _.
	Gate string
	// Look says what it finds of a dataset. nil: it asks nothing of this one.
	Look func(ctx context.Context, q database.Querier, m *Manifest) (*Finding, error)
	// MayApprove refuses an approval, by what there must be before somebody can look at it; it is asked in the approval's transaction. nil: no
	// approval opens the gate.
	MayApprove func(ctx context.Context, q database.Querier, m *Manifest) error
}

// Finding is what a requirement found of a dataset.
type Finding struct {
	Holds bool
	// Found is what there is: no value of a row.
	Found string
	// Remedy is what to do where it does not hold, but for an approval, which whoever tells of it adds.
	Remedy string
}

// LateView is a view that was older than it declares when a dataset is as of.
type LateView struct {
	// View is `NAME@VERSION`, and MaxAge how old it may be.
	View   string    `json:"view"`
	MaxAge string    `json:"max_age"`
	At     time.Time `json:"at"`
}

// Asks reports whether the service asked for a gate when the dataset was built.
func (m *Manifest) Asks(gate feature.Gate) bool { return slices.Contains(m.ReleaseGates, string(gate)) }

// Profile is what the dataset is like: as it is being built, or as it was kept. nil: nobody keeps it, or an erasure took it away.
func (m *Manifest) Profile(ctx context.Context, q database.Querier) (*profile.Profile, error) {
	if m.profile != nil {
		return m.profile, nil
	}
	kept, err := quality.DatasetProfile(ctx, q, m.ID)
	if err != nil || kept == nil {
		return nil, err
	}
	return kept.Profile, nil
}

// GateResult is what was found of a dataset at a gate, as its manifest keeps it.
type GateResult struct {
	Gate string `json:"gate"`
	// Holds says that it holds by itself or by the approval.
	Holds  bool   `json:"holds"`
	Found  string `json:"found"`
	Remedy string `json:"remedy,omitempty"`
	// Approval is the id of the one by which it holds. 0: it needs none, or has none.
	Approval int64 `json:"approval,omitempty"`
	// Approvable says that an approval can open it.
	Approvable bool `json:"approvable,omitempty"`
}

// ImpactTag is a tag by which a dataset is held until somebody has looked at its impact on people.
type ImpactTag struct {
	Tag string `json:"tag"`
	// Column of the dataset. Empty where a whole definition has the tag.
	Column string `json:"column,omitempty"`
	// From is where it is written: `source:NAME`, `source:NAME.COLUMN`, `view:NAME`, `view:NAME.FEATURE`, `entity:NAME.KEY`, `service:NAME`, `service:NAME.LABEL`.
	From []string `json:"from"`
}

// Approved finds the approval that opens a gate of a dataset, by the digest of what is in it. 0: there is none.
type Approved func(ctx context.Context, q database.Querier, m *Manifest, gate string) (int64, error)

// Require has datasets be held until all of the requirements hold, by themselves or by an approval. It is called before the Builder is
// used.
func (b *Builder) Require(approved Approved, requirements ...Requirement) {
	b.approved, b.requirements = approved, append(b.requirements, requirements...)
}

// Digest is that of what is in the dataset, hex: of what erasures left of it, where there were any. Approvals are by it.
func (m *Manifest) Digest() string {
	content, _ := m.left()
	return content
}

// Requirement finds one by its gate. nil: there is none.
func (b *Builder) Requirement(gate string) *Requirement {
	for i := range b.requirements {
		if b.requirements[i].Gate == gate {
			return &b.requirements[i]
		}
	}
	return nil
}

// Look asks all requirements about a dataset, and says what they find, in their order. Those that ask nothing of it are left out.
func (b *Builder) Look(ctx context.Context, q database.Querier, m *Manifest) ([]GateResult, error) {
	var results []GateResult
	for i := range b.requirements {
		r := &b.requirements[i]
		found, err := r.Look(ctx, q, m)
		if err != nil {
			return nil, err
		}
		if found == nil {
			continue
		}
		result := GateResult{Gate: r.Gate, Holds: found.Holds, Found: found.Found, Approvable: r.MayApprove != nil}
		if !found.Holds && r.MayApprove != nil {
			if result.Approval, err = b.approved(ctx, q, m, r.Gate); err != nil {
				return nil, err
			}
			result.Holds = result.Approval != 0
		}
		if !result.Holds {
			result.Remedy = found.Remedy
		}
		results = append(results, result)
	}
	return results, nil
}

// Hold reports whether all results hold.
func Hold(results []GateResult) bool {
	for i := range results {
		if !results[i].Holds {
			return false
		}
	}
	return true
}

// Release lets a held dataset be fetched, where all requirements hold now. Else refused makes the error of what was found. Of two at once one
// waits. record is called in the same transaction. One that is released already is returned as it is.
func (b *Builder) Release(ctx context.Context, id, principal string, refused func(context.Context, pgx.Tx, *Manifest, []GateResult) error,
	record func(context.Context, pgx.Tx, *Manifest) error) (*Manifest, error) {
	var m *Manifest
	err := pgx.BeginFunc(ctx, b.pool, func(tx pgx.Tx) error {
		var now time.Time
		err := tx.QueryRow(ctx, `SELECT manifest, clock_timestamp() FROM headwater.dataset WHERE id = $1 FOR UPDATE`, id).Scan(&m, &now)
		if errors.Is(err, pgx.ErrNoRows) {
			return Missing(id)
		}
		if err != nil {
			return err
		}
		if err := m.CheckKept(); err != nil || m.State == Released {
			return err
		}
		results, err := b.Look(ctx, tx, m)
		if err != nil {
			return err
		}
		if !Hold(results) {
			return refused(ctx, tx, m, results)
		}
		now = now.UTC()
		m.State, m.Gates, m.ReleasedAt, m.ReleasedBy = Released, results, &now, principal
		// What this version does not know of the manifest stays.
		_, err = tx.Exec(ctx, `UPDATE headwater.dataset SET state = $2, manifest = manifest || jsonb_build_object('state', $2::text, 'gates', $3::jsonb,
			'released_at', $4::text, 'released_by', $5::text) WHERE id = $1`, id, Released, results, now.Format(time.RFC3339Nano), principal)
		if err != nil {
			return err
		}
		return record(ctx, tx, m)
	})
	return m, err
}

// HoldAgain holds the datasets again that were released by an approval, which was withdrawn in the same transaction, and returns their ids. Those that
// were built released by it are among them.
func HoldAgain(ctx context.Context, tx pgx.Tx, approval int64) ([]string, error) {
	rows, err := tx.Query(ctx, `UPDATE headwater.dataset SET state = $2, manifest = (manifest || jsonb_build_object('state', $2::text)) - 'released_at' - 'released_by'
		WHERE state = $3 AND manifest->'gates' @> jsonb_build_array(jsonb_build_object('approval', $1::bigint)) RETURNING id`, approval, Built, Released)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// stillApproved holds a dataset that is about to be committed where an approval that it was sent by has been withdrawn since.
func (b *Builder) stillApproved(ctx context.Context, tx pgx.Tx, m *Manifest) (err error) {
	if m.State != Released || !slices.ContainsFunc(m.Gates, func(g GateResult) bool { return g.Approval != 0 }) {
		return nil
	}
	if m.Gates, err = b.Look(ctx, tx, m); err == nil && !Hold(m.Gates) {
		m.State = Built
	}
	return err
}

// heldFor is the gates for which a dataset is held, as it was built.
func (m *Manifest) heldFor() string {
	var gates []string
	for i := range m.Gates {
		if !m.Gates[i].Holds {
			gates = append(gates, m.Gates[i].Gate+": found "+m.Gates[i].Found)
		}
	}
	return strings.Join(gates, "; ")
}

func (m *Manifest) checkReleased() error {
	if m.State == Built {
		return fault.New(fault.GateRefused, "dataset %s (%s) is held, and its rows are not given out before it is released: %s; "+
			"`headwater dataset show %[1]s` says what is missing", m.ID, m.Ref(), m.heldFor())
	}
	return m.CheckKept()
}

// ReleasedBy reads the datasets of a name that are released and had a gate, newest first.
func ReleasedBy(ctx context.Context, q database.Querier, name, gate string) ([]*Manifest, error) {
	rows, err := q.Query(ctx, `SELECT manifest FROM headwater.dataset WHERE name = $1 AND state = $2 AND manifest->'gates' @> jsonb_build_array(jsonb_build_object('gate', $3::text))
		ORDER BY version DESC`, name, Released, gate)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (*Manifest, error) {
		var m Manifest
		err := row.Scan(&m)
		return &m, err
	})
}

// Reads reports whether it was built of a version of a view.
func (m *Manifest) Reads(v *feature.ViewVersion) bool {
	return slices.ContainsFunc(m.Views, func(of ManifestView) bool { return of.View == v.Name && of.Version == v.Version })
}

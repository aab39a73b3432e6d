package registry

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/definition"
	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/fault"
)

// Request is definitions to be planned or applied.
type Request struct {
	Files []*headwaterv1.DefinitionSource
	// Prune says that the files are all there is: what the registry has and they do not is removed. Retire, which needs
	// Prune, retires what would be removed and is still used; without it that is refused.
	Prune, Retire bool
	// MayEnd decides on removing or retiring a definition; its error ends the request. nil: all may.
	MayEnd func(kind feature.Kind, name string) error
	// MayLoosen decides on what could let somebody do or see more: a role that is made, changed, removed or revived, a policy that is
	// changed or removed, a view or a service that loses a gate, and a tag that is taken off or put on where rules go by it, whose kind is `tag`. Its error ends the request.
	// nil: all may.
	MayLoosen func(kind, name string) error
	// Shows says whether whoever asks may know of a definition or, by the kind `dataset`, of a dataset. What they may not
	// know of is left out of dependents. nil: all.
	Shows func(kind, name string) bool
}

// ApplyRequest is definitions to be applied.
type ApplyRequest struct {
	Request
	// ExpectedRevision is that of the plan. nil: whatever it is.
	ExpectedRevision *int64
	// Origin says where the definitions come from, such as a commit. Principal says who applies.
	Origin, Principal string
}

// Plan says what Apply would do with the files, and the revision it was found at. Nothing is changed, and no lock of the
// registry is taken.
//
// Definitions that cannot be are an INVALID_DEFINITION fault, or INVALID_SQL when all that is wrong is what Postgres says
// of the SQL. Its violations name fields of the whole list of definitions; see package definition. Removing what is still
// used is a FAILED_PRECONDITION fault, whose violations have nodes for fields.
func (r *Registry) Plan(ctx context.Context, request Request) ([]Change, int64, error) {
	d, origins, err := read(request.Files)
	if err != nil {
		return nil, 0, err
	}
	tx, err := r.pool.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead})
	if err != nil {
		return nil, 0, database.Fault(err)
	}
	defer tx.Rollback(context.WithoutCancel(ctx))
	p, err := r.propose(ctx, tx, d, origins, request)
	if err != nil {
		return nil, 0, database.Fault(err)
	}
	return p.list(), p.base.revision, nil
}

// Apply makes the registry hold the definitions, in one transaction, and returns what that changed and the revision after
// it. Definitions that are not in the files are left alone, unless they are pruned. Applying the same again changes nothing,
// the revision included. When it returns, Catalog shows the change.
//
// A registry that has moved past the expected revision is a STALE_PLAN fault, and gates on serving that do not hold are a *HeldError, of which Plan warns; other faults are those of Plan.
func (r *Registry) Apply(ctx context.Context, request ApplyRequest) ([]Change, int64, error) {
	d, origins, err := read(request.Files)
	if err != nil {
		return nil, 0, err
	}
	var p *proposal
	var catalog *Catalog
	var revision int64
	err = pgx.BeginFunc(ctx, r.pool, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, "SELECT revision FROM headwater.registry_head FOR UPDATE").Scan(&revision)
		if err != nil {
			return fmt.Errorf("lock the registry: %w", err)
		}
		if request.ExpectedRevision != nil && *request.ExpectedRevision != revision {
			return fault.New(fault.StalePlan, "the plan was made at revision %d of the registry, which is at %d now; plan again, and apply that",
				*request.ExpectedRevision, revision).With("revision", fmt.Sprint(revision))
		}
		if p, err = r.propose(ctx, tx, d, origins, request.Request); err != nil || len(p.changes) == 0 {
			return err
		}
		if len(p.holds) > 0 {
			return &HeldError{p.holds}
		}
		revision++
		if err := r.write(ctx, tx, p, revision, request); err != nil {
			return err
		}
		// What cannot be read back is not committed.
		catalog, err = readCatalog(ctx, tx)
		return err
	})
	if err != nil {
		return nil, 0, database.Fault(err)
	}
	if catalog != nil {
		r.replace(catalog)
	}
	return p.list(), revision, nil
}

// read turns files into definitions.
func read(files []*headwaterv1.DefinitionSource) (*feature.Definitions, *definition.Origins, error) {
	d, origins, violations := definition.FromProto(files)
	if len(violations) > 0 {
		return nil, nil, invalid(fault.InvalidDefinition, violations)
	}
	return &d, origins, nil
}

// maxViolations is how many violations are told at once: they travel in a header, whose size is limited on the way.
const maxViolations = 50

func invalid(reason fault.Reason, violations []fault.Violation) *fault.Fault {
	switch n := len(violations); {
	case n == 1:
		return fault.New(reason, "found 1 problem in the definitions").Violating(violations...)
	case n > maxViolations:
		return fault.New(reason, "found %d problems in the definitions; these are the first %d", n, maxViolations).
			Violating(violations[:maxViolations]...)
	default:
		return fault.New(reason, "found %d problems in the definitions", n).Violating(violations...)
	}
}

// propose finds what applying would change, and checks with the engines that it can be.
func (r *Registry) propose(ctx context.Context, tx pgx.Tx, d *feature.Definitions, origins *definition.Origins, request Request) (*proposal, error) {
	base, err := r.catalogIn(ctx, tx)
	if err != nil {
		return nil, fmt.Errorf("read the registry: %w", err)
	}
	p := propose(base, d, r.checksIn(ctx, tx))
	if p.err != nil {
		return nil, p.err
	}
	if request.Prune && len(p.problems)+len(p.violations) == 0 {
		datasets, err := r.datasets(ctx, tx)
		if err != nil {
			return nil, err
		}
		if err := p.prune(datasets, request); err != nil {
			return nil, err
		}
	}
	if err := p.loosen(request.MayLoosen); err != nil {
		return nil, err
	}
	if violations := append(definition.Violations(p.problems, origins), p.violations...); len(violations) > 0 {
		if len(p.problems) > 0 {
			p.reason = fault.InvalidDefinition
		}
		return nil, invalid(p.reason, violations)
	}
	if err := r.explain(ctx, tx, p, request); err != nil {
		return nil, err
	}
	return p, r.hold(ctx, tx, p)
}

// checksIn asks the engines in the transaction. What they make there is undone.
func (r *Registry) checksIn(ctx context.Context, tx pgx.Tx) (c checks) {
	if r.config.CheckSource != nil {
		c.source = func(s *feature.SourceVersion) error {
			return rolledBack(ctx, tx, func(tx pgx.Tx) error { return r.config.CheckSource(ctx, tx, s) })
		}
	}
	if r.config.CheckView != nil {
		c.view = func(v *feature.ViewVersion) (analysis *feature.Analysis, err error) {
			err = rolledBack(ctx, tx, func(tx pgx.Tx) error {
				analysis, err = r.config.CheckView(ctx, tx, v)
				return err
			})
			return analysis, err
		}
	}
	return c
}

// catalogIn is the catalog that the transaction sees, read anew only when the one at hand is of another revision.
func (r *Registry) catalogIn(ctx context.Context, tx pgx.Tx) (*Catalog, error) {
	revision, err := readRevision(ctx, tx)
	if err != nil {
		return nil, err
	}
	if c := r.catalog.Load(); c.revision == revision {
		return c, nil
	}
	return readCatalog(ctx, tx)
}

// rolledBack runs do behind a savepoint and goes back to it, so that neither what do makes nor an error of Postgres in it
// touches the transaction.
func rolledBack(ctx context.Context, tx pgx.Tx, do func(pgx.Tx) error) error {
	inner, err := tx.Begin(ctx)
	if err != nil {
		return err
	}
	err = do(inner)
	return errors.Join(err, inner.Rollback(ctx))
}

// write makes the changes, in order.
func (r *Registry) write(ctx context.Context, tx pgx.Tx, p *proposal, revision int64, request ApplyRequest) error {
	for _, c := range p.changes {
		if err := r.writeOne(ctx, tx, c, revision, request); err != nil {
			return fmt.Errorf("apply %s %s: %w", c.change.DefinitionKind, c.change.Name, err)
		}
	}
	if _, err := tx.Exec(ctx, "UPDATE headwater.registry_head SET revision = $1", revision); err != nil {
		return fmt.Errorf("count the change: %w", err)
	}
	// Delivered when the transaction commits, and only then.
	if _, err := tx.Exec(ctx, "SELECT pg_notify($1, $2)", channel, fmt.Sprint(revision)); err != nil {
		return fmt.Errorf("notify of the change: %w", err)
	}
	return nil
}

func (r *Registry) writeOne(ctx context.Context, tx pgx.Tx, c *proposed, revision int64, request ApplyRequest) error {
	if err := c.record(ctx, tx, revision, request.Principal, request.Origin); err != nil {
		return err
	}
	if err := c.tell(ctx, tx, revision); err != nil {
		return err
	}
	if c.rewritten {
		id, err := c.update(ctx, tx, revision)
		if err != nil {
			return err
		}
		return c.note(ctx, tx, id)
	}
	if !c.fresh {
		if c.change.DefinitionKind == feature.KindConsumer {
			return c.noteConsumer(ctx, tx)
		}
		return nil
	}
	id, err := c.insert(ctx, tx, revision, request.Principal, request.Origin)
	if err != nil {
		return err
	}
	if err := c.note(ctx, tx, id); err != nil {
		return err
	}
	switch {
	case c.source != nil && r.config.CreateSource != nil:
		return r.config.CreateSource(ctx, tx, c.oldSource, c.source)
	case c.view != nil:
		c.view.ID = id
		if !c.view.Materialized() {
			// It has no runs, and nothing is stored of it.
			return nil
		}
		if _, err := tx.Exec(ctx, "INSERT INTO headwater.view_state (view_id) VALUES ($1)", id); err != nil {
			return err
		}
		if r.config.CreateView != nil {
			return r.config.CreateView(ctx, tx, c.view)
		}
	}
	return nil
}

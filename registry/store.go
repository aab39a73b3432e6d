package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/headwaterhq/headwater/definition"
	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/outbox"
)

// channel carries the revision after each change.
const channel = "headwater_registry"

// resolution is headwater.definition.resolved: the versions that a definition's names stand for.
type resolution struct {
	Entity  int            `json:"entity,omitempty"`
	Sources map[string]int `json:"sources,omitempty"`
	Views   map[string]int `json:"views,omitempty"`
}

func readRevision(ctx context.Context, tx pgx.Tx) (int64, error) {
	var revision int64
	err := tx.QueryRow(ctx, "SELECT revision FROM headwater.registry_head").Scan(&revision)
	return revision, err
}

// readCatalog reads the registry whole. The transaction must see one state of it: by its isolation, or by the lock.
func readCatalog(ctx context.Context, tx pgx.Tx) (*Catalog, error) {
	revision, err := readRevision(ctx, tx)
	if err != nil {
		return nil, err
	}
	c := newCatalog(revision)
	// What a definition is resolved to is of a kind before its own or, for views over views, was there before it, and so has a
	// smaller id.
	rows, err := tx.Query(ctx, `
		SELECT id, kind, name, version, fingerprint, body, resolved, analysis, applied_at, applied_by, origin
		FROM headwater.definition ORDER BY array_position(ARRAY['entity', 'source', 'view', 'service', 'role'], kind), id`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var r stored
		err := rows.Scan(&r.id, &r.kind, &r.name, &r.version, &r.fingerprint, &r.body, &r.resolved, &r.analysis, &r.appliedAt,
			&r.appliedBy, &r.origin)
		if err != nil {
			return nil, err
		}
		if err := c.add(&r); err != nil {
			return nil, fmt.Errorf("headwater.definition %d (%s %s@%d): %w", r.id, r.kind, r.name, r.version, err)
		}
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	return c, c.readEnds(ctx, tx)
}

// stored is a row of headwater.definition.
type stored struct {
	id                int64
	kind, name        string
	version           int
	fingerprint       []byte
	body, resolved    []byte
	analysis          []byte
	appliedAt         time.Time
	appliedBy, origin string
}

func (c *Catalog) add(r *stored) error {
	file := &headwaterv1.DefinitionFile{}
	if err := protojson.Unmarshal(r.body, file); err != nil {
		return err
	}
	var to resolution
	if err := json.Unmarshal(r.resolved, &to); err != nil {
		return err
	}
	d, _, violations := definition.FromProto([]*headwaterv1.DefinitionSource{{File: file}})
	if len(violations) > 0 {
		return fmt.Errorf("%s: %s", violations[0].Field, violations[0].Description)
	}
	if len(r.fingerprint) != len(feature.Digest{}) {
		return fmt.Errorf("a fingerprint of %d bytes", len(r.fingerprint))
	}
	fingerprint := feature.Digest(r.fingerprint)
	e := entry{id: r.id, summary: Summary{
		Name: r.name, Version: r.version, Fingerprint: fingerprint, AppliedAt: r.appliedAt.UTC(), AppliedBy: r.appliedBy, Origin: r.origin,
	}}
	switch {
	case r.kind == "entity" && len(d.Entities) == 1:
		return c.addEntity(&feature.EntityVersion{Version: r.version, Fingerprint: fingerprint, Entity: d.Entities[0]}, e)
	case r.kind == "source" && len(d.Sources) == 1:
		return c.addSource(&feature.SourceVersion{Version: r.version, Fingerprint: fingerprint, Source: d.Sources[0]}, e)
	case r.kind == "view" && len(d.Views) == 1:
		return c.addViewOf(&feature.ViewVersion{ID: r.id, Version: r.version, Fingerprint: fingerprint, View: d.Views[0]}, &to, r.analysis, e)
	case r.kind == "service" && len(d.Services) == 1:
		s := &feature.ServiceVersion{Version: r.version, Fingerprint: fingerprint, Service: d.Services[0]}
		for i := range s.Views {
			sv := &s.Views[i]
			v := c.views.at(sv.View, to.Views[sv.View])
			if v == nil {
				return fmt.Errorf("view %s@%d is not there", sv.View, to.Views[sv.View])
			}
			pin, problems := sv.ResolvePin(v)
			if len(problems) > 0 {
				return fmt.Errorf("%s: %s", problems[0].Field, problems[0].Message)
			}
			s.Pins = append(s.Pins, pin)
		}
		return c.addService(s, e)
	case r.kind == "role" && len(d.Roles) == 1:
		return c.addRole(&feature.RoleVersion{Version: r.version, Fingerprint: fingerprint, Role: d.Roles[0]}, e)
	case r.kind == "policy" && len(d.Policies) == 1:
		return c.addPolicy(&feature.PolicyVersion{Version: r.version, Fingerprint: fingerprint, Policy: d.Policies[0]}, e)
	case r.kind == "consumer" && len(d.Consumers) == 1:
		return c.addConsumer(&feature.ConsumerVersion{Version: r.version, Fingerprint: fingerprint, Consumer: d.Consumers[0]}, e)
	}
	return fmt.Errorf("the body does not hold one %s", r.kind)
}

// addViewOf links a view to what it is resolved to.
func (c *Catalog) addViewOf(v *feature.ViewVersion, to *resolution, analysis []byte, e entry) error {
	if v.Entity != "" {
		if v.EntityVersion = c.entities.at(v.Entity, to.Entity); v.EntityVersion == nil {
			return fmt.Errorf("entity %s@%d is not there", v.Entity, to.Entity)
		}
		v.Derive()
	}
	for _, name := range v.SourceNames() {
		s := c.sources.at(name, to.Sources[name])
		if s == nil {
			return fmt.Errorf("source %s@%d is not there", name, to.Sources[name])
		}
		v.SourceVersions = append(v.SourceVersions, s)
	}
	for _, r := range v.ViewRefs() {
		w := c.views.at(r.Name, to.Views[r.Name])
		if w == nil {
			return fmt.Errorf("view %s@%d is not there", r.Name, to.Views[r.Name])
		}
		v.ViewVersions = append(v.ViewVersions, w)
	}
	if analysis != nil {
		var err error
		if v.Analysis, err = decodeAnalysis(analysis); err != nil {
			return fmt.Errorf("the analysis: %w", err)
		}
	}
	return c.addView(v, e)
}

func (c *Catalog) addEntity(v *feature.EntityVersion, e entry) error {
	c.entities[v.Name] = append(c.entities[v.Name], v)
	return c.enter(feature.KindEntity, v.Name, &v.Docs, e)
}

func (c *Catalog) addSource(v *feature.SourceVersion, e entry) error {
	c.sources[v.Name] = append(c.sources[v.Name], v)
	return c.enter(feature.KindSource, v.Name, &v.Docs, e)
}

func (c *Catalog) addView(v *feature.ViewVersion, e entry) error {
	c.views[v.Name] = append(c.views[v.Name], v)
	c.viewByID[v.ID] = v
	return c.enter(feature.KindView, v.Name, &v.Docs, e)
}

func (c *Catalog) addService(v *feature.ServiceVersion, e entry) error {
	c.services[v.Name] = append(c.services[v.Name], v)
	return c.enter(feature.KindService, v.Name, &v.Docs, e)
}

func (c *Catalog) addRole(v *feature.RoleVersion, e entry) error {
	c.roles[v.Name] = append(c.roles[v.Name], v)
	return c.enter(feature.KindRole, v.Name, &v.Docs, e)
}

func (c *Catalog) addPolicy(v *feature.PolicyVersion, e entry) error {
	c.policies[v.Name] = append(c.policies[v.Name], v)
	return c.enter(feature.KindPolicy, v.Name, &v.Docs, e)
}

func (c *Catalog) addConsumer(v *feature.ConsumerVersion, e entry) error {
	c.consumers[v.Name] = append(c.consumers[v.Name], v)
	return c.enter(feature.KindConsumer, v.Name, &v.Docs, e)
}

// enter keeps what is known of a version beside its definition. Versions come in order, from 1 on.
func (c *Catalog) enter(kind feature.Kind, name string, docs *feature.Docs, e entry) error {
	if c.entries[kind] == nil {
		c.entries[kind] = map[string][]entry{}
	}
	entries := c.entries[kind][name]
	if e.summary.Version != len(entries)+1 || e.summary.Name != name {
		return fmt.Errorf("found %s@%d, expected %s@%d", e.summary.Name, e.summary.Version, name, len(entries)+1)
	}
	e.summary.Kind, e.summary.Description, e.summary.Owner, e.summary.Deprecated = kind, docs.Description, docs.Owner, docs.Deprecated
	c.entries[kind][name] = append(entries, e)
	return nil
}

// readEnds reads which names are removed or retired.
func (c *Catalog) readEnds(ctx context.Context, tx pgx.Tx) error {
	rows, err := tx.Query(ctx, `
		SELECT DISTINCT ON (kind, name) kind, name, change, changed_at, changed_by, origin
		FROM headwater.definition_change WHERE change IN ('remove', 'retire', 'revive') ORDER BY kind, name, id DESC`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var kind, name, change string
		var e End
		if err := rows.Scan(&kind, &name, &change, &e.At, &e.By, &e.Origin); err != nil {
			return err
		}
		e.At = e.At.UTC()
		switch change {
		case Remove.String():
			e.Removed = true
		case Retire.String():
		default:
			continue
		}
		k, ok := feature.ParseKind(kind)
		if !ok {
			return fmt.Errorf("headwater.definition_change: found the kind %q", kind)
		}
		c.ends[nameOf{k, name}] = &e
	}
	return rows.Err()
}

// insert writes a version and returns its id.
func (p *proposed) insert(ctx context.Context, tx pgx.Tx, revision int64, principal, origin string) (id int64, err error) {
	stored, err := p.encode()
	if err != nil {
		return 0, err
	}
	err = tx.QueryRow(ctx, `
		INSERT INTO headwater.definition (kind, name, version, fingerprint, body, resolved, analysis, revision, applied_at, applied_by, origin)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, now(), $9, $10) RETURNING id`,
		p.change.DefinitionKind.String(), p.change.Name, p.change.Version, p.change.Fingerprint[:], stored.body, stored.resolved, stored.analysis,
		revision, principal, origin).Scan(&id)
	return id, err
}

// update writes the words of a version that is there, and where it is resolved to anew.
func (p *proposed) update(ctx context.Context, tx pgx.Tx, revision int64) (id int64, err error) {
	stored, err := p.encode()
	if err != nil {
		return 0, err
	}
	if !p.moved {
		stored.resolved, stored.analysis = nil, nil
	}
	err = tx.QueryRow(ctx, `
		UPDATE headwater.definition SET body = $4, revision = $5, resolved = coalesce($6, resolved), analysis = coalesce($7, analysis)
		WHERE kind = $1 AND name = $2 AND version = $3 RETURNING id`,
		p.change.DefinitionKind.String(), p.change.Name, p.change.Version, stored.body, revision, stored.resolved, stored.analysis).Scan(&id)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, fmt.Errorf("%s %s@%d is not there", p.change.DefinitionKind, p.change.Name, p.change.Version)
	}
	return id, err
}

// note writes what the version reads, and what its columns are made of, for who follows that both ways.
func (p *proposed) note(ctx context.Context, tx pgx.Tx, id int64) error {
	if p.change.DefinitionKind == feature.KindConsumer {
		return p.noteConsumer(ctx, tx)
	}
	_, err := tx.Exec(ctx, `SELECT headwater.note_definition($1, now())`, id)
	return err
}

// noteConsumer writes what a consumer reads now: what its newest version says, and nothing of one that was removed.
func (p *proposed) noteConsumer(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, `SELECT headwater.note_consumer($1, now())`, p.change.Name)
	return err
}

// encoded is the JSON columns of headwater.definition.
type encoded struct {
	body               string
	resolved, analysis *string
}

func (p *proposed) encode() (e encoded, err error) {
	body, err := protojson.Marshal(definition.ToProto(&p.body))
	if err != nil {
		return e, err
	}
	e.body = string(body)
	resolved, err := json.Marshal(p.resolved)
	if err != nil {
		return e, err
	}
	text := string(resolved)
	e.resolved = &text
	if p.view != nil && p.view.Analysis != nil {
		analysis, err := encodeAnalysis(p.view.Analysis)
		if err != nil {
			return e, err
		}
		text := string(analysis)
		e.analysis = &text
	}
	return e, nil
}

// tell writes to the outbox what others are told of: which sources and views there are.
func (p *proposed) tell(ctx context.Context, tx pgx.Tx, revision int64) error {
	if k := p.change.DefinitionKind; !p.fresh && !p.rewritten || k != feature.KindSource && k != feature.KindView {
		return nil
	}
	kind := p.change.DefinitionKind.String()
	return outbox.Add(ctx, tx, outbox.Message{
		Topic: outbox.DefinitionApplied, Subject: outbox.DefinitionSubject(kind, p.change.Name),
		Payload: outbox.Definition{Kind: kind, Name: p.change.Name, Version: p.change.Version, Revision: revision},
	})
}

// record keeps who made a change, and from where.
func (p *proposed) record(ctx context.Context, tx pgx.Tx, revision int64, principal, origin string) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO headwater.definition_change (kind, name, version, change, revision, changed_at, changed_by, origin)
		VALUES ($1, $2, $3, $4, $5, now(), $6, $7)`,
		p.change.DefinitionKind.String(), p.change.Name, p.change.Version, p.change.Kind.String(), revision, principal, origin)
	return err
}

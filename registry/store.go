package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/headwaterhq/headwater/definition"
	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
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
	// What a definition is resolved to was there before it, and so has a smaller id.
	rows, err := tx.Query(ctx, `
		SELECT id, kind, name, version, fingerprint, body, resolved, applied_at, applied_by, origin
		FROM headwater.definition ORDER BY id`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var r stored
		err := rows.Scan(&r.id, &r.kind, &r.name, &r.version, &r.fingerprint, &r.body, &r.resolved, &r.appliedAt, &r.appliedBy, &r.origin)
		if err != nil {
			return nil, err
		}
		if err := c.add(&r); err != nil {
			return nil, fmt.Errorf("headwater.definition %d (%s %s@%d): %w", r.id, r.kind, r.name, r.version, err)
		}
	}
	return c, rows.Err()
}

// stored is a row of headwater.definition.
type stored struct {
	id                int64
	kind, name        string
	version           int
	fingerprint       []byte
	body, resolved    []byte
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
		v := &feature.ViewVersion{ID: r.id, Version: r.version, Fingerprint: fingerprint, View: d.Views[0]}
		if v.EntityVersion = c.entities.at(v.Entity, to.Entity); v.EntityVersion == nil {
			return fmt.Errorf("entity %s@%d is not there", v.Entity, to.Entity)
		}
		for _, name := range v.SourceNames() {
			s := c.sources.at(name, to.Sources[name])
			if s == nil {
				return fmt.Errorf("source %s@%d is not there", name, to.Sources[name])
			}
			v.SourceVersions = append(v.SourceVersions, s)
		}
		return c.addView(v, e)
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
	}
	return fmt.Errorf("the body does not hold one %s", r.kind)
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

// enter keeps what is known of a version beside its definition. Versions come in order, from 1 on.
func (c *Catalog) enter(kind feature.Kind, name string, docs *feature.Docs, e entry) error {
	if c.entries[kind] == nil {
		c.entries[kind] = map[string][]entry{}
	}
	entries := c.entries[kind][name]
	if e.summary.Version != len(entries)+1 || e.summary.Name != name {
		return fmt.Errorf("found %s@%d, expected %s@%d", e.summary.Name, e.summary.Version, name, len(entries)+1)
	}
	e.summary.Kind, e.summary.Description, e.summary.Owner = kind, docs.Description, docs.Owner
	c.entries[kind][name] = append(entries, e)
	return nil
}

// insert writes a version and returns its id.
func (p *proposed) insert(ctx context.Context, tx pgx.Tx, revision int64, principal, origin string) (id int64, err error) {
	body, err := protojson.Marshal(definition.ToProto(&p.body))
	if err != nil {
		return 0, err
	}
	resolved, err := json.Marshal(p.resolved)
	if err != nil {
		return 0, err
	}
	err = tx.QueryRow(ctx, `
		INSERT INTO headwater.definition (kind, name, version, fingerprint, body, resolved, revision, applied_at, applied_by, origin)
		VALUES ($1, $2, $3, $4, $5, $6, $7, now(), $8, $9) RETURNING id`,
		p.change.DefinitionKind.String(), p.change.Name, p.change.Version, p.change.Fingerprint[:], string(body), string(resolved),
		revision, principal, origin).Scan(&id)
	return id, err
}

// updateWords writes the words of a version that is there.
func (p *proposed) updateWords(ctx context.Context, tx pgx.Tx, revision int64) error {
	body, err := protojson.Marshal(definition.ToProto(&p.body))
	if err != nil {
		return err
	}
	tag, err := tx.Exec(ctx, `
		UPDATE headwater.definition SET body = $4, revision = $5 WHERE kind = $1 AND name = $2 AND version = $3`,
		p.change.DefinitionKind.String(), p.change.Name, p.change.Version, string(body), revision)
	if err == nil && tag.RowsAffected() != 1 {
		return fmt.Errorf("%s %s@%d is not there", p.change.DefinitionKind, p.change.Name, p.change.Version)
	}
	return err
}

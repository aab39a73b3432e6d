package registry

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
)

// datasets are those that were built.
func (r *Registry) datasets(ctx context.Context, tx pgx.Tx) ([]Dataset, error) {
	if r.config.Datasets == nil {
		return nil, nil
	}
	list, err := r.config.Datasets(ctx, tx)
	if err != nil {
		return nil, fmt.Errorf("list the datasets: %w", err)
	}
	return list, nil
}

// explain adds to the changes what depends on them, the data work that follows, and warnings.
func (r *Registry) explain(ctx context.Context, tx pgx.Tx, p *proposal, request Request) error {
	if len(p.changes) == 0 {
		return nil
	}
	datasets, err := r.datasets(ctx, tx)
	if err != nil {
		return err
	}
	uncounted := map[string]bool{}
	for _, c := range p.changes {
		if c.change.Kind != Remove && c.change.Kind != Retire && c.change.Kind != Add {
			c.users = p.base.dependents(nameOf{c.change.DefinitionKind, c.change.Name}, datasets)
		}
		c.change.Dependents = visible(c.users, request.Shows)
		p.warn(c, request.Shows)
		p.warnOfReaders(c, request.Shows)
		if c.change.DefinitionKind == feature.KindConsumer && c.change.Kind != Remove {
			if err := r.warnOfReads(ctx, tx, p, c, datasets, request.Shows); err != nil {
				return err
			}
		}
		if c.view == nil || !c.fresh || !c.view.Materialized() {
			continue
		}
		// What was slow for one view is not tried for others.
		theirs := ofOthers(c.view)
		if !uncounted[theirs] {
			if c.change.DataWork, err = r.dataWork(ctx, tx, p, c.view); err != nil {
				return fmt.Errorf("find what view %s has to be filled with: %w", c.view.Ref(), err)
			}
		}
		if c.change.DataWork == nil {
			uncounted[theirs] = true
			c.change.Warnings = append(c.change.Warnings, fmt.Sprintf("the data work is not known: the rows of source %s, which others keep, "+
				"could not be counted in a moment; a run counts those that it reads", theirs))
		}
	}
	return nil
}

// ofOthers is the first source of a view that is a table of others, or "".
func ofOthers(v *feature.ViewVersion) string {
	for _, s := range v.SourceVersions {
		if s.Postgres != nil {
			return s.Name
		}
	}
	return ""
}

// dependents are what reads from the newest version of a name.
func (c *Catalog) dependents(n nameOf, datasets []Dataset) []dependent {
	entries := c.entries[n.kind][n.name]
	var list []dependent
	for _, node := range c.Dependents(n.kind, n.name, len(entries)) {
		kind, name, _ := strings.Cut(node, ":")
		name, _, _ = strings.Cut(name, "@")
		list = append(list, dependent{node, kind, name})
	}
	if n.kind != feature.KindView {
		return append(list, c.datasetsOf(n, datasets)...)
	}
	newest := entries[len(entries)-1].id
	for i := range datasets {
		if slices.Contains(datasets[i].ViewIDs, newest) {
			list = append(list, datasetDependent(&datasets[i]))
		}
	}
	return list
}

// dataWork is what a new version of a view has to be filled with, or nil when it is not known. What it reads may have no rows.
func (r *Registry) dataWork(ctx context.Context, tx pgx.Tx, p *proposal, v *feature.ViewVersion) (*DataWork, error) {
	work := &DataWork{}
	if r.config.Reach != nil {
		reach, err := r.config.Reach(ctx, tx, v)
		if err != nil || reach == nil {
			return nil, err
		}
		work.Reach = *reach
	}
	if old := p.base.views.last(v.Name); old != nil {
		err := tx.QueryRow(ctx, "SELECT coalesce(sum(live_rows), 0) FROM headwater.view_state WHERE view_id = $1", old.ID).Scan(&work.PreviousRows)
		if err != nil {
			return nil, err
		}
	}
	return work, nil
}

// warn tells what whoever applies a change should know.
func (p *proposal) warn(c *proposed, shows func(kind, name string) bool) {
	n := nameOf{c.change.DefinitionKind, c.change.Name}
	if c.change.Kind == Remove || c.change.Kind == Retire {
		return
	}
	warn := func(format string, args ...any) {
		c.change.Warnings = append(c.change.Warnings, fmt.Sprintf(format, args...))
	}
	for _, text := range p.deprecatedUses(n) {
		warn("%s", text)
	}
	if d := p.docs(n); d != nil && d.Deprecated != nil && len(c.change.Dependents) > 0 {
		text := fmt.Sprintf("is deprecated from %s on, and read by %s", d.Deprecated.Date, strings.Join(firstNodes(c.change.Dependents), ", "))
		if d.Deprecated.Replacement != "" {
			text += "; " + d.Deprecated.Replacement + " replaces it"
		}
		warn("%s", text)
	}
	if !c.fresh || c.change.Version == 1 {
		return
	}
	visible := func(kind feature.Kind, name string) bool { return shows == nil || shows(kind.String(), name) }
	switch n.kind {
	case feature.KindView:
		for _, s := range p.servicesAfter(nil) {
			for _, pin := range s.Pins {
				if pin.View.Name == n.name && pin.View.Version != c.change.Version && visible(feature.KindService, s.Name) {
					warn("service %s stays pinned to %s; write %s@%d there to move it", s.Name, pin.View.Ref(), n.name, c.change.Version)
				}
			}
		}
		for _, v := range p.newestViews() {
			for i, w := range v.ViewVersions {
				if w.Name == n.name && w.Version != c.change.Version && visible(feature.KindView, v.Name) {
					warn("view %s goes on reading %s: %s", v.Ref(), w.Ref(), p.whyStays(v, v.ViewRefs()[i].Version > 0))
				}
			}
		}
	case feature.KindSource:
		for _, v := range p.newestViews() {
			for _, s := range v.SourceVersions {
				if _, given := p.given[nameOf{feature.KindView, v.Name}]; !given && s.Name == n.name && visible(feature.KindView, v.Name) {
					warn("view %s goes on reading %s@%d: %s", v.Ref(), s.Name, s.Version, p.whyStays(v, false))
				}
			}
		}
	case feature.KindEntity:
		for _, v := range p.newestViews() {
			if e := v.EntityVersion; e != nil && e.Name == n.name && e.Version != c.change.Version && visible(feature.KindView, v.Name) {
				warn("view %s goes on describing %s@%d: %s", v.Ref(), e.Name, e.Version, p.whyStays(v, false))
			}
		}
	}
}

func (p *proposal) whyStays(v *feature.ViewVersion, named bool) string {
	if named {
		return "it names that version"
	}
	if _, given := p.given[nameOf{feature.KindView, v.Name}]; given {
		return "what it reads there has not changed"
	}
	return "it is not in these files"
}

// newestViews are the newest version of each view after the changes.
func (p *proposal) newestViews() []*feature.ViewVersion {
	var list []*feature.ViewVersion
	for _, name := range namesOf(p.base.views, p.views) {
		if _, given := p.given[nameOf{feature.KindView, name}]; given || p.base.removed(feature.KindView, name) == nil {
			list = append(list, p.viewNow(name))
		}
	}
	return list
}

// firstNodes is as many nodes as a message names.
func firstNodes(nodes []string) []string {
	if len(nodes) <= maxNodes {
		return nodes
	}
	return append(slices.Clone(nodes[:maxNodes]), fmt.Sprintf("and %d more", len(nodes)-maxNodes))
}

// deprecatedUses are the deprecated things that a view, a service or a consumer uses after the changes.
func (p *proposal) deprecatedUses(n nameOf) []string {
	var list []string
	whole := func(kind feature.Kind, name string) {
		if d := p.docs(nameOf{kind, name}); d != nil && d.Deprecated != nil {
			// A consumer may read several features of one view.
			if use := feature.DeprecatedUse(fmt.Sprintf("%s %s", kind, name), d.Deprecated); !slices.Contains(list, use) {
				list = append(list, use)
			}
		}
	}
	columns := func(what, of string, columns []feature.Column, used func(string) bool) {
		for i := range columns {
			if d := columns[i].Deprecated; d != nil && used(columns[i].Name) {
				list = append(list, feature.DeprecatedUse(fmt.Sprintf("%s %s of %s", what, columns[i].Name, of), d))
			}
		}
	}
	switch n.kind {
	case feature.KindView:
		v := p.views[n.name]
		if v.Entity != "" {
			whole(feature.KindEntity, v.Entity)
		}
		for _, s := range v.SourceVersions {
			whole(feature.KindSource, s.Name)
			columns("column", "source "+s.Name, p.sourceNow(s.Name).Columns, func(c string) bool { return v.UsesColumn(s.Name, c) })
		}
		for _, w := range v.ViewVersions {
			whole(feature.KindView, w.Name)
			columns("feature", "view "+w.Name, p.viewNow(w.Name).Stored(), func(c string) bool { return v.UsesColumn(w.Name, c) })
		}
	case feature.KindConsumer:
		for _, r := range p.consumers[n.name].Reads {
			switch r.Kind {
			case feature.ReadsService:
				whole(feature.KindService, r.Name)
			case feature.ReadsView, feature.ReadsFeature:
				whole(feature.KindView, r.Name)
				if w := p.viewNow(r.Name); w != nil && r.Kind == feature.ReadsFeature {
					columns("feature", "view "+r.Name, w.Features, func(c string) bool { return c == r.Feature })
				}
			}
		}
	case feature.KindService:
		for _, pin := range p.services[n.name].Pins {
			whole(feature.KindView, pin.View.Name)
			newest := p.viewNow(pin.View.Name)
			columns("feature", "view "+pin.View.Name, newest.Features, func(c string) bool {
				return slices.ContainsFunc(pin.Features, func(i int) bool { return pin.View.Features[i].Name == c })
			})
		}
	}
	return list
}

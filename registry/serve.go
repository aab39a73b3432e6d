package registry

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
)

// Serving is a version of a service with gates on serving that definitions would make, or bring back.
type Serving struct {
	Service *feature.ServiceVersion
	// First says that the service has had no version before.
	First bool
	// Versions are those of a view that are there already, from 1 on.
	Versions func(view string) []*feature.ViewVersion
}

// Hold is a gate on serving that does not hold, and that nobody has approved.
type Hold struct {
	Service string
	Version int
	Gate    feature.Gate
	// Inputs is what an approval would be for, hex: what is to be served and what was found.
	Inputs                  string
	Found, Expected, Remedy string
}

func (h *Hold) text() string {
	return fmt.Sprintf("gate %s: found %s, expected %s; %s", h.Gate, h.Found, h.Expected, h.Remedy)
}

// HeldError is what Apply ends with where gates on serving do not hold. Nothing was applied.
type HeldError struct{ Holds []Hold }

func (e *HeldError) Error() string {
	var parts []string
	for i := range e.Holds {
		h := &e.Holds[i]
		parts = append(parts, fmt.Sprintf("service %s@%d: %s", h.Service, h.Version, h.text()))
	}
	return strings.Join(parts, "; ")
}

// Text says of what is held which gates do not hold, what was found and what to do. approve says of one how it is approved.
func (e *HeldError) Text(approve func(*Hold) (string, error)) (string, error) {
	text := ""
	for i := range e.Holds {
		h := &e.Holds[i]
		if i == 0 || h.Service != e.Holds[i-1].Service {
			if i > 0 {
				text += "; "
			}
			text += fmt.Sprintf("nothing was applied, for service %s@%d is not to be served, and what is served goes on", h.Service, h.Version)
		}
		how, err := approve(h)
		if err != nil {
			return "", err
		}
		text += "; " + h.text() + "; " + how
	}
	return text, nil
}

// hold asks about the gates on serving of versions of services that are made, or of services that were removed and are served again. What a service follows as published moves by runs, which
// have gates of their own.
func (r *Registry) hold(ctx context.Context, tx pgx.Tx, p *proposal) error {
	if r.config.Serve == nil {
		return nil
	}
	for _, c := range p.changes {
		if c.change.DefinitionKind != feature.KindService {
			continue
		}
		s := p.services[c.change.Name]
		if s == nil || len(s.Gates.Serve) == 0 || !c.fresh && p.base.removed(feature.KindService, s.Name) == nil {
			continue
		}
		holds, err := r.config.Serve(ctx, tx, Serving{Service: s, First: c.change.Kind == Add, Versions: p.base.VersionsOf})
		if err != nil {
			return fmt.Errorf("ask by which gates service %s is served: %w", s.Name, err)
		}
		for i := range holds {
			c.change.Warnings = append(c.change.Warnings, "would be refused by "+holds[i].text()+"; an apply that is refused says who can approve it, and how")
		}
		p.holds = append(p.holds, holds...)
	}
	return nil
}

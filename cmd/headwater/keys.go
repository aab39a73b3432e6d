package main

import (
	"context"
	"slices"
	"strings"

	"github.com/headwaterhq/headwater/client"
	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

// askedColumns asks the server for what a request hands in: the join keys of the entities of its service or features, by the names of
// its joins too, and the inputs of on-demand features, each once, by name. A caller who may read need not be allowed to look at
// definitions: then known is false.
func askedColumns(ctx context.Context, c *client.Client, r *headwaterv1.GetFeaturesRequest) (keys, inputs []feature.Column, known bool, err error) {
	l, err := lookUpColumns(ctx, c, r.GetService(), r.GetFeatures())
	if l == nil || err != nil {
		return nil, nil, false, err
	}
	keys = slices.Clone(l.keys)
	for _, j := range r.GetJoins() {
		for _, key := range l.keys {
			if column := j.GetKeyMapping()[key.Name]; column != "" {
				if _, known := keyType(keys, column); !known {
					keys = append(keys, feature.Column{Name: column, Type: key.Type})
				}
			}
		}
	}
	return keys, l.inputs, true, nil
}

// lookUp reads definitions.
type lookUp struct {
	ctx          context.Context
	client       *client.Client
	seen         map[string]bool
	keys, inputs []feature.Column
	// histories are the views with a history, entities those by name with their keys.
	histories []*feature.ViewVersion
	entities  map[string]*feature.EntityVersion
}

// lookUpColumns asks for what a service, or else features by reference, take. A caller who may not look at definitions gets nil.
func lookUpColumns(ctx context.Context, c *client.Client, service string, features []string) (*lookUp, error) {
	l := &lookUp{ctx: ctx, client: c, seen: map[string]bool{}, entities: map[string]*feature.EntityVersion{}}
	err := error(nil)
	if service != "" {
		err = l.service(service)
	}
	for _, ref := range features {
		view, _, _ := strings.Cut(ref, ".")
		if err == nil {
			err = l.view(view)
		}
	}
	if fault.ReasonOf(err) == fault.PermissionDenied {
		return nil, nil
	}
	return l, err
}

func (l *lookUp) get(kind headwaterv1.DefinitionKind, name string) (*headwaterv1.GetDefinitionResponse, error) {
	return l.client.Registry.GetDefinition(l.ctx, &headwaterv1.GetDefinitionRequest{Kind: kind, Name: name})
}

func (l *lookUp) service(name string) error {
	d, err := l.get(headwaterv1.DefinitionKind_DEFINITION_KIND_SERVICE, name)
	if err != nil {
		return err
	}
	for _, view := range viewsOf(d) {
		if err := l.view(view); err != nil {
			return err
		}
	}
	return nil
}

func (l *lookUp) view(ref string) error {
	if l.seen["view:"+ref] {
		return nil
	}
	l.seen["view:"+ref] = true
	d, err := l.get(headwaterv1.DefinitionKind_DEFINITION_KIND_VIEW, ref)
	if err != nil {
		return err
	}
	for _, view := range d.GetDefinition().GetFeatureViews() {
		for _, in := range view.GetOnDemand().GetInputs() {
			if err := l.add(&l.inputs, in.Name, in.Type, "input "+in.Name+" of view "+ref); err != nil {
				return err
			}
		}
		if view.GetOnDemand() != nil {
			for _, read := range viewsOf(d) {
				if err := l.view(read); err != nil {
					return err
				}
			}
			continue
		}
		if err := l.entity(view.Entity); err != nil {
			return err
		}
		l.histories = append(l.histories, &feature.ViewVersion{
			View: feature.View{Name: view.Name}, Version: int(d.GetSummary().GetVersion()), EntityVersion: l.entities[view.Entity],
		})
	}
	return nil
}

func (l *lookUp) entity(name string) error {
	if l.seen["entity:"+name] {
		return nil
	}
	l.seen["entity:"+name] = true
	d, err := l.get(headwaterv1.DefinitionKind_DEFINITION_KIND_ENTITY, name)
	if err != nil {
		return err
	}
	for _, e := range d.GetDefinition().GetEntities() {
		keys := &feature.EntityVersion{}
		l.entities[name] = keys
		for _, k := range e.JoinKeys {
			what := "join key " + k.Name + " of entity " + e.Name
			if err := l.add(&l.keys, k.Name, k.Type, what); err != nil {
				return err
			}
			if err := l.add(&keys.JoinKeys, k.Name, k.Type, what); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *lookUp) add(to *[]feature.Column, name, typ, what string) error {
	t, err := feature.ParseType(typ)
	if err != nil {
		return fault.New(fault.Unimplemented, "%s: %s; this client is older than the server", what, err)
	}
	if _, ok := keyType(*to, name); !ok {
		*to = append(*to, feature.Column{Name: name, Type: t})
	}
	return nil
}

// viewsOf is the views a service reads: at the versions it is pinned to where the server says so.
func viewsOf(d *headwaterv1.GetDefinitionResponse) []string {
	var views []string
	for _, node := range d.Inputs {
		if name, ok := strings.CutPrefix(node, "view:"); ok {
			views = append(views, name)
		}
	}
	if len(views) > 0 {
		return views
	}
	for _, s := range d.GetDefinition().GetFeatureServices() {
		for _, v := range s.Views {
			views = append(views, v.View)
		}
	}
	return views
}

func keyType(keys []feature.Column, name string) (feature.Type, bool) {
	for _, k := range keys {
		if k.Name == name {
			return k.Type, true
		}
	}
	return feature.TypeInvalid, false
}

package main

import (
	"context"
	"strings"

	"github.com/headwaterhq/headwater/client"
	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

// serviceKeys asks the server for the join keys of a service's entities, each once, by name. A caller who may read the
// service need not be allowed to look at its definitions: then known is false.
func serviceKeys(ctx context.Context, c *client.Client, service string) (keys []feature.Column, known bool, err error) {
	keys, err = lookUpKeys(ctx, c, service)
	if fault.ReasonOf(err) == fault.PermissionDenied {
		return nil, false, nil
	}
	return keys, err == nil, err
}

func lookUpKeys(ctx context.Context, c *client.Client, service string) ([]feature.Column, error) {
	get := func(kind headwaterv1.DefinitionKind, name string) (*headwaterv1.GetDefinitionResponse, error) {
		return c.Registry.GetDefinition(ctx, &headwaterv1.GetDefinitionRequest{Kind: kind, Name: name})
	}
	d, err := get(headwaterv1.DefinitionKind_DEFINITION_KIND_SERVICE, service)
	if err != nil {
		return nil, err
	}
	var keys []feature.Column
	seen := map[string]bool{}
	for _, view := range viewsOf(d) {
		v, err := get(headwaterv1.DefinitionKind_DEFINITION_KIND_VIEW, view)
		if err != nil {
			return nil, err
		}
		for _, view := range v.GetDefinition().GetFeatureViews() {
			if view.Entity == "" || seen[view.Entity] {
				continue
			}
			seen[view.Entity] = true
			e, err := get(headwaterv1.DefinitionKind_DEFINITION_KIND_ENTITY, view.Entity)
			if err != nil {
				return nil, err
			}
			for _, entity := range e.GetDefinition().GetEntities() {
				for _, k := range entity.JoinKeys {
					t, err := feature.ParseType(k.Type)
					if err != nil {
						return nil, fault.New(fault.Unimplemented, "join key %s of entity %s: %s; this client is older than the server", k.Name, entity.Name, err)
					}
					if _, ok := keyType(keys, k.Name); !ok {
						keys = append(keys, feature.Column{Name: k.Name, Type: t})
					}
				}
			}
		}
	}
	return keys, nil
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

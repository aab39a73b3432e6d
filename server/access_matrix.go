package server

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/headwaterhq/headwater/access"
	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/registry"
)

// maxMatrix is how many decisions one matrix may take.
const maxMatrix = 100_000

// GetAccessMatrix says what would be decided on who has one role alone and nothing else, says no purpose, and is asked by the functions that
// decide on calls. Of definitions that the caller may not list it says what grants say of their names.
func (s *AccessService) GetAccessMatrix(ctx context.Context, r *headwaterv1.GetAccessMatrixRequest) (*headwaterv1.GetAccessMatrixResponse, error) {
	if s.registry == nil {
		return nil, fault.New(fault.Unimplemented, "this server has no catalog to make a matrix of")
	}
	catalog := s.registry.Catalog()
	roles, err := s.matrixRoles(catalog, r.GetRoles())
	if err != nil {
		return nil, err
	}
	actions, err := matrixActions(r.GetActions())
	if err != nil {
		return nil, err
	}
	resources, err := matrixResources(access.SessionFrom(ctx), catalog, r.GetResources())
	if err != nil {
		return nil, err
	}
	if n := len(roles) * len(actions) * len(resources); n > maxMatrix {
		return nil, fault.New(fault.ResourceExhausted, "found a matrix of %d decisions, on %d roles, %d resources and %d actions, expected at most %d; name some of them",
			n, len(roles), len(resources), len(actions), maxMatrix)
	}
	m := deciding{service: s, session: access.SessionFrom(ctx), cells: map[string][]*headwaterv1.AccessMatrixCell{}}
	for _, resource := range resources {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		for _, action := range actions {
			if err := m.add(roles, resource, action); err != nil {
				return nil, err
			}
		}
	}
	response := &headwaterv1.GetAccessMatrixResponse{}
	for _, role := range roles {
		response.Cells = append(response.Cells, m.cells[role]...)
	}
	return response, nil
}

// deciding makes the cells of a matrix, by role.
type deciding struct {
	service *AccessService
	session *access.Session
	cells   map[string][]*headwaterv1.AccessMatrixCell
}

// add decides on one action on one resource, for each role.
func (m *deciding) add(roles []string, resource string, action headwaterv1.Action) error {
	about, err := explained(actionOf(action), resource)
	if err != nil {
		// Who may have a dataset is decided on its service: there is no such decision.
		return nil
	}
	if about.knownTo(m.session, false) {
		if err := m.service.resolve(about); err != nil {
			return err
		}
	}
	for _, role := range roles {
		e, err := m.service.explain(m.session.Policy(), access.NewPrincipal("", []string{role}, nil), about, "", "")
		if f := fault.As(err); f != nil {
			// Nobody can read it, whatever grants say.
			e, err = &access.Explanation{Verdict: access.Verdict{Reason: f.Message}}, nil
		}
		if err != nil {
			return err
		}
		if e.Missing() != "" && about.isAbout(e.Missing()) {
			continue
		}
		cell := &headwaterv1.AccessMatrixCell{
			Role: role, Resource: access.WithoutSecrets(resource), Action: action, Decision: decisionOf(e.Allowed), Reason: access.WithoutSecrets(e.Reason),
		}
		if e.Allowed {
			cell.Policies = e.Hiding()
		}
		m.cells[role] = append(m.cells[role], cell)
	}
	return nil
}

// isAbout reports whether a permission that is missing is the one that is asked about, and not one on what it takes.
func (a *askedAbout) isAbout(missing string) bool {
	kind, name := a.decided()
	name, _, _ = strings.Cut(name, "@")
	return missing == fmt.Sprintf("%s on %s:%s", a.action, kind, name) || missing == fmt.Sprintf("%s on %s:%s", a.action, a.kind, a.grantName())
}

// matrixRoles are the roles given, or all there are; sorted, each once.
func (s *AccessService) matrixRoles(catalog *registry.Catalog, given []string) ([]string, error) {
	if len(given) > 0 {
		_, err := access.GivenSubject("", given, nil, s.policies().HasRole)
		return sortedOnce(given), err
	}
	roles := []string{feature.AdminRole}
	for _, r := range catalog.Roles() {
		roles = append(roles, r.Name)
	}
	return sortedOnce(roles), nil
}

func sortedOnce(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return slices.Compact(list)
}

// matrixActions are the actions given, or all; in the order of the proto, each once.
func matrixActions(given []headwaterv1.Action) ([]headwaterv1.Action, error) {
	var actions []headwaterv1.Action
	for i, a := range given {
		if !actionOf(a).Valid() {
			description := fmt.Sprintf("found %s, expected an action that grants can name", a)
			return nil, fault.New(fault.InvalidArgument, "actions[%d]: %s", i, description).Violating(fault.Violation{Field: fmt.Sprintf("actions[%d]", i), Description: description})
		}
		actions = append(actions, a)
	}
	if len(given) == 0 {
		for n := range headwaterv1.Action_name {
			if a := headwaterv1.Action(n); actionOf(a).Valid() {
				actions = append(actions, a)
			}
		}
	}
	slices.Sort(actions)
	return slices.Compact(actions), nil
}

// matrixResources are the resources that patterns, KIND:PATTERN, stand for, or all there are: definitions that the caller may list, in use, with
// the kind as a whole where the pattern is `*`, and any name that is no pattern. Features are looked for where they are asked for.
func matrixResources(session *access.Session, catalog *registry.Catalog, patterns []string) ([]string, error) {
	if len(patterns) == 0 {
		for _, kind := range feature.ResourceKinds() {
			if access.Kind(kind) != access.KindFeature {
				patterns = append(patterns, kind+":"+access.Whole)
			}
		}
	}
	found := map[string]bool{}
	for i, text := range patterns {
		kind, pattern, _ := strings.Cut(text, ":")
		if !access.Kind(kind).Valid() || pattern == "" || strings.Contains(pattern, "@") {
			description := fmt.Sprintf("found %q, expected KIND:PATTERN such as view:delay_*, without a version", shorten(text, maxShownName))
			return nil, fault.New(fault.InvalidArgument, "resources[%d]: %s", i, description).Violating(fault.Violation{Field: fmt.Sprintf("resources[%d]", i), Description: description})
		}
		if pattern == access.Whole || !strings.Contains(pattern, "*") {
			found[kind+":"+pattern] = true
		}
		for _, name := range listedNames(session, catalog, access.Kind(kind)) {
			if feature.MatchesPattern(pattern, name) {
				found[kind+":"+name] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(found)), nil
}

// listedNames are the names of a kind that the caller may list.
func listedNames(session *access.Session, catalog *registry.Catalog, kind access.Kind) (names []string) {
	if kind == access.KindFeature {
		for _, v := range catalog.Views() {
			if !session.Allows(access.ActionList, access.KindView, v.Name) {
				continue
			}
			for i := range v.Features {
				names = append(names, v.Name+"."+v.Features[i].Name)
			}
		}
		return names
	}
	for of, as := range kindResources {
		if as != kind {
			continue
		}
		for _, d := range catalog.Summaries(of) {
			if session.Allows(access.ActionList, kind, d.Name) {
				names = append(names, d.Name)
			}
		}
	}
	return names
}

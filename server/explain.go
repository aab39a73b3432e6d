package server

import (
	"context"
	"fmt"
	"strings"

	"github.com/headwaterhq/headwater/access"
	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/registry"
)

// ExplainAccess says what would be decided on a principal, and by what rules. Of definitions that the caller may not know of it says
// what grants say of their names, the same as if there were none.
func (s *AccessService) ExplainAccess(ctx context.Context, r *headwaterv1.ExplainAccessRequest) (*headwaterv1.ExplainAccessResponse, error) {
	session := access.SessionFrom(ctx)
	given := len(r.GetRoles())+len(r.GetAttributes()) > 0
	itself := !given && (r.GetPrincipal() == "" || r.GetPrincipal() == session.Principal().Name)
	if err := session.RequireExplain(itself); err != nil {
		return nil, err
	}
	subject, err := s.subject(ctx, r, itself, given)
	if err != nil {
		return nil, err
	}
	about, err := explained(actionOf(r.GetAction()), r.GetResource())
	if err != nil {
		return nil, err
	}
	if about.knownTo(session, itself) {
		if err := s.resolve(about); err != nil {
			return nil, err
		}
	}
	policy := session.Policy()
	e, err := s.explain(policy, subject.Principal, about, r.GetPurpose(), r.GetUse())
	if err != nil {
		return nil, err
	}
	response := explanationOf(e)
	response.Principal, response.KnownBy, response.Roles = subject.Name, subject.KnownBy, subject.Roles
	response.Attributes = protoAttributes(policy.Attributes(subject.Principal))
	if about.found != nil {
		response.Definition, response.Owner = fmt.Sprintf("%s:%s@%d", about.found.Kind, about.found.Name, about.found.Version), about.found.Owner
	}
	response.ServesAsGrant = about.service != nil && about.service.ServesAsGrant
	for i, v := range e.Views {
		// Whoever may not list a view is not told whose it is.
		if session.Allows(access.ActionList, access.KindView, v.View.Name) {
			response.Views[i].Owner = v.View.Owner
		}
	}
	return response, nil
}

// explain is what would be decided, of what is known of what is asked about. Without a use it is the usual one of the action.
func (s *AccessService) explain(policy *access.Policy, principal *access.Principal, about *askedAbout, purpose, use string) (*access.Explanation, error) {
	if use == "" {
		use = feature.UseServing
		if about.action == access.ActionReadOffline {
			use = feature.UseTraining
		}
	}
	kind, name := about.decided()
	return policy.Explain(access.Question{
		Reading: access.Reading{Principal: principal, Purpose: purpose, Use: use},
		Action:  about.action, Kind: kind, Name: name, Service: about.service, Known: about.found != nil,
	})
}

func (s *AccessService) subject(ctx context.Context, r *headwaterv1.ExplainAccessRequest, itself, given bool) (access.Subject, error) {
	caller := access.SessionFrom(ctx).Principal()
	switch {
	case itself:
		return access.Subject{Principal: caller, KnownBy: "caller"}, nil
	case given:
		name := r.GetPrincipal()
		if name == "" {
			name = caller.Name
		}
		return access.GivenSubject(name, r.GetRoles(), attributesOf(r.GetAttributes()), s.policies().HasRole)
	}
	return access.FindSubject(ctx, s.pool, r.GetPrincipal())
}

// askedAbout is what is asked about.
type askedAbout struct {
	action access.Action
	kind   access.Kind
	// name is as it was asked for.
	name string
	// found is nil where there is no such definition that the caller may know of. service is what a reading of it takes.
	found   *registry.Summary
	service *feature.ServiceVersion
}

func explained(action access.Action, resource string) (*askedAbout, error) {
	kind, name, _ := strings.Cut(resource, ":")
	a := &askedAbout{action: action, kind: access.Kind(kind), name: name}
	wrong := func(format string, args ...any) (*askedAbout, error) {
		description := fmt.Sprintf(format, args...)
		return nil, fault.New(fault.InvalidArgument, "resource: %s", description).Violating(fault.Violation{Field: "resource", Description: description})
	}
	switch {
	case !a.kind.Valid() || name == "":
		return wrong("found %q, expected KIND:NAME such as service:delay_model_v1", shorten(resource, maxShownName))
	case a.reads() && a.kind == access.KindDataset:
		return wrong("found %q, expected the service of the dataset: who may have it is decided by %s on that, and by what it was built with", shorten(resource, maxShownName), action)
	}
	return a, nil
}

func (a *askedAbout) reads() bool {
	return a.action == access.ActionReadOnline || a.action == access.ActionReadOffline
}

// grantName is the name as grants have it.
func (a *askedAbout) grantName() string {
	if a.kind != access.KindFeature {
		return a.name
	}
	view, picked := featureRef(a.name)
	view, _, _ = strings.Cut(view, "@")
	return view + "." + picked
}

// decided is what is decided on: of a feature that is read, its view.
func (a *askedAbout) decided() (access.Kind, string) {
	if a.kind == access.KindFeature && a.reads() {
		view, _ := featureRef(a.name)
		return access.KindView, view
	}
	return a.kind, a.grantName()
}

// knownTo says whether the caller may know of what is asked about: who may list it, or reads it itself. A feature is known with its view.
func (a *askedAbout) knownTo(session *access.Session, itself bool) bool {
	kind, name := a.kind, a.name
	if kind == access.KindFeature {
		kind = access.KindView
		name, _ = featureRef(name)
	}
	if session.Allows(access.ActionList, kind, name) {
		return true
	}
	return itself && a.reads() && (session.Allows(a.action, kind, name) || a.kind == access.KindFeature && session.Allows(a.action, a.kind, a.grantName()))
}

// resolve finds what is asked about, and what a reading of it takes.
func (s *AccessService) resolve(a *askedAbout) error {
	if s.registry == nil {
		return fault.New(fault.Unimplemented, "this server has no catalog to explain by")
	}
	catalog := s.registry.Catalog()
	err := s.reading(catalog, a)
	if err == nil {
		a.found, err = definitionOf(catalog, a)
	}
	if fault.ReasonOf(err) == fault.NotFound {
		a.service = nil
		return nil
	}
	return err
}

func (s *AccessService) reading(catalog *registry.Catalog, a *askedAbout) (err error) {
	switch {
	case !a.reads() || a.name == access.Whole:
	case a.kind == access.KindService:
		a.service, err = catalog.Service(a.name)
	case a.kind == access.KindView && strings.Contains(a.name, "."):
		// That would be a feature.
	case a.kind == access.KindView, a.kind == access.KindFeature:
		a.service, _, err = referenced([]string{a.name}, "resource", catalog.View)
	}
	if err == nil && a.service != nil && a.action == access.ActionReadOnline {
		// Until a version is published that it can follow, what it is pinned to tells more than nothing.
		if followed, cannot := s.served.follow(catalog, a.service); cannot == nil {
			a.service = followed
		}
	}
	return err
}

func definitionOf(catalog *registry.Catalog, a *askedAbout) (*registry.Summary, error) {
	kind, name := a.kind, a.name
	if kind == access.KindFeature {
		view, picked := featureRef(name)
		if v, err := catalog.View(view); err != nil {
			return nil, err
		} else if v.FeatureIndex(picked) < 0 {
			return nil, nil
		}
		kind, name = access.KindView, view
	}
	for of, as := range kindResources {
		if as != kind || name == access.Whole {
			continue
		}
		d, err := catalog.Definition(of, name)
		if err != nil {
			return nil, err
		}
		return &d.Summary, nil
	}
	return nil, nil
}

func decisionOf(allowed bool) headwaterv1.Decision {
	if allowed {
		return headwaterv1.Decision_DECISION_ALLOWED
	}
	return headwaterv1.Decision_DECISION_DENIED
}

func explanationOf(e *access.Explanation) *headwaterv1.ExplainAccessResponse {
	out := &headwaterv1.ExplainAccessResponse{Decision: decisionOf(e.Allowed), Reason: access.WithoutSecrets(e.Reason), Missing: access.WithoutSecrets(e.Missing()), Policies: e.Policies}
	for _, v := range e.Views {
		out.Views = append(out.Views, &headwaterv1.ExplainedView{View: v.View.Ref(), Decision: decisionOf(v.Allowed), Reason: v.Reason})
	}
	for _, q := range e.Requirements {
		out.Requirements = append(out.Requirements, &headwaterv1.ExplainedRequirement{
			Policy: q.Policy, About: q.About, Requires: q.Requires, Met: q.Refusal == "", Refusal: q.Refusal,
		})
	}
	for _, f := range e.Filters {
		out.Filters = append(out.Filters, &headwaterv1.ExplainedFilter{
			Policy: f.Policy, About: f.About, Words: f.Words, Sql: f.SQL, Parameters: f.Parameters, HidesNothing: f.HidesNothing,
		})
	}
	out.Masks = appliedPolicy(nil, e.Masks, nil).GetRules()
	return out
}

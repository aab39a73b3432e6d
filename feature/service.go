package feature

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
)

// OutputName is what outputs call a feature unless its service calls it otherwise: `VIEW__FEATURE`. Names of views and
// features hold no double underscore, so no two features share one.
func OutputName(view, name string) string { return view + "__" + name }

// ServicePin is one view of a service at the version it is pinned to. Of a view that the service follows as published it is
// the version that was the newest when the service was applied: what the service promises its readers.
type ServicePin struct {
	View *ViewVersion
	// Features are positions in View.Features, in the order of the output.
	Features []int
	// Names are what the output calls them, in that order. nil: VIEW__FEATURE.
	Names []string
	// Defaults stand in for values that are missing, in that order; NULL: nothing does. nil: of none.
	Defaults []Value
	// Published says that the newest published version that fits is read in its place.
	Published bool
}

// Name is what the output calls the i-th of the picked features.
func (p *ServicePin) Name(i int) string {
	if p.Names != nil {
		return p.Names[i]
	}
	return OutputName(p.View.Name, p.View.Features[p.Features[i]].Name)
}

// Default is what stands in for a missing value of the i-th of the picked features, or NULL.
func (p *ServicePin) Default(i int) Value {
	if p.Defaults != nil {
		return p.Defaults[i]
	}
	return Null()
}

// Follows reports whether the service follows a view as published.
func (s *ServiceVersion) Follows() bool {
	return slices.ContainsFunc(s.Pins, func(p ServicePin) bool { return p.Published })
}

// Follow is the service with each view that it follows at the newest version that fits and is published; while there is none,
// at the version of its pin. versions are those of a view by name, from 1 on. The error is published's.
//
// A model that is registered on a service must get what it was trained on, so such a service follows nothing: what registers
// models refuses one whose Follows is true, and an apply that would make it true.
func (s *ServiceVersion) Follow(versions func(view string) []*ViewVersion, published func(*ViewVersion) (bool, error)) (*ServiceVersion, error) {
	followed := *s
	followed.Pins = slices.Clone(s.Pins)
	for i := range followed.Pins {
		pin := &followed.Pins[i]
		if !pin.Published {
			continue
		}
		list := versions(pin.View.Name)
		for k := len(list) - 1; k >= 0; k-- {
			moved, fits := pin.At(list[k])
			if !fits {
				continue
			}
			is, err := published(list[k])
			if err != nil {
				return nil, err
			}
			if is {
				*pin = moved
				break
			}
		}
	}
	return &followed, nil
}

// At is the pin with another version of its view, and ok whether that one fits: it has every feature that is picked, of
// the same type, and the same keys.
func (p *ServicePin) At(view *ViewVersion) (_ ServicePin, ok bool) {
	if p.Misfit(view) != "" {
		return *p, false
	}
	moved := *p
	moved.View, moved.Features = view, make([]int, len(p.Features))
	moved.Names = make([]string, len(p.Features))
	for i, at := range p.Features {
		picked := &p.View.Features[at]
		moved.Features[i], moved.Names[i] = view.FeatureIndex(picked.Name), p.Name(i)
	}
	return moved, true
}

// Misfit is why another version of the view cannot be read in the place of the pin's, or "".
func (p *ServicePin) Misfit(view *ViewVersion) string {
	if view.OnDemand != nil || p.View.OnDemand != nil {
		if view.OnDemand == nil || p.View.OnDemand == nil {
			return "it is computed otherwise: on demand, or not"
		}
	} else if !sameKeys(view.EntityVersion, p.View.EntityVersion) {
		return "it has other keys"
	}
	for _, at := range p.Features {
		picked := &p.View.Features[at]
		switch found := findColumn(view.Features, picked.Name); {
		case found == nil:
			return "it has no feature " + picked.Name
		case found.Type != picked.Type:
			return fmt.Sprintf("its feature %s is %s, not %s", picked.Name, found.Type, picked.Type)
		}
	}
	return ""
}

func sameKeys(a, b *EntityVersion) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Name == b.Name && slices.EqualFunc(a.JoinKeys, b.JoinKeys, func(x, y Column) bool {
		return x.Name == y.Name && x.Type == y.Type
	})
}

// ResolvePin pins the service's view to a version: the features it picks, their names and defaults. Fields of the problems
// are paths from the service's view on, such as `features[1]`.
func (sv *ServiceView) ResolvePin(view *ViewVersion) (ServicePin, []Problem) {
	pin, problems := sv.resolve(&view.View, view.Ref())
	pin.View = view
	return pin, problems
}

func (sv *ServiceView) resolve(view *View, ref string) (ServicePin, []Problem) {
	features, problems := sv.features(view, ref)
	pin := ServicePin{Features: features, Published: sv.Published}
	if sv.Published && view.OnDemand != nil {
		problems = append(problems, Problem{Field: "view", Message: fmt.Sprintf("found view %s followed as published, expected a version or "+
			"none: on-demand features are computed when they are read, and no run of them is published", view.Name)})
	}
	picked := func(field, name string) *Column {
		at := view.FeatureIndex(name)
		switch {
		case at < 0:
			problems = append(problems, Problem{Field: field, Message: fmt.Sprintf("found no feature called %s in view %s%s", name, ref,
				didYouMean(name, columnNames(view.Features)))})
		case !slices.Contains(features, at):
			problems = append(problems, Problem{Field: field, Message: fmt.Sprintf("found feature %s of view %s, which the service does not "+
				"pick; add it to features, or leave this out", name, ref)})
		default:
			return &view.Features[at]
		}
		return nil
	}
	if len(sv.Rename) > 0 {
		pin.Names = make([]string, len(features))
		for i, at := range features {
			pin.Names[i] = cmp.Or(sv.Rename[view.Features[at].Name], OutputName(view.Name, view.Features[at].Name))
		}
		for _, name := range slices.Sorted(maps.Keys(sv.Rename)) {
			picked(fmt.Sprintf("rename[%q]", name), name)
		}
	}
	if len(sv.Defaults) > 0 {
		pin.Defaults = make([]Value, len(features))
		for _, name := range slices.Sorted(maps.Keys(sv.Defaults)) {
			field := fmt.Sprintf("defaults[%q]", name)
			f := picked(field, name)
			if f == nil {
				continue
			}
			v, err := ValueOf(sv.Defaults[name], f.Type)
			switch {
			case err != nil:
				problems = append(problems, Problem{Field: field, Message: fmt.Sprintf("feature %s, which is %s: %v", name, f.Type, err)})
			case v.IsNull():
				problems = append(problems, Problem{Field: field, Message: fmt.Sprintf("found null as the default of feature %s, expected a "+
					"value; without a default a missing value is NULL already", name)})
			}
			pin.Defaults[slices.Index(features, view.FeatureIndex(name))] = v
		}
	}
	return pin, problems
}

// service checks what can be said of a service without the versions that it is pinned to.
func (v *validation) service(s *Service) {
	if len(s.Views) == 0 {
		v.add("views", "found no views, expected at least one")
	}
	for i := range s.Views {
		sv := &s.Views[i]
		at := fmt.Sprintf("views[%d]", i)
		for j := range i {
			if s.Views[j].View == sv.View {
				v.add(at+".view", "found view %s a second time, expected each once; put its features together", sv.View)
			}
		}
		for j, name := range sv.Features {
			if slices.Contains(sv.Features[:j], name) {
				v.add(fmt.Sprintf("%s.features[%d]", at, j), "found feature %s a second time, expected each once", name)
			}
		}
		v.outputNames(at, sv)
		view := v.findView(sv.View)
		if view == nil && !v.known.Views[sv.View] {
			v.add(at+".view", "found no view called %s%s", sv.View, didYouMean(sv.View, v.viewNames()))
			continue
		}
		if v.whole && sv.Version == 0 {
			_, problems := sv.resolve(view, view.Name)
			for _, p := range problems {
				v.add(at+"."+p.Field, "%s", p.Message)
			}
		}
	}
	v.distinctNames(s)
	v.log(s)
	v.serviceGates(s)
}

// outputNames checks the names that a service gives features, each by itself. An output's name may be any, but for the
// double underscore that names features which have no other.
func (v *validation) outputNames(at string, sv *ServiceView) {
	for _, name := range slices.Sorted(maps.Keys(sv.Rename)) {
		field := fmt.Sprintf("%s.rename[%q]", at, name)
		if message := checkName(sv.Rename[name]); message != "" {
			v.add(field, "%s", message)
		} else if slices.Contains(reservedColumns, sv.Rename[name]) {
			v.add(field, "found the name %s, which is a column of every history table; give it another name", sv.Rename[name])
		}
	}
}

// distinctNames checks that no two features have one name in the output.
func (v *validation) distinctNames(s *Service) {
	taken := map[string]string{}
	for i := range s.Views {
		sv := &s.Views[i]
		for _, name := range slices.Sorted(maps.Keys(sv.Rename)) {
			to := sv.Rename[name]
			if other, ok := taken[to]; ok {
				v.add(fmt.Sprintf("views[%d].rename[%q]", i, name), "found the name %s for %s.%s, which %s has already, expected each name "+
					"once", to, sv.View, name, other)
			}
			taken[to] = sv.View + "." + name
		}
	}
}

// Fingerprint is the service's fingerprint, given what it is pinned to: each view's fingerprint with the features in the
// order of the output. A view that is followed as published counts by what the service promises of it, whatever the version:
// its keys, and the features with their types. Names and defaults of the service's own come behind.
func (s *Service) Fingerprint(pins []ServicePin) Digest {
	enc := newEncoding(KindService, s.Name)
	enc.flag(s.ServesAsGrant)
	enc.number(int64(len(pins)))
	own := false
	for i := range pins {
		p := &pins[i]
		own = own || p.Published || p.Names != nil || p.Defaults != nil
		if p.Published {
			enc.digest(Digest{})
		} else {
			enc.digest(p.View.Fingerprint)
		}
		enc.number(int64(len(p.Features)))
		for _, i := range p.Features {
			enc.text(p.View.Features[i].Name)
		}
	}
	if own {
		for i := range pins {
			enc.own(&pins[i])
		}
	}
	return enc.sum()
}

// own is what a service says of a view beside its version and features.
func (e *encoding) own(p *ServicePin) {
	e.flag(p.Published)
	if p.Published {
		e.text(p.View.Name)
		var keys []Column
		if p.View.EntityVersion != nil {
			keys = p.View.EntityVersion.JoinKeys
		}
		e.columns(keys)
		picked := make([]Column, len(p.Features))
		for i, at := range p.Features {
			picked[i] = p.View.Features[at]
		}
		e.columns(picked)
	}
	for i := range p.Features {
		e.text(p.Name(i))
		e.bytes = p.Default(i).AppendCanonical(e.bytes)
	}
}

// Inputs are the request inputs that reading the view takes, those of on-demand views that it reads included, each name
// once.
func (v *ViewVersion) Inputs() []Column {
	var inputs []Column
	v.visitInputs(func(_ *ViewVersion, c *Column) {
		if findColumn(inputs, c.Name) == nil {
			inputs = append(inputs, *c)
		}
	})
	return inputs
}

func (v *ViewVersion) visitInputs(visit func(*ViewVersion, *Column)) {
	if v.OnDemand == nil {
		return
	}
	for i := range v.OnDemand.Inputs {
		visit(v, &v.OnDemand.Inputs[i])
	}
	for _, w := range v.ViewVersions {
		w.visitInputs(visit)
	}
}

// Histories are the views with a history that reading the view takes: itself, or those that on-demand features read.
func (v *ViewVersion) Histories() []*ViewVersion {
	if v.OnDemand == nil {
		return []*ViewVersion{v}
	}
	var list []*ViewVersion
	for _, w := range v.ViewVersions {
		for _, m := range w.Histories() {
			if !slices.Contains(list, m) {
				list = append(list, m)
			}
		}
	}
	return list
}

// OutputProblems is what collides in what readers of a service hand in and get, once it is resolved: a feature that is called
// as a join key or an input is, and one input of two types. Fields are paths from the service on.
func (s *ServiceVersion) OutputProblems() []Problem {
	var problems []Problem
	add := func(field, format string, args ...any) {
		problems = append(problems, Problem{Kind: KindService, Name: s.Name, Field: field, Message: fmt.Sprintf(format, args...)})
	}
	handed, types, owners := map[string]string{}, map[string]Type{}, map[string]string{}
	for i := range s.Pins {
		for _, m := range s.Pins[i].View.Histories() {
			for _, k := range m.EntityVersion.JoinKeys {
				handed[k.Name] = "the join key " + k.Name + " of entity " + m.Entity
			}
		}
		s.Pins[i].View.visitInputs(func(v *ViewVersion, c *Column) {
			handed[c.Name] = "the input " + c.Name + " of view " + v.Name
			switch before, ok := types[c.Name]; {
			case !ok:
				types[c.Name], owners[c.Name] = c.Type, v.Name
			case before != c.Type:
				add(fmt.Sprintf("views[%d].view", i), "found the input %s of type %s in view %s and of type %s in view %s, expected one type: "+
					"readers give an input once; rename one", c.Name, before, owners[c.Name], c.Type, v.Name)
			}
		})
	}
	outputs := map[string]bool{}
	for i := range s.Pins {
		pin := &s.Pins[i]
		for j := range pin.Features {
			if what, ok := handed[pin.Name(j)]; ok {
				add(fmt.Sprintf("views[%d].rename[%q]", i, pin.View.Features[pin.Features[j]].Name),
					"found the name %s, which is that of %s; give the feature another name", pin.Name(j), what)
			}
			outputs[pin.Name(j)] = true
		}
	}
	for i := range s.Labels {
		at, name := fmt.Sprintf("labels[%d].name", i), s.Labels[i].Name
		if what, ok := handed[name]; ok {
			add(at, "found the name %s, which is that of %s; leave it out: spines have that column anyway", name, what)
		} else if outputs[name] {
			add(at, "found the name %s, which is that of a feature; give the label another name", name)
		}
	}
	return problems
}

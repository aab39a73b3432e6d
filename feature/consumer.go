package feature

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Consumer is something outside that reads what is kept or served here. Nothing of it is run here, and being declared gives it nothing.
type Consumer struct {
	Name string
	// Type is what it is, in a word: `dashboard`.
	Type string
	// URL is where people find it.
	URL string
	// Reads are what it reads: services, views, features, datasets, models, each kind in the order of the file.
	Reads []ConsumerRead
	Docs
}

// ConsumerReadKind is what kind of thing a consumer reads.
type ConsumerReadKind uint8

const (
	ReadsService ConsumerReadKind = iota + 1
	ReadsView
	ReadsFeature
	ReadsDataset
	ReadsModel
)

var consumerReadKindNames = [...]string{"invalid", "service", "view", "feature", "dataset", "model"}

// String is the kind as nodes and grants write it.
func (k ConsumerReadKind) String() string { return consumerReadKindNames[k] }

// ConsumerRead is one thing that a consumer reads.
type ConsumerRead struct {
	Kind ConsumerReadKind
	// Name is that of the service, the view, also of a feature, the dataset or the model.
	Name string
	// Version is 0 for whatever is the newest.
	Version int
	Feature string
}

// Ref is the read as files write it: `NAME`, `NAME@VERSION`, `VIEW.FEATURE`, `VIEW@VERSION.FEATURE`.
func (r ConsumerRead) Ref() string {
	ref := r.Name
	if r.Version != 0 {
		ref += "@" + strconv.Itoa(r.Version)
	}
	if r.Kind == ReadsFeature {
		ref += "." + r.Feature
	}
	return ref
}

// String is the node that it is: `feature:VIEW.FEATURE`.
func (r ConsumerRead) String() string { return r.Kind.String() + ":" + r.Ref() }

// Of reports whether it is read of a definition: as a whole, or, of a view, a feature of it.
func (r ConsumerRead) Of(kind Kind, name string) bool {
	return r.Name == name && (r.Kind == ReadsService && kind == KindService || (r.Kind == ReadsView || r.Kind == ReadsFeature) && kind == KindView)
}

// ReadField is where the i-th of Reads stands: `reads.views[2]`.
func (c *Consumer) ReadField(i int) string {
	place := 0
	for _, r := range c.Reads[:i] {
		if r.Kind == c.Reads[i].Kind {
			place++
		}
	}
	return fmt.Sprintf("reads.%ss[%d]", c.Reads[i].Kind, place)
}

// consumer checks that services, views and features are there; which versions there are is for the registry to know. Datasets and models are
// no definitions, and may be made later.
func (v *validation) consumer(c *Consumer) {
	if len(c.Reads) == 0 {
		v.add("reads", "found nothing that it reads, expected at least one of services, views, features, datasets and models")
	}
	for i, r := range c.Reads {
		field := c.ReadField(i)
		switch r.Kind {
		case ReadsService:
			if !v.hasService(r.Name) {
				v.add(field, "found no service called %s%s", r.Name, didYouMean(r.Name, v.serviceNames()))
			}
		case ReadsView, ReadsFeature:
			w := v.findView(r.Name)
			if w == nil && !v.known.Views[r.Name] {
				v.add(field, "found no view called %s%s", r.Name, didYouMean(r.Name, v.viewNames()))
			}
			if r.Kind == ReadsFeature && w != nil && r.Version == 0 {
				if message := w.MissingFeature(r.Feature, w.Name); message != "" {
					v.add(field, "%s", message)
				}
			}
		}
	}
}

func (v *validation) hasService(name string) bool {
	return v.known.Services[name] || slices.ContainsFunc(v.definitions.Services, func(s Service) bool { return s.Name == name })
}

func (v *validation) serviceNames() []string {
	var names []string
	for i := range v.definitions.Services {
		names = append(names, v.definitions.Services[i].Name)
	}
	for name := range v.known.Services {
		names = append(names, name)
	}
	return sortedSet(names)
}

// MissingFeature says that the view, called ref, has no feature of a name; or "".
func (v *View) MissingFeature(name, ref string) string {
	switch {
	case v.FeatureIndex(name) >= 0:
		return ""
	case findColumn(v.Attributes, name) != nil:
		return fmt.Sprintf("found %s, which is an attribute of view %s, expected a feature: attributes are never served", name, ref)
	}
	return fmt.Sprintf("found no feature called %s in view %s%s", name, ref, didYouMean(name, columnNames(v.Features)))
}

// Fingerprint is the consumer's fingerprint: its name, what it is and the set of what it reads.
func (c *Consumer) Fingerprint() Digest {
	e := newEncoding(KindConsumer, c.Name)
	e.text(c.Type)
	e.texts(c.reads())
	return e.sum()
}

// reads are the nodes that it reads, in their order.
func (c *Consumer) reads() []string {
	nodes := make([]string, len(c.Reads))
	for i, r := range c.Reads {
		nodes[i] = r.String()
	}
	return sortedSet(nodes)
}

// DiffConsumer is what differs from before to after.
func DiffConsumer(before, after *ConsumerVersion) Difference {
	d := Difference{WordsOnly: before.Fingerprint == after.Fingerprint}
	d.field("kind", before.Type, after.Type)
	old, now := before.reads(), after.reads()
	for _, r := range old {
		if !slices.Contains(now, r) {
			d.line("no longer reads %s", r)
		}
	}
	for _, r := range now {
		if !slices.Contains(old, r) {
			d.line("reads %s now", r)
		}
	}
	d.field("url", before.URL, after.URL)
	d.docs(&before.Docs, &after.Docs)
	return d
}

// Title is what messages call the consumer: `consumer sales, a dashboard of bi`.
func (c *Consumer) Title() string {
	title := "consumer " + c.Name
	if c.Type != "" {
		title += ", " + article(c.Type) + strings.ReplaceAll(c.Type, "_", " ")
	}
	if c.Owner != "" {
		title += " of " + c.Owner
	}
	return title
}

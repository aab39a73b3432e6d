package feature

import "slices"

// impactTags are tags of what is about people so that a model trained on it may repeat what was unjust: decisions that people made, and the
// fields in which laws ask for care. The list is closed.
var impactTags = []string{"human_decision", "credit", "education", "employment", "housing", "insurance"}

// ImpactTags are those by which a dataset is held until somebody has looked at its impact on people, in an order for readers.
func ImpactTags() []string { return slices.Clone(impactTags) }

// IsImpactTag reports whether a tag is one of ImpactTags.
func IsImpactTag(tag string) bool { return slices.Contains(impactTags, tag) }

// EachSource gives each source that a view's values may come from, by whatever it reads; one may come again.
func (v *ViewVersion) EachSource(do func(*SourceVersion)) {
	for _, s := range v.SourceVersions {
		do(s)
	}
	for _, w := range v.ViewVersions {
		w.EachSource(do)
	}
}

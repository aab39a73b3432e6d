package feature

import (
	"fmt"
	"strconv"
)

// The versions below are definitions with every name resolved: what the registry's catalog holds and what the engines
// work on. They are immutable once made.

// EntityVersion is an applied entity.
type EntityVersion struct {
	Version     int
	Fingerprint Digest
	Entity
}

// SourceVersion is an applied source.
type SourceVersion struct {
	Version     int
	Fingerprint Digest
	Source
}

// Ref is `NAME@VERSION`.
func (s *SourceVersion) Ref() string { return s.Name + "@" + strconv.Itoa(s.Version) }

// ViewVersion is an applied view, with the versions of what it reads.
type ViewVersion struct {
	// ID is unique over all versions of all views, and never used again. It names the view's field in online rows.
	ID          int64
	Version     int
	Fingerprint Digest
	View
	// EntityVersion is nil for on-demand features.
	EntityVersion *EntityVersion
	// SourceVersions are in the order of SourceNames, ViewVersions in that of ViewRefs.
	SourceVersions []*SourceVersion
	ViewVersions   []*ViewVersion
	// Analysis is what Postgres made of its SQL. nil for views without SQL, and for versions from before it was kept.
	Analysis *Analysis
}

// Ref is `NAME@VERSION`.
func (v *ViewVersion) Ref() string { return v.Name + "@" + strconv.Itoa(v.Version) }

// RunRef is `NAME@VERSION/SEQ`.
func (v *ViewVersion) RunRef(seq int64) string { return fmt.Sprintf("%s/%d", v.Ref(), seq) }

// ServiceVersion is an applied service, pinned to view versions.
type ServiceVersion struct {
	Version     int
	Fingerprint Digest
	Service
	// Pins are in the order of Service.Views.
	Pins []ServicePin
}

// Ref is `NAME@VERSION`.
func (s *ServiceVersion) Ref() string { return s.Name + "@" + strconv.Itoa(s.Version) }

// Title is what messages call the service, or what stands for one that has no name: what a request lists.
func (s *ServiceVersion) Title() string {
	if s.Name == "" {
		return "the request"
	}
	return "service " + s.Name
}

// PolicyVersion is an applied policy.
type PolicyVersion struct {
	Version     int
	Fingerprint Digest
	Policy
}

// ConsumerVersion is an applied consumer.
type ConsumerVersion struct {
	Version     int
	Fingerprint Digest
	Consumer
}

// Ref is `NAME@VERSION`.
func (c *ConsumerVersion) Ref() string { return c.Name + "@" + strconv.Itoa(c.Version) }

// RoleVersion is an applied role.
type RoleVersion struct {
	Version     int
	Fingerprint Digest
	Role
}

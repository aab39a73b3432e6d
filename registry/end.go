package registry

import (
	"fmt"
	"time"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
)

// End says that a name was removed or retired.
type End struct {
	// Removed: it is in use no longer. Else it is retired: it serves what uses it already, and nothing new may use it.
	Removed bool
	// At, By and Origin are those of the apply that did it.
	At         time.Time
	By, Origin string
}

// nameOf is the name of a definition.
type nameOf struct {
	kind feature.Kind
	name string
}

func (n nameOf) node() string { return node(n.kind, n.name) }

// removed is the End of a name that was removed, or nil.
func (c *Catalog) removed(kind feature.Kind, name string) *End {
	if e := c.ends[nameOf{kind, name}]; e != nil && e.Removed {
		return e
	}
	return nil
}

// retired is the End of a name that is retired, or nil.
func (c *Catalog) retired(kind feature.Kind, name string) *End {
	if e := c.ends[nameOf{kind, name}]; e != nil && !e.Removed {
		return e
	}
	return nil
}

// gone is the fault of a name that was removed.
func (e *End) gone(kind feature.Kind, name string) *fault.Fault {
	f := fault.New(fault.NotFound, "found no %s called %q", kind, name).With("kind", kind.String()).With("name", name)
	f.NoGuess = fmt.Sprintf("it was removed on %s; applying its definition again brings it back", e.At.Format(time.DateOnly))
	return f
}

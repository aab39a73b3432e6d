package feature

import (
	"fmt"
	"slices"
	"strings"
)

// sqlViews checks the views that SQL reads, beyond that they are there: each is a relation of its name beside the sources.
func (v *validation) sqlViews(t *SQLTransform) {
	if len(t.Sources) == 0 && len(t.Views) == 0 {
		v.add("sql.sources", "found no sources and no views, expected at least one of them")
	}
	for i, r := range t.Views {
		at := fmt.Sprintf("sql.views[%d]", i)
		if slices.Contains(t.Sources, r.Name) {
			v.add(at, "found view %s beside source %s, expected names that differ: in SQL each is the relation of its name; rename one, "+
				"or read one of them only", r.Name, r.Name)
		}
		if strings.HasPrefix(r.Name, "pg_") {
			v.add(at, "found view %s, expected a name that does not begin with pg_: those are Postgres's own tables, which SQL would read "+
				"instead", r.Name)
		}
		if w := v.findView(r.Name); w != nil && w.OnDemand != nil {
			v.add(at, "found view %s, whose features are computed when they are read, expected a view with a history; compute them in this "+
				"SQL, or read what they are made of", r.Name)
		}
	}
}

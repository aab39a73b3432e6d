package expr

import (
	"fmt"
	"slices"
	"sync"

	"github.com/headwaterhq/headwater/feature"
)

// compiled keeps the expressions of view versions by their fingerprint, which covers all that compiling looks at.
var compiled sync.Map

// Of is the compiled expressions of an applied view of on-demand features. Each version is compiled once in a process. The
// error says what is wrong with the first expression that cannot be compiled, which an apply would have refused.
func Of(v *feature.ViewVersion) (*View, error) {
	if !v.Fingerprint.IsZero() {
		if x, ok := compiled.Load(v.Fingerprint); ok {
			return x.(*View), nil
		}
	}
	x, problems := CompileVersion(v)
	if len(problems) > 0 {
		p := problems[0]
		return nil, fmt.Errorf("view %s: %s: line %d, column %d: %s", v.Ref(), p.Field, p.Line, p.Column, p.Message)
	}
	if !v.Fingerprint.IsZero() {
		compiled.Store(v.Fingerprint, x)
	}
	return x, nil
}

// CompileVersion is Compile for a view that is resolved to versions of those it reads.
func CompileVersion(v *feature.ViewVersion) (*View, []feature.Problem) {
	return Compile(&v.View, func(name string) ([]feature.Column, bool) {
		i := slices.IndexFunc(v.ViewVersions, func(w *feature.ViewVersion) bool { return w.Name == name })
		if i < 0 {
			return nil, false
		}
		return v.ViewVersions[i].Features, true
	})
}

package expr

import (
	"runtime/debug"
	"sync"
)

// Version is that of the module that compiles and evaluates expressions, "" where the program does not say what it was built of.
var Version = sync.OnceValue(func() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, m := range info.Deps {
		if m.Path == "cel.dev/cel-go" {
			return m.Version
		}
	}
	return ""
})

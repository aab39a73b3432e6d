// Package gomemory sets how much memory a server has and how often it collects garbage. It imports nothing of the product.
package gomemory

import (
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

const (
	// memoryShare of what the process may have, by its control group or else by the machine, is Go's memory limit: near it
	// garbage is collected as often as it takes, rather than that the process is killed.
	memoryShare = 0.8

	// A small heap is collected seldom: a fifth of the processor time of online reads goes into collecting one of some tens of
	// MiB whenever it has doubled, and a thirtieth whenever it is five times as large; and those that are answered meanwhile take longest of
	// all. A large one, as of datasets, may double and no more.
	seldomPercent = 1600
	oftenPercent  = 100
	seldomHeap    = 256 << 20
)

// Set sets what the environment does not: GOMEMLIMIT and GOGC.
func Set(log *slog.Logger) {
	if os.Getenv("GOMEMLIMIT") == "" {
		// The library is silent where it cannot tell how much there is; there is no limit then.
		if limit, err := memlimit.SetGoMemLimitWithOpts(memlimit.WithRatio(memoryShare),
			memlimit.WithProvider(memlimit.ApplyFallback(memlimit.FromCgroup, memlimit.FromSystem))); err == nil && limit > 0 {
			log.Debug("memory limit", "bytes", limit)
		}
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(seldomPercent)
		afterEachCollection(func() { debug.SetGCPercent(gcPercent(liveHeap())) })
	}
}

// gcPercent is by how much a heap may grow, in percent of what was alive after its last collection, before the next one: up to
// seldomHeap in all, within seldomPercent and oftenPercent.
func gcPercent(live uint64) int {
	if live == 0 {
		return seldomPercent
	}
	room := int64(seldomHeap) - int64(live)
	return int(min(max(room*100/int64(live), oftenPercent), seldomPercent))
}

// liveHeap is how many bytes the last collection found alive.
func liveHeap() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindUint64 {
		panic(fmt.Sprintf("found no metric %s in this version of Go", sample[0].Name))
	}
	return sample[0].Value.Uint64()
}

// afterEachCollection calls do after each collection of garbage, from the goroutine of finalizers: an object that nothing holds
// on to is found by every one of them.
func afterEachCollection(do func()) {
	// With a pointer: objects without one may be allocated together, and are then kept by each other.
	type object struct{ _ *object }
	var again func(*object)
	again = func(*object) {
		do()
		runtime.SetFinalizer(&object{}, again)
	}
	runtime.SetFinalizer(&object{}, again)
}

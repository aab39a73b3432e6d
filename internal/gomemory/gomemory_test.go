package gomemory

import (
	"runtime"
	"testing"
)

func TestASmallHeapIsCollectedSeldom(t *testing.T) {
	for live, expected := range map[uint64]int{
		0: 1600, 1: 1600, 15 << 20: 1600, 16 << 20: 1500, 20 << 20: 1180, 51 << 20: 401, 64 << 20: 300, 100 << 20: 156, 128 << 20: 100, 256 << 20: 100, 8 << 30: 100,
	} {
		if found := gcPercent(live); found != expected {
			t.Errorf("%d MiB alive: found %d, expected %d", live>>20, found, expected)
		}
	}
}

func TestSomethingIsDoneAfterEachCollection(t *testing.T) {
	done := make(chan struct{}, 1)
	afterEachCollection(func() {
		select {
		case done <- struct{}{}:
		default:
		}
	})
	// Three, so that it is seen to go on after the first.
	for range 3 {
		for collected := false; !collected; {
			runtime.GC()
			select {
			case <-done:
				collected = true
			default:
				runtime.Gosched()
			}
		}
	}
	if liveHeap() == 0 {
		t.Error("found no heap alive after a collection")
	}
}

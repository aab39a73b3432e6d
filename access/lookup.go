package access

import (
	"maps"
	"sync"
	"sync/atomic"
)

// lookup is a map that is read on every call and written seldom: reading takes no lock, and writing copies it. The zero value
// is empty. It may be used concurrently.
type lookup[K, V comparable] struct {
	now atomic.Pointer[map[K]V]
	mu  sync.Mutex
}

func (l *lookup[K, V]) get(key K) (value V, ok bool) {
	if m := l.now.Load(); m != nil {
		value, ok = (*m)[key]
	}
	return value, ok
}

func (l *lookup[K, V]) len() int {
	if m := l.now.Load(); m != nil {
		return len(*m)
	}
	return 0
}

// add puts in what is not there.
func (l *lookup[K, V]) add(key K, value V) {
	l.change(func(m map[K]V) {
		if _, there := m[key]; !there {
			m[key] = value
		}
	})
}

// put puts in what takes the place of what is there. Where there would be more than most, those that are over go first, then
// any other.
func (l *lookup[K, V]) put(key K, value V, most int, over func(V) bool) {
	l.change(func(m map[K]V) {
		m[key] = value
		if len(m) <= most {
			return
		}
		maps.DeleteFunc(m, func(_ K, v V) bool { return over(v) })
		for k := range m {
			if len(m) <= most {
				return
			}
			if k != key {
				delete(m, k)
			}
		}
	})
}

// keptBy is a lookup of what was made for principals, which bounds it without letting any of them push out what was made for others.
type keptBy[K, V comparable] struct{ lookup[K, madeFor[V]] }

type madeFor[V comparable] struct {
	value V
	// by is the name of the principal.
	by string
}

func (k *keptBy[K, V]) get(key K) (value V, ok bool) {
	made, ok := k.lookup.get(key)
	return made.value, ok
}

// add puts in what is not there. Where there would be more than most, one goes of the principal for whom most was made: so whoever asks in
// ever new ways pushes out its own.
func (k *keptBy[K, V]) add(key K, value V, by string, most int) {
	k.change(func(m map[K]madeFor[V]) {
		if _, there := m[key]; there {
			return
		}
		m[key] = madeFor[V]{value, by}
		if len(m) <= most {
			return
		}
		of, worst := map[string]int{}, by
		for _, made := range m {
			if of[made.by]++; of[made.by] > of[worst] {
				worst = made.by
			}
		}
		for other, made := range m {
			if made.by == worst && other != key {
				delete(m, other)
				return
			}
		}
	})
}

// remove takes a value out, unless another has taken its place.
func (l *lookup[K, V]) remove(key K, value V) {
	l.change(func(m map[K]V) {
		if m[key] == value {
			delete(m, key)
		}
	})
}

func (l *lookup[K, V]) change(do func(map[K]V)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	next := map[K]V{}
	if m := l.now.Load(); m != nil {
		next = maps.Clone(*m)
	}
	do(next)
	l.now.Store(&next)
}

package window

import "slices"

// queue holds the rows of a window that may still become the best in it, by their position, which is the order in which
// rows leave: a row is not held while one that leaves after it, or with it, is as good or better. So they get worse from the
// first on, and the first is the best. Rows that come in the order in which they leave are added in amortised constant
// time; one that comes late moves those that leave after it.
type queue struct {
	// keys is by position, and smaller is better.
	keys []uint64
	rows []uint32
	head int
}

func (q *queue) reset(keys []uint64) { q.keys, q.rows, q.head = keys, q.rows[:0], 0 }

// first is the best row's position.
func (q *queue) first() uint32 { return q.rows[q.head] }

func (q *queue) add(row uint32) {
	live := q.rows[q.head:]
	at := len(live)
	if at > 0 && live[at-1] > row {
		at, _ = slices.BinarySearch(live, row)
	}
	from := at
	key := q.keys[row]
	if at < len(live) && q.keys[live[at]] <= key {
		return
	}
	for from > 0 && q.keys[live[from-1]] >= key {
		from--
	}
	if from == len(live) {
		if q.head > 64 && q.head > len(q.rows)/2 {
			q.rows = q.rows[:copy(q.rows, live)]
			q.head = 0
		}
		q.rows = append(q.rows, row)
		return
	}
	q.rows = slices.Replace(q.rows, q.head+from, q.head+at, row)
}

// leave is called for each row of the window as it leaves, in the order of positions.
func (q *queue) leave(row uint32) {
	if q.head < len(q.rows) && q.rows[q.head] <= row {
		q.head++
	}
}

package offline

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/semaphore"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/read"
)

// packed is the history of a view at a sequence in memory: the columns that are wanted of all its rows, sorted by entity, event
// time and availability. A winner is found in it by a binary search.
type packed struct {
	view AsOf
	// entities number the keys; the rows of entity n are those from first[n] up to first[n+1].
	entities        map[string]uint32
	first           []uint32
	event, arrivals []feature.Time
	// where are the places of the rows in the chunks: chunk and offset.
	where  []uint32
	chunks [][]byte
	// fixed is how many bytes each column that is wanted takes, 0 for those that say it of each value.
	fixed  []int
	fields [][]byte

	memory *semaphore.Weighted
	// taken is what was acquired of memory, used what of it is needed.
	taken, used int64
	// owner is the entity of each row until they are sorted.
	owner []uint32
}

const (
	offsetBits = 20
	chunkBytes = 1 << offsetBits
	// mostChunks is how many the places of rows can tell apart.
	mostChunks = 1 << (32 - offsetBits)
	// rowBytes is what a row takes beside its values, while the rows are sorted: its times twice, its place, entity and order.
	rowBytes = 4*8 + 3*4
	// entityBytes is what an entity takes beside its key's bytes.
	entityBytes = 72
	// takenBytes is how much memory is acquired at once.
	takenBytes = 1 << 20
)

// errMemory is of a history that does not fit into what may be used.
var errMemory = errors.New("the history does not fit into the memory that packed histories may take")

// pack reads a history. It returns errMemory when there is not enough of memory, and has taken none of it then.
func pack(ctx context.Context, tx pgx.Tx, v AsOf, rows int64, memory *semaphore.Weighted) (*packed, error) {
	p := &packed{view: v, entities: map[string]uint32{}, memory: memory}
	stored := v.View.Stored()
	for _, i := range v.wanted() {
		p.fixed = append(p.fixed, fixedBytes(stored[i].Type))
	}
	p.fields = make([][]byte, len(p.fixed))
	// Most of what is expected, so that little is moved; what is expected too much is not taken.
	if rows = min(rows, memoryRows); rows > 0 {
		p.event, p.arrivals = make([]feature.Time, 0, rows), make([]feature.Time, 0, rows)
		p.where, p.owner = make([]uint32, 0, rows), make([]uint32, 0, rows)
	}
	if err := copyOut(ctx, tx.Conn(), scanQuery(v), p.add); err != nil {
		p.release()
		return nil, err
	}
	p.sort()
	return p, nil
}

// memoryRows is how many rows room is made for ahead.
const memoryRows = 1 << 20

// scanQuery is all rows of a history that are visible.
func scanQuery(v AsOf) string {
	columns := append([]string{"entity_key", eventTimeColumn, availableAtColumn, "seq_from"}, v.wantedNames()...)
	return fmt.Sprintf("SELECT %s FROM %s h WHERE %s", quoteAll("h.", columns), historyTable(v.View), v.live())
}

// fixedBytes is what every value of a type takes in the binary format, 0 where they differ.
func fixedBytes(t feature.Type) int {
	switch t.Kind() {
	case feature.TypeBool:
		return 1
	case feature.TypeInt64, feature.TypeFloat64, feature.TypeTimestamp:
		return 8
	}
	return 0
}

// packedBytes is about what the values of a packed row take.
func packedBytes(v AsOf) int {
	stored, wanted := v.View.Stored(), v.wanted()
	n := 2 + (len(wanted)+7)/8
	for _, i := range wanted {
		n += typicalBytes(stored[i].Type)
	}
	return n
}

// take acquires memory for n bytes more.
func (p *packed) take(n int) error {
	p.used += int64(n)
	for p.taken < p.used {
		if !p.memory.TryAcquire(takenBytes) {
			return errMemory
		}
		p.taken += takenBytes
	}
	return nil
}

func (p *packed) release() {
	p.memory.Release(p.taken)
	p.taken, p.chunks = 0, nil
}

// add takes a row: key, event time, availability, sequence, values.
func (p *packed) add(fields [][]byte) error {
	event, err := decodeTime(fields[1])
	if err != nil {
		return err
	}
	available, err := decodeTime(fields[2])
	if err != nil {
		return err
	}
	seq, err := decodeInt64(fields[3])
	if err != nil {
		return err
	}
	entity, ok := p.entities[string(fields[0])]
	if !ok {
		if err := p.take(entityBytes + len(fields[0])); err != nil {
			return err
		}
		entity = uint32(len(p.entities))
		p.entities[string(fields[0])] = entity
	}
	if err := p.take(rowBytes); err != nil {
		return err
	}
	p.event, p.arrivals = append(p.event, event), append(p.arrivals, available)
	p.owner = append(p.owner, entity)
	return p.addValues(seq, fields[4:])
}

// addValues packs a row: its sequence, a bit per column that is NULL, and the values that are not.
func (p *packed) addValues(seq int64, fields [][]byte) error {
	size := binary.MaxVarintLen64 + (len(fields)+7)/8
	for i, f := range fields {
		if f != nil && p.fixed[i] != 0 && len(f) != p.fixed[i] {
			return fmt.Errorf("%s: found a field of %d bytes, expected %d", p.view.View.Ref(), len(f), p.fixed[i])
		}
		size += len(f)
		if p.fixed[i] == 0 {
			size += binary.MaxVarintLen64
		}
	}
	last := len(p.chunks) - 1
	if last < 0 || cap(p.chunks[last])-len(p.chunks[last]) < size || len(p.chunks[last]) >= chunkBytes {
		room := max(chunkBytes, size)
		if len(p.chunks) == mostChunks {
			return errMemory
		}
		if err := p.take(room); err != nil {
			return err
		}
		p.chunks = append(p.chunks, make([]byte, 0, room))
		last++
	}
	chunk := p.chunks[last]
	p.where = append(p.where, uint32(last)<<offsetBits|uint32(len(chunk)))
	chunk = binary.AppendUvarint(chunk, uint64(seq))
	nulls := len(chunk)
	for range (len(fields) + 7) / 8 {
		chunk = append(chunk, 0)
	}
	for i, f := range fields {
		switch {
		case f == nil:
			chunk[nulls+i/8] |= 1 << (i % 8)
			continue
		case p.fixed[i] == 0:
			chunk = binary.AppendUvarint(chunk, uint64(len(f)))
		}
		chunk = append(chunk, f...)
	}
	p.chunks[last] = chunk
	return nil
}

// sort brings the rows into their order.
func (p *packed) sort() {
	p.first = make([]uint32, len(p.entities)+1)
	for _, entity := range p.owner {
		p.first[entity+1]++
	}
	for i := 1; i < len(p.first); i++ {
		p.first[i] += p.first[i-1]
	}
	order := make([]uint32, len(p.owner))
	next := slices.Clone(p.first)
	for row, entity := range p.owner {
		order[next[entity]] = uint32(row)
		next[entity]++
	}
	p.owner = nil
	for i := range len(p.first) - 1 {
		slices.SortFunc(order[p.first[i]:p.first[i+1]], func(a, b uint32) int {
			if c := cmp.Compare(p.event[a], p.event[b]); c != 0 {
				return c
			}
			return cmp.Compare(p.arrivals[a], p.arrivals[b])
		})
	}
	p.event, p.arrivals, p.where = inOrder(p.event, order), inOrder(p.arrivals, order), inOrder(p.where, order)
}

func inOrder[T any](values []T, order []uint32) []T {
	sorted := make([]T, len(values))
	for i, row := range order {
		sorted[i] = values[row]
	}
	return sorted
}

// winner is the point-in-time rule. room is memory for the values.
func (p *packed) winner(w *read.Winner, key []byte, at feature.Time, room func(int) []feature.Value) error {
	*w = read.Winner{Status: read.NoRow}
	entity, ok := p.entities[string(key)]
	if !ok {
		return nil
	}
	begin, end := int(p.first[entity]), int(p.first[entity+1])
	oldest := feature.Time(math.MinInt64)
	if p.view.TTL > 0 {
		oldest = at.Add(-p.view.TTL)
	}
	row := begin + sort.Search(end-begin, func(i int) bool { return p.event[begin+i] > at }) - 1
	for ; row >= begin; row-- {
		known := p.view.AnyArrival || p.arrivals[row] <= at
		switch fresh := p.event[row] >= oldest; {
		case fresh && known:
			return p.unpack(w, row, room)
		case known:
			w.Status = read.Expired
			return nil
		case fresh:
			w.Status = read.NotYetKnown
		}
	}
	return nil
}

func (p *packed) unpack(w *read.Winner, row int, room func(int) []feature.Value) (err error) {
	place := p.where[row]
	b := p.chunks[place>>offsetBits][place&(chunkBytes-1):]
	seq, n := binary.Uvarint(b)
	*w = read.Winner{Status: read.Present, EventTime: p.event[row], AvailableAt: p.arrivals[row], RunSeq: int64(seq)}
	nulls := b[n:]
	b = nulls[(len(p.fixed)+7)/8:]
	for i, size := range p.fixed {
		if nulls[i/8]&(1<<(i%8)) != 0 {
			p.fields[i] = nil
			continue
		}
		if size == 0 {
			length, n := binary.Uvarint(b)
			size, b = int(length), b[n:]
		}
		p.fields[i], b = b[:size:size], b[size:]
	}
	w.Values, err = p.view.decodeValues(p.fields, room)
	return err
}

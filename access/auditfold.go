package access

import (
	"bytes"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// maxFolded bounds the reads of one row: whoever lists records has them all in memory.
const maxFolded = 100

// Earlier is what online reads have of their own that are kept in one row with a later one, from which they differ in nothing else. Each list has one
// element for each of them, in the order in which they came. Their numbers are those before that of the row, without gaps.
type Earlier struct {
	// Logged are their numbers in the append log.
	Logged []int64 `json:"logged"`
	// Times and the others are what a Record calls so.
	Times          []time.Time `json:"times"`
	Addresses      []string    `json:"addresses"`
	ReadIDs        []string    `json:"read_ids"`
	Entities       []int64     `json:"entities"`
	RowsReturned   []int64     `json:"rows_returned"`
	RowsHidden     []int64     `json:"rows_hidden"`
	EntitiesHashes []string    `json:"entities_hashes"`
}

// own is what a read has of its own.
type own struct {
	logged                             int64
	time                               time.Time
	address, readID, hash              string
	entities, rowsReturned, rowsHidden int64
}

func (e *Earlier) len() int { return len(e.Times) }

// even reports whether each has an element in each list, as all have that nobody changed in Postgres.
func (e *Earlier) even() bool {
	for _, n := range []int{
		len(e.Logged), len(e.Addresses), len(e.ReadIDs), len(e.Entities), len(e.RowsReturned), len(e.RowsHidden), len(e.EntitiesHashes),
	} {
		if n != len(e.Times) {
			return false
		}
	}
	return true
}

func (e *Earlier) at(i int) own {
	return own{
		logged: e.Logged[i], time: e.Times[i], address: e.Addresses[i], readID: e.ReadIDs[i], hash: e.EntitiesHashes[i],
		entities: e.Entities[i], rowsReturned: e.RowsReturned[i], rowsHidden: e.RowsHidden[i],
	}
}

// moveToEnd has one of them behind all others.
func (e *Earlier) moveToEnd(i int) {
	moveToEnd(e.Logged, i)
	moveToEnd(e.Times, i)
	moveToEnd(e.Addresses, i)
	moveToEnd(e.ReadIDs, i)
	moveToEnd(e.EntitiesHashes, i)
	moveToEnd(e.Entities, i)
	moveToEnd(e.RowsReturned, i)
	moveToEnd(e.RowsHidden, i)
}

func moveToEnd[T any](list []T, i int) {
	v := list[i]
	copy(list[i:], list[i+1:])
	list[len(list)-1] = v
}

func (e *Earlier) add(o *own) {
	e.Logged, e.Times = append(e.Logged, o.logged), append(e.Times, o.time)
	e.Addresses, e.ReadIDs, e.EntitiesHashes = append(e.Addresses, o.address), append(e.ReadIDs, o.readID), append(e.EntitiesHashes, o.hash)
	e.Entities = append(e.Entities, o.entities)
	e.RowsReturned, e.RowsHidden = append(e.RowsReturned, o.rowsReturned), append(e.RowsHidden, o.rowsHidden)
}

// first is the first n of them, in the same memory.
func (e *Earlier) first(n int) Earlier {
	return Earlier{
		Logged: e.Logged[:n], Times: e.Times[:n], Addresses: e.Addresses[:n], ReadIDs: e.ReadIDs[:n], EntitiesHashes: e.EntitiesHashes[:n],
		Entities: e.Entities[:n], RowsReturned: e.RowsReturned[:n], RowsHidden: e.RowsHidden[:n],
	}
}

// isNothing reports whether there are none.
func (e *Earlier) isNothing() bool {
	return e.Logged == nil && e.Times == nil && e.Addresses == nil && e.ReadIDs == nil && e.EntitiesHashes == nil && e.Entities == nil &&
		e.RowsReturned == nil && e.RowsHidden == nil
}

// clean is for reads what that of Record is.
func (e *Earlier) clean() {
	for _, texts := range [][]string{e.Addresses, e.ReadIDs, e.EntitiesHashes} {
		for i := range texts {
			texts[i] = cleanText(texts[i])
		}
	}
	for i := range e.Times {
		e.Times[i] = e.Times[i].UTC().Truncate(time.Microsecond)
	}
}

// own is what a record has that others of its row have of their own.
func (r *kept) own() own {
	return own{
		logged: r.logged, time: r.Time, address: r.ClientAddress, readID: r.ReadID, hash: r.EntitiesHash,
		entities: r.Entities, rowsReturned: r.RowsReturned, rowsHidden: r.RowsHidden,
	}
}

func (r *kept) setOwn(o *own) {
	r.logged, r.Time, r.ClientAddress, r.ReadID, r.EntitiesHash = o.logged, o.time, o.address, o.readID, o.hash
	r.Entities, r.RowsReturned, r.RowsHidden = o.entities, o.rowsReturned, o.rowsHidden
}

// first is the number of the first record of a row.
func (r *kept) first() int64 { return r.Number - int64(r.Earlier.len()) }

// each calls do with each record of a row by itself. They share memory.
func (r *kept) each(do func(*kept) error) error {
	one := *r
	one.Earlier = Earlier{}
	for i := range r.Earlier.len() {
		o := r.Earlier.at(i)
		one.setOwn(&o)
		one.Number = r.first() + int64(i)
		if err := do(&one); err != nil {
			return err
		}
	}
	o := r.own()
	one.setOwn(&o)
	one.Number = r.Number
	return do(&one)
}

// logged is a record of the append log.
type logged struct {
	number  int64
	payload []byte
	// fixed is what reads of one row have in common, of one that may be kept with others, and own is what it has beside. nil: it is a row by itself,
	// whole.
	fixed []byte
	own   own
	whole *kept
}

// split sets fixed and own where a record is that of an online read, written as appendServed writes it. like is what another one had in common with
// others, nil for none: where this one has the same, its fields need not be looked at.
func (l *logged) split(like []byte) {
	b, fixed := l.payload, 0
	var calls uint64
	var texts string
	l.own = own{logged: l.number}
	at, begins, ends := 0, 0, 0
	for at < len(b) {
		field, kind, n := protowire.ConsumeTag(b[at:])
		if n < 0 {
			return
		}
		size := protowire.ConsumeFieldValue(field, kind, b[at+n:])
		if size < 0 {
			return
		}
		from := at
		at += n + size
		if kind == protowire.BytesType {
			switch field {
			case fieldPrincipal, fieldCredential, fieldRole, fieldMethod, fieldAction, fieldResource, fieldDecision, fieldReason, fieldPurpose, fieldExtent:
				// All of them stand behind the time, and before what is of the read alone.
				if fixed++; fixed == 1 {
					begins = from
				} else if ends != from {
					return
				}
				ends = at
				continue
			case fieldClientAddress, fieldReadID, fieldEntitiesHash:
				if ends == 0 {
					return
				}
				if texts == "" {
					texts = string(b[ends:])
				}
				v, _ := protowire.ConsumeBytes(b[from+n : at])
				text := texts[at-len(v)-ends : at-ends]
				switch field {
				case fieldClientAddress:
					l.own.address = text
				case fieldReadID:
					l.own.readID = text
				default:
					l.own.hash = text
				}
				continue
			}
			return
		}
		if kind != protowire.VarintType {
			return
		}
		v, _ := protowire.ConsumeVarint(b[from+n : at])
		switch field {
		case fieldTime:
			if from != 0 {
				return
			}
			l.own.time = time.UnixMicro(protowire.DecodeZigZag(v)).UTC()
			if like != nil && bytes.HasPrefix(b[at:], like) {
				fixed, begins, ends = 1, at, at+len(like)
				at = ends
			}
		case fieldCalls:
			calls = v
		case fieldEntities:
			l.own.entities = int64(v)
		case fieldRowsReturned:
			l.own.rowsReturned = int64(v)
		case fieldRowsHidden:
			l.own.rowsHidden = int64(v)
		default:
			return
		}
	}
	if calls == 1 && l.own.readID != "" && !l.own.time.IsZero() && ends > begins {
		l.fixed = b[begins:ends:ends]
	}
}

// folding gathers reads that go into one row. The zero value is empty; its memory is used again.
type folding struct {
	// of has the place of each row by what its reads have in common.
	of   map[string]int
	rows []foldedRow
}

// foldedRow is a row that reads are gathered for.
type foldedRow struct {
	// first is the payload of the first of them.
	first []byte
	// all are they, with the one that is to be the row's own.
	all Earlier
}

func (f *folding) reset() {
	clear(f.of)
	f.rows = f.rows[:0]
}

// add takes a read in. Where its row is full, write is called with that.
func (f *folding) add(l *logged, write func(*kept) error) error {
	at, ok := f.of[string(l.fixed)]
	if !ok {
		if f.of == nil {
			f.of = map[string]int{}
		}
		if at = len(f.rows); at < cap(f.rows) {
			f.rows = f.rows[:at+1]
		} else {
			f.rows = append(f.rows, foldedRow{})
		}
		f.of[string(l.fixed)] = at
		f.rows[at].begin(l.payload)
	}
	row := &f.rows[at]
	row.all.add(&l.own)
	if row.all.len() < maxFolded {
		return nil
	}
	err := row.write(write)
	row.begin(l.payload)
	return err
}

func (r *foldedRow) begin(first []byte) { r.first, r.all = first, r.all.first(0) }

// flush calls write with all rows.
func (f *folding) flush(write func(*kept) error) error {
	for i := range f.rows {
		if err := f.rows[i].write(write); err != nil {
			return err
		}
	}
	return nil
}

// write calls write with the row, if there is any read for it. The newest is the row's own, so whoever looks for records by time finds the row by that.
func (r *foldedRow) write(write func(*kept) error) error {
	n := r.all.len()
	if n == 0 {
		return nil
	}
	newest := n - 1
	for i := range n {
		if r.all.Times[i].After(r.all.Times[newest]) {
			newest = i
		}
	}
	main := r.all.at(newest)
	r.all.moveToEnd(newest)
	row := kept{}
	if err := row.read(r.first); err != nil {
		return err
	}
	row.setOwn(&main)
	if n > 1 {
		row.Earlier = r.all.first(n - 1)
	}
	return write(&row)
}

package online

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/read"
)

// Lookup is one read: the keys that it asks for, and what was found. It is used in this order: AddKey or SameKeys for all rows of
// each view, in the order of the plan's views; Fetch; Judge; then what was found; Close. It is not safe for concurrent use.
type Lookup struct {
	reader *Reader
	plan   *Plan
	// rows[v][i] is the command, of those of the view's group, that fetches row i of view v, plus 1; 0 for none.
	rows [][]int32
	// queries are by group, and some of them those of other reads. sent are those that are asked, at where each is in queries, and
	// missing what it is to find for one of those, nil where it is the query itself.
	queries []*query
	sent    []*query
	at      []int
	missing []*missing
	// judged[v][k] is what was made of the row of view v under command k-1; judged[v][0] is of entities without a key.
	judged [][]judged
	// all[v] is what the rows of view v have in common.
	all    []common
	signal *signal
	// commands and shards are memory for what is sent.
	commands []command
	shards   []shard
	statuses []byte
	// filtered is what a row filter is given.
	filtered []feature.Value
	key      []byte
	// masked, spans and texts are memory for masked values.
	masked []maskedValue
	spans  []span
	texts  []byte
	// partial is what AllowPartial says, and away then why something did not answer, nil where all did.
	partial bool
	away    error
}

// judged is a winner that is still packed.
type judged struct {
	// row is "" without a winner, and status then says why.
	row                    string
	status                 read.Status
	eventTime, availableAt feature.Time
	runSeq                 int64
	// hidden says that there would be one, were it not for the filter.
	hidden bool
}

// common is what the rows of one view of a read have in common.
type common struct {
	// there says that each has a winner, of status.
	there  bool
	status read.Status
	// nulls has the null bits of each winner.
	nulls []byte
}

var lookups sync.Pool

// Lookup begins a read.
func (r *Reader) Lookup(plan *Plan) *Lookup {
	l, _ := lookups.Get().(*Lookup)
	if l == nil {
		l = &Lookup{signal: &signal{done: make(chan struct{}, 1)}}
	}
	l.reader, l.plan, l.partial, l.away = r, plan, false, nil
	l.rows, l.judged, l.all = resize(l.rows, len(plan.views)), resize(l.judged, len(plan.views)), resize(l.all, len(plan.views))
	l.queries = l.queries[:0]
	for _, g := range plan.groups {
		l.queries = append(l.queries, g.newQuery())
	}
	return l
}

// resize is s with n elements, each of them without its own elements but with their memory.
func resize[T any](s []T, n int) []T {
	if cap(s) < n {
		s = append(s[:cap(s)], make([]T, n-cap(s))...)
	}
	return s[:n]
}

// Close gives back what the read used. Bytes that were appended, and winners, stay good.
func (l *Lookup) Close() {
	for i, c := range l.queries {
		c.release()
		l.queries[i] = nil
	}
	for v := range l.rows {
		l.rows[v] = l.rows[v][:0]
		l.judged[v] = l.judged[v][:0]
	}
	clear(l.sent)
	clear(l.missing)
	clear(l.commands)
	clear(l.masked)
	if cap(l.texts) > maxTexts {
		l.texts = nil
	}
	l.reader, l.plan = nil, nil
	// Without a signal it was left while something was under way that will give one.
	if l.signal != nil {
		lookups.Put(l)
	}
}

// AddKey adds the entity of the next row of a view, by the values of its join keys. The error is of a value that cannot be a key.
func (l *Lookup) AddKey(v int, values []feature.Value) (err error) {
	var ok bool
	if l.key, ok, err = l.plan.views[v].Version.EntityVersion.AppendKey(l.key[:0], values); err != nil {
		return err
	}
	l.addEncoded(v, l.key, ok)
	return nil
}

func (l *Lookup) addEncoded(v int, key []byte, ok bool) {
	row := int32(0)
	if ok {
		row = int32(l.queries[l.plan.views[v].group].add(l.reader.prefix, key)) + 1
	}
	l.rows[v] = append(l.rows[v], row)
}

// SameKeys gives view v the keys of the view before it that Plan.KeysLike says.
func (l *Lookup) SameKeys(v int) { l.rows[v] = append(l.rows[v], l.rows[l.plan.views[v].like]...) }

// Key is the encoded key of row i of a view, "" and false for none.
func (l *Lookup) Key(v, i int) (key string, ok bool) {
	if k := l.rows[v][i]; k > 0 {
		return l.query(v).entityKey(int(k)-1, l.reader.prefix), true
	}
	return "", false
}

func (l *Lookup) query(v int) *query { return l.queries[l.plan.views[v].group] }

// Fetch asks Redis, in one round trip: one command for each distinct entity. Reads that come at the same time share a pipeline,
// and a command where they ask for the same. Of views that declare a cache, what is in there is not asked for.
func (l *Lookup) Fetch(ctx context.Context) error {
	l.sent, l.at, l.missing = l.sent[:0], l.at[:0], l.missing[:0]
	for g, c := range l.queries {
		if len(c.ends) == 0 {
			continue
		}
		var m *missing
		if c.group.cache > 0 {
			if c, m = l.takeCached(c, l.reader.now()); c == nil {
				continue
			}
		}
		l.sent, l.at, l.missing = append(l.sent, c), append(l.at, g), append(l.missing, m)
	}
	if len(l.sent) == 0 {
		return nil
	}
	err := l.fetch(ctx)
	for i, c := range l.sent {
		m := l.missing[i]
		if m == nil {
			l.queries[l.at[i]] = c
			continue
		}
		if err == nil {
			l.keep(c, m)
		}
		c.release()
	}
	if err == nil && l.away != nil && l.knowsNothing() {
		return failed(ctx, l.reader.client, l.away)
	}
	return err
}

// fetch has what is to be sent answered.
func (l *Lookup) fetch(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return failed(ctx, l.reader.client, err)
	}
	sending, once := ctx, ctx
	if l.partial {
		var end context.CancelFunc
		sending, end = partialContext(ctx)
		defer end()
		// Half of it is for who asks again.
		deadline, _ := sending.Deadline()
		once, end = context.WithDeadline(sending, time.Now().Add(time.Until(deadline)/2))
		defer end()
	}
	whole, err := l.fetchOnce(once)
	switch {
	case ctx.Err() != nil:
		return failed(ctx, l.reader.client, ctx.Err())
	case err == nil && whole:
		return nil
	}
	return l.fetchAgain(ctx, sending)
}

// fetchOnce has the queries sent once, and reports whether all is there then. The error is that of ctx; some of them may be under way
// then.
func (l *Lookup) fetchOnce(ctx context.Context) (whole bool, err error) {
	if b := l.reader.batcher; b != nil {
		err = l.fetchShared(ctx, b)
	} else {
		l.fetchShards(ctx, l.reader.cluster)
		err = ctx.Err()
	}
	if err != nil {
		return false, err
	}
	return !slices.ContainsFunc(l.sent, func(q *query) bool { return q.failed }), nil
}

// fetchShared has the queries sent to the one Redis. The error is that of ctx.
func (l *Lookup) fetchShared(ctx context.Context, b *batcher) (err error) {
	keys := 0
	for _, c := range l.sent {
		keys += len(c.ends)
	}
	switch {
	case keys >= aloneKeys:
		l.commands, err = b.fetchAlone(ctx, l.sent, l.commands[:0])
		return err
	case b.lead():
		l.commands = b.pool.fetch(ctx, l.sent, l.commands[:0])
		b.led()
		return ctx.Err()
	}
	signal := l.signal
	l.signal = nil
	if err = b.fetch(ctx, l.sent, signal); err == nil {
		l.signal = signal
	}
	return err
}

// fetchAgain asks in a pipeline of its own, with all that go-redis does to have it answered: it repeats commands, follows slots
// that moved, and looks for the nodes of a cluster that changed. sending is how long it may take.
func (l *Lookup) fetchAgain(ctx, sending context.Context) error {
	var commands []*redis.SliceCmd
	for _, c := range l.sent {
		for k := range c.ends {
			args := append(append(make([]any, 0, 2+len(c.group.fields)), "hmget", string(c.key(k))), c.group.fields...)
			commands = append(commands, redis.NewSliceCmd(sending, args...))
		}
	}
	if l.partial {
		l.reader.execParts(sending, commands)
	} else {
		pipe := l.reader.client.Pipeline()
		for _, command := range commands {
			if err := pipe.Process(ctx, command); err != nil {
				return failed(ctx, l.reader.client, err)
			}
		}
		if _, err := pipe.Exec(ctx); err != nil {
			return failed(ctx, l.reader.client, err)
		}
	}
	for i, c := range l.sent {
		own := c.group.newQuery()
		own.text, own.ends = append(own.text, c.text...), append(own.ends, c.ends...)
		own.stored = slices.Grow(own.stored, len(c.ends)*len(c.group.fields))
		for k := range c.ends {
			command := commands[0]
			commands = commands[1:]
			if err := command.Err(); err != nil {
				if !isAway(err) || ctx.Err() != nil {
					own.release()
					return failed(ctx, l.reader.client, err)
				}
				l.away = err
				own.setAway(k)
				own.stored = append(own.stored, make([]storedRow, len(c.group.fields))...)
				continue
			}
			reply := command.Val()
			if len(reply) != len(c.group.fields) {
				own.release()
				return fault.New(fault.Internal, "found %d fields in Redis's answer for entity %s key %q, expected %d",
					len(reply), c.group.entity, c.entityKey(k, l.reader.prefix), len(c.group.fields))
			}
			for _, field := range reply {
				row, ok := field.(string)
				own.stored = append(own.stored, storedRow{row, ok})
			}
		}
		c.release()
		l.sent[i] = own
	}
	return nil
}

// Judge decides, for each row of each view, whether there is a winner at now by the point-in-time rule: Present, NoKey, NoRow,
// Expired or NotYetKnown; Unavailable where nothing is known. Of a view with a filter each row that is not to be seen is NoRow, as
// read.View.Admit and Missing say. stale reports whether what is online of a view may be another by now: its winners are Stale.
//
// Each row is looked at whole, also where its values would not be served: one that is corrupt is an error that names its key.
func (l *Lookup) Judge(now feature.Time, stale func(v *read.View) bool) error {
	for v := range l.plan.views {
		view := &l.plan.views[v]
		c := l.query(v)
		present := read.Present
		if stale != nil && stale(view.View) {
			present = read.Stale
		}
		found := append(l.judged[v][:0], judged{status: read.NoKey})
		found = append(found, make([]judged, len(c.ends))...)
		l.judged[v] = found
		all := &l.all[v]
		all.there, all.status, all.nulls = true, present, append(all.nulls[:0], make([]byte, (view.layout.Columns()+7)/8)...)
		common := all.nulls
		for _, k := range l.rows[v] {
			j := &found[k]
			if j.status == 0 {
				if err := l.judge(view, c, int(k)-1, now, present, j); err != nil {
					return err
				}
			}
			if j.row == "" {
				all.there = false
				continue
			}
			for b, nulls := 0, j.row[headerSize:headerSize+len(common)]; b < len(common); b++ {
				common[b] |= nulls[b]
			}
		}
	}
	return nil
}

func (l *Lookup) judge(view *viewPlan, c *query, k int, now feature.Time, present read.Status, j *judged) error {
	if c.isAway(k) {
		j.status = read.Unavailable
		return nil
	}
	s := &c.stored[k*len(c.group.fields)+view.field]
	if !s.ok {
		j.status = read.NoRow
		return nil
	}
	var h Header
	err := view.layout.check(s.row, &h)
	hidden := false
	if err == nil && view.Filter != nil && !h.Tombstone {
		hidden, err = l.hides(view, s.row, &h)
	}
	if err != nil {
		return fault.New(fault.Internal,
			"the online row of view %s for entity %s key %q cannot be read: %v; something other than "+
				"this version of Headwater wrote it: `headwater online rebuild %s` writes it anew",
			view.Version.Ref(), c.group.entity, c.entityKey(k, l.reader.prefix), err, view.Version.Ref())
	}
	switch {
	case h.Tombstone, hidden:
		j.status = read.NoRow
		j.hidden = hidden && !(view.TTL > 0 && h.EventTime < now.Add(-view.TTL)) && h.EventTime <= now && h.AvailableAt <= now
	case view.TTL > 0 && h.EventTime < now.Add(-view.TTL):
		j.status = view.Missing(read.Expired)
	case h.EventTime > now || h.AvailableAt > now:
		j.status = view.Missing(read.NotYetKnown)
	default:
		// Field by field: a whole one would be made elsewhere first, and copied.
		j.row, j.status = s.row, present
		j.eventTime, j.availableAt, j.runSeq = h.EventTime, h.AvailableAt, h.RunSeq
	}
	return nil
}

// Rows counts the rows of all views that have a winner, and those that have none since a filter hides it.
func (l *Lookup) Rows() (found, hidden int64) {
	for v, rows := range l.rows {
		if l.all[v].there {
			found += int64(len(rows))
			continue
		}
		judged := l.judged[v]
		for _, k := range rows {
			switch j := &judged[k]; {
			case j.row != "":
				found++
			case j.hidden:
				hidden++
			}
		}
	}
	return found, hidden
}

// Entities gives the distinct entities that the read asks for, in the order in which they were added: each with its encoded key, which holds
// until the next.
func (l *Lookup) Entities(yield func(entity string, key []byte) bool) {
	for _, q := range l.queries {
		for k := range q.ends {
			if !yield(q.group.entity, q.key(k)[len(l.reader.prefix)+len(q.group.entity)+2:]) {
				return
			}
		}
	}
}

// Winners unpacks what was found for a view, row by row. Rows with an entity in common share Values, which are read only.
func (l *Lookup) Winners(v int) ([]read.Winner, error) {
	view := &l.plan.views[v]
	l.query(v).kept.Store(true)
	columns := view.layout.Columns()
	unpacked := make([]read.Winner, len(l.judged[v]))
	values := make([]feature.Value, columns*len(l.judged[v]))
	winners := make([]read.Winner, len(l.rows[v]))
	for i, k := range l.rows[v] {
		if j := &l.judged[v][k]; unpacked[k].Status == 0 {
			unpacked[k] = read.Winner{Status: j.status}
			if j.row != "" {
				own := values[int(k)*columns : (int(k)+1)*columns : (int(k)+1)*columns]
				if _, err := view.layout.Decode(j.row, own); err != nil {
					return nil, errors.New("found a row that changed while it was read")
				}
				unpacked[k] = read.Winner{Status: j.status, EventTime: j.eventTime, AvailableAt: j.availableAt, RunSeq: j.runSeq, Values: own}
			}
		}
		winners[i] = unpacked[k]
	}
	return winners, nil
}

// Provenance is where the value of row i of a view comes from; all zero without a winner.
func (l *Lookup) Provenance(v, i int) (eventTime, availableAt feature.Time, runSeq int64) {
	j := &l.judged[v][l.rows[v][i]]
	return j.eventTime, j.availableAt, j.runSeq
}

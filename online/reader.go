package online

import (
	"context"

	"github.com/redis/go-redis/v9"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/read"
)

// Reader answers online reads. Safe for concurrent use.
type Reader struct {
	client redis.UniversalClient
	prefix string
}

// NewReader makes a reader of the rows under a prefix; see NewWriter.
func NewReader(client redis.UniversalClient, prefix string) *Reader {
	return &Reader{client: client, prefix: prefix}
}

// Key is the entity of one row of a request, for one view.
type Key struct {
	// Text is the encoded join keys.
	Text string
	// OK is false when a join key is NULL: such an entity has no key.
	OK bool
}

// Read finds the winners at now by the point-in-time rule. keys[v][i] is the entity of row i for view v of the plan, and
// winners[v][i] is what was found for it: Present, NoKey, NoRow, Expired or NotYetKnown. A row that the view's filter
// hides is NoRow, whatever its times; read.View.Admit agrees.
//
// All of it is one round trip. The rows of an entity come with one command, and rows of a request that have an entity in
// common share it: their winners share Values too, which are read only. A row that cannot be decoded is an error that
// names it, never a missing value.
func (r *Reader) Read(ctx context.Context, plan *Plan, keys [][]Key, now feature.Time) (winners [][]read.Winner, err error) {
	f, err := r.fetch(ctx, plan, keys)
	if err != nil {
		return nil, err
	}
	winners = make([][]read.Winner, len(plan.views))
	for g := range plan.groups {
		for _, v := range plan.groups[g].views {
			if winners[v], err = f.winners(plan, g, v, now); err != nil {
				return nil, err
			}
		}
	}
	return winners, nil
}

// fetched is the replies to one read.
type fetched struct {
	// rows[v][i] is the command, of those of the view's group, that fetches row i of view v; noKey for none.
	rows [][]int
	// commands and keys are by group.
	commands [][]*redis.SliceCmd
	keys     [][]string
}

const noKey = -1

func (r *Reader) fetch(ctx context.Context, plan *Plan, keys [][]Key) (*fetched, error) {
	if len(keys) != len(plan.views) {
		return nil, fault.New(fault.Internal, "found keys for %d views, expected %d", len(keys), len(plan.views))
	}
	f := &fetched{
		rows:     make([][]int, len(plan.views)),
		commands: make([][]*redis.SliceCmd, len(plan.groups)),
		keys:     make([][]string, len(plan.groups)),
	}
	pipe := r.client.Pipeline()
	for n := range plan.groups {
		g := &plan.groups[n]
		f.keys[n] = g.distinct(keys, f.rows)
		f.commands[n] = make([]*redis.SliceCmd, len(f.keys[n]))
		for k, key := range f.keys[n] {
			args := make([]any, 0, 2+len(g.fields))
			args = append(args, "hmget", string(appendKey(nil, r.prefix, g.entity, key)))
			cmd := redis.NewSliceCmd(ctx, append(args, g.fields...)...)
			f.commands[n][k] = cmd
			if err := pipe.Process(ctx, cmd); err != nil {
				return nil, failed(ctx, r.client, err)
			}
		}
	}
	if pipe.Len() == 0 {
		return f, nil
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, failed(ctx, r.client, err)
	}
	return f, nil
}

// distinct lists the keys that the group's views are asked for, each once, and notes in rows which of them each row has.
func (g *group) distinct(keys [][]Key, rows [][]int) []string {
	first := g.views[0]
	list := make([]string, 0, len(keys[first]))
	seen := make(map[string]int, len(keys[first]))
	for _, v := range g.views {
		rows[v] = make([]int, len(keys[v]))
		for i, key := range keys[v] {
			switch {
			case !key.OK:
				rows[v][i] = noKey
				continue
			case v != first && i < len(keys[first]) && keys[first][i] == key:
				rows[v][i] = rows[first][i]
				continue
			}
			n, ok := seen[key.Text]
			if !ok {
				n = len(list)
				list = append(list, key.Text)
				seen[key.Text] = n
			}
			rows[v][i] = n
		}
	}
	return list
}

// winners decodes the rows of one view, each once, and hands them to the rows of the request.
func (f *fetched) winners(plan *Plan, g, v int, now feature.Time) ([]read.Winner, error) {
	view := &plan.views[v]
	columns := view.layout.Columns()
	decoded := make([]read.Winner, len(f.keys[g]))
	values := make([]feature.Value, columns*len(f.keys[g]))
	winners := make([]read.Winner, len(f.rows[v]))
	for i, n := range f.rows[v] {
		if n == noKey {
			winners[i].Status = read.NoKey
			continue
		}
		if decoded[n].Status == 0 {
			reply := f.commands[g][n].Val()
			if len(reply) != len(plan.groups[g].fields) {
				return nil, fault.New(fault.Internal, "found %d fields in Redis's answer for entity %s key %q, expected %d",
					len(reply), plan.groups[g].entity, f.keys[g][n], len(plan.groups[g].fields))
			}
			row, ok := reply[view.field].(string)
			if !ok {
				decoded[n].Status = read.NoRow
			} else if err := view.winner(row, values[n*columns:(n+1)*columns:(n+1)*columns], now, &decoded[n]); err != nil {
				return nil, fault.New(fault.Internal,
					"the online row of view %s for entity %s key %q cannot be read: %v; something other than "+
						"this version of Headwater wrote it: `headwater online rebuild %s` writes it anew",
					view.Version.Ref(), plan.groups[g].entity, f.keys[g][n], err, view.Version.Ref())
			}
		}
		winners[i] = decoded[n]
	}
	return winners, nil
}

// winner decides on a row at now. The row is decoded whole in any case: one that is corrupt is an error even when its
// values would not be served.
func (v *viewPlan) winner(row string, values []feature.Value, now feature.Time, w *read.Winner) error {
	h, err := v.layout.Decode(row, values)
	if err != nil {
		return err
	}
	switch {
	case h.Tombstone, v.Filter != nil && !v.Filter(values):
		w.Status = read.NoRow
	case v.TTL > 0 && h.EventTime < now.Add(-v.TTL):
		w.Status = read.Expired
	case h.EventTime > now || h.AvailableAt > now:
		w.Status = read.NotYetKnown
	default:
		*w = read.Winner{
			Status: read.Present, EventTime: h.EventTime, AvailableAt: h.AvailableAt, RunSeq: h.RunSeq, Values: values,
		}
	}
	return nil
}

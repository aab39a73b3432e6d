package online

import (
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/headwaterhq/headwater/internal/wire"
	"github.com/headwaterhq/headwater/read"
)

// Plan is a read plan with all that does not change from one read to the next worked out: make one per read.Plan, and keep
// both together. Immutable.
type Plan struct {
	views  []viewPlan
	groups []*group
	// frames are those of the plan's columns, in their order.
	frames []wire.VectorFrame
}

type viewPlan struct {
	*read.View
	layout *Layout
	// group is the position of the group that has the view, field that of the view's row in its replies.
	group, field int
	// like is a view before this one whose keys are always the same, or -1.
	like int
}

// group is the views of one entity, whose rows come with one command per key.
type group struct {
	// id is no other group's.
	id     uint64
	entity string
	// cache is for how long all of its rows may be kept, 0 where those of one of its views may not: it must be asked then anyway.
	cache time.Duration
	views []int
	// fields are those of the views' rows, as go-redis takes them.
	fields []any
	// begin and end are what a command for a key has before and behind the key, as it is sent, and reply is what the fields that
	// answer it come after.
	begin, end, reply []byte
	// queries are those that wait to be used again.
	queries sync.Pool
}

var groups atomic.Uint64

// KeysLike is a view of the plan before view v that has the same keys in every request, because it is of the same entity and
// takes them from the same columns, or -1.
func (p *Plan) KeysLike(v int) int { return p.views[v].like }

// NewPlan compiles p.
func NewPlan(p *read.Plan) *Plan {
	plan := &Plan{views: make([]viewPlan, len(p.Views))}
	byEntity := map[string]int{}
	for i := range p.Views {
		v := &p.Views[i]
		entity := v.Version.Entity
		n, ok := byEntity[entity]
		if !ok {
			n = len(plan.groups)
			byEntity[entity] = n
			plan.groups = append(plan.groups, &group{id: groups.Add(1), entity: entity, cache: v.Version.Cache})
		}
		g := plan.groups[n]
		g.cache = min(g.cache, v.Version.Cache)
		like := slices.IndexFunc(g.views, func(w int) bool {
			return p.Views[w].Version.EntityVersion == v.Version.EntityVersion && len(v.KeyColumns) > 0 && slices.Equal(p.Views[w].KeyColumns, v.KeyColumns)
		})
		if like >= 0 {
			like = g.views[like]
		}
		// Joins read one view for several entities, by one field.
		field := len(g.fields)
		if same := slices.IndexFunc(g.views, func(w int) bool { return p.Views[w].Version.ID == v.Version.ID }); same >= 0 {
			field = plan.views[g.views[same]].field
		} else {
			g.fields = append(g.fields, fieldOf(v.Version.ID))
		}
		plan.views[i] = viewPlan{View: v, layout: NewLayout(v.Version.Stored()), group: n, field: field, like: like}
		g.views = append(g.views, i)
	}
	for _, g := range plan.groups {
		g.encode()
	}
	for i := range p.Columns {
		plan.frames = append(plan.frames, wire.NewVectorFrame(p.Columns[i].Type))
	}
	return plan
}

// encode makes what all of the group's commands have in common.
func (g *group) encode() {
	g.begin = appendBulk(append(strconv.AppendInt([]byte{'*'}, int64(2+len(g.fields)), 10), lineEnd...), "HMGET")
	for _, f := range g.fields {
		g.end = appendBulk(g.end, f.(string))
	}
	g.reply = append(strconv.AppendInt([]byte{'*'}, int64(len(g.fields)), 10), lineEnd...)
}

// Frame is that of vectors of column i.
func (p *Plan) Frame(i int) *wire.VectorFrame { return &p.frames[i] }

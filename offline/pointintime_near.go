package offline

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// A lookup reads the page of the key where the winner is due, and compares with all rows of the entity there that are older. Where an
// entity has many, that is most of what a lookup takes. So it is told where to stop: how far back winners lie is seen from a sample of
// the spine, a first query looks no further, and what it does not find is looked for again without a limit.

// nearQuery looks for winners that are not far back.
type nearQuery struct {
	query string
	// missing are the positions of the fields that say notNear.
	missing []int
}

const (
	// notNear is said in place of a status where there may be a winner further back.
	notNear = -1
	// noWinner is the age of one that is not there.
	noWinner = math.MaxInt64
	// farShare is the part of a spine's rows that is looked up twice.
	farShare = 0.05
	// unlike is the part of a piece's rows that is: with more of them that are far, it is not like the sample, and there is
	// another one.
	unlike = 5
	// sampledPart is how many times as many rows a piece has at least, for a sample to be worth it.
	sampledPart = 8
)

// sample finds how far back the winners lie, from some of the rows that are staged.
func (l *lane) sample(ctx context.Context, rows int) error {
	size := l.pass.options.SampleRows
	if l.sampled || rows < size*sampledPart {
		return nil
	}
	l.sampled = true
	views := l.pass.views()
	ages := make([][]int64, len(views))
	found, err := l.tx.Query(ctx, ageQuery(l.table, views, rows/size))
	if err != nil {
		return err
	}
	age, into := make([]int64, len(views)), make([]any, len(views))
	for i := range age {
		into[i] = &age[i]
	}
	_, err = pgx.ForEachRow(found, into, func() error {
		for i := range age {
			ages[i] = append(ages[i], age[i])
		}
		return nil
	})
	if err != nil {
		return err
	}
	l.near = newNearQuery(l.table, views, ages)
	return nil
}

// newNearQuery makes of ages of winners, as ageQuery finds them, a query that finds all of those views
// but for a few. nil: there is no limit that would do.
func newNearQuery(table string, views []AsOf, ages [][]int64) *nearQuery {
	near, limited := slices.Clone(views), make([]bool, len(views))
	q := &nearQuery{}
	at := 1
	for i := range views {
		limit := limitOf(ages[i], farShare/float64(len(views)))
		if limit > 0 && (near[i].TTL == 0 || limit < near[i].TTL) {
			near[i].TTL, limited[i] = limit, true
			q.missing = append(q.missing, at)
		}
		at += winnerFields(views[i])
	}
	if len(q.missing) == 0 {
		return nil
	}
	nth := 0
	q.query = pointInTimeQuery(table, near, func(v AsOf, key, at string) string {
		nth++
		if limited[nth-1] {
			return fmt.Sprint(notNear)
		}
		return missingStatus(v, key, at)
	})
	return q
}

// limitOf is a time within which all winners lie but for a share of them; zero: there is none of use.
func limitOf(ages []int64, share float64) time.Duration {
	if len(ages) == 0 {
		return 0
	}
	slices.Sort(ages)
	age := ages[int(float64(len(ages)-1)*(1-share))]
	// A limit may be too large for what holds it.
	if age >= noWinner || age >= int64(math.MaxInt64/time.Microsecond) {
		return 0
	}
	return time.Duration(age+1) * time.Microsecond
}

// ageQuery finds, in microseconds, how long before its time the winner of each view was true, noWinner where there is none, for one of
// every so many rows of a staged spine.
func ageQuery(spine string, views []AsOf, every int) string {
	var ages []string
	var laterals strings.Builder
	for i, v := range views {
		v.Wanted = []int{}
		ages = append(ages, fmt.Sprintf("coalesce((extract(epoch FROM s.at - v%d.event_time) * 1000000)::bigint, %d)", i, noWinner))
		laterals.WriteString(lateral(v, i))
	}
	return fmt.Sprintf("SELECT %s\nFROM %s s%s\nWHERE s.row_number %% %d = 0", strings.Join(ages, ", "), spine, laterals.String(), every)
}

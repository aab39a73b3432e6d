package server

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/notify"
	"github.com/headwaterhq/headwater/offline"
	"github.com/headwaterhq/headwater/quality"
	"github.com/headwaterhq/headwater/quality/score"
	"github.com/headwaterhq/headwater/registry"
)

const (
	// scoreEvery is how often scores are made, and forgetEvery how often those are deleted that are too old.
	scoreEvery  = 30 * time.Second
	forgetEvery = time.Hour
)

// scorer makes scores at an interval: keeps them, and has them at hand for Prometheus.
type scorer struct {
	pool      *pgxpool.Pool
	databases *offline.Databases
	registry  *registry.Registry
	head      *head
	// calls has what reads were given.
	calls *calls
	log   *slog.Logger
	// lowScore is below which webhooks are told. 0: defaultLowScore.
	lowScore float64
	// newest are the scores of the last look. nil: there was none yet.
	newest  atomic.Pointer[[]*scored]
	stop    context.CancelFunc
	stopped sync.WaitGroup
}

// facts are what scores are made of, from a time on.
func (s *scorer) facts(ctx context.Context, since time.Time) (*facts, error) {
	return factsOf(ctx, s.pool, s.databases, s.registry.Catalog(), s.head, since)
}

// follow looks until close.
func (s *scorer) follow() {
	var ctx context.Context
	ctx, s.stop = context.WithCancel(context.Background())
	s.stopped.Go(func() {
		forgotten := time.Time{}
		for {
			err := s.look(ctx, time.Now())
			if err == nil && time.Since(forgotten) > forgetEvery {
				forgotten = time.Now()
				err = quality.ForgetScores(ctx, s.pool, forgotten)
			}
			if err != nil && ctx.Err() == nil {
				s.log.WarnContext(ctx, "scores of quality cannot be made; it is tried again", "error", database.Fault(err))
			}
			select {
			case <-ctx.Done():
				// What reads were given since is kept still.
				ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
				defer cancel()
				_ = s.keepFound(ctx, time.Now())
				return
			case <-time.After(scoreEvery):
			}
		}
	})
}

func (s *scorer) close() {
	s.stop()
	s.stopped.Wait()
}

// look makes all scores and keeps them, as of at.
func (s *scorer) look(ctx context.Context, at time.Time) error {
	if err := s.keepFound(ctx, at); err != nil {
		return err
	}
	f, err := s.facts(ctx, at.Add(-defaultQualityAge))
	if err != nil {
		return err
	}
	// Who may list a service need not know of the views that it reads.
	all := f.all(func(string) bool { return false })
	var kept []quality.Scored
	for _, one := range all {
		if one.score != nil {
			kept = append(kept, quality.Scored{Node: one.node, At: at, Score: *one.score, Parts: one.parts})
		}
	}
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if err := quality.KeepScores(ctx, tx, kept); err != nil {
			return err
		}
		return notify.Turn(ctx, tx, s.states(all))
	})
	if err != nil {
		return err
	}
	s.newest.Store(&all)
	return nil
}

// defaultLowScore is below which score webhooks are told, unless it is said.
const defaultLowScore = 60

// states are whether scores are low, and what is online or came last too old: for webhooks. Of what is not known nothing is said.
func (s *scorer) states(all []*scored) (list []notify.State) {
	low := cmp.Or(s.lowScore, defaultLowScore)
	for _, one := range all {
		n := notify.Notice{Node: one.node, OwnedKind: one.kind, OwnedName: one.name, Remedy: "headwater quality " + one.node}
		if one.score != nil {
			below := n
			below.Kind, below.Expected = notify.ScoreLow, fmt.Sprintf("a score of %v or more", low)
			below.Found = fmt.Sprintf("a score of %v", *one.score)
			if worst := score.Worst(one.parts); worst != nil {
				below.Found += fmt.Sprintf(", with %s: %s", worst.Name, worst.Detail)
			}
			if one.run != nil {
				below.Run = one.run.Ref()
			}
			list = append(list, notify.State{Notice: below, In: *one.score < low})
		}
		if one.kind != "service" {
			late := n
			late.Kind, late.Expected, late.Remedy = notify.FreshnessExceeded, "what is as new as declared", fmt.Sprintf("headwater describe %s %s", one.kind, one.name)
			late.Found = "what is older, or nothing"
			list = append(list, notify.State{Notice: late, In: one.late})
		}
	}
	slices.SortStableFunc(list, func(a, b notify.State) int { return strings.Compare(a.Node, b.Node) })
	return list
}

// keepFound keeps what reads were given since it was last called.
func (s *scorer) keepFound(ctx context.Context, at time.Time) error {
	taken := s.calls.takeFound()
	if len(taken) == 0 {
		return nil
	}
	err := quality.AddFound(ctx, s.pool, at, taken)
	if err != nil {
		s.calls.untakeFound(taken)
	}
	return err
}

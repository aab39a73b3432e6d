// Package notify tells people and their programs of what went wrong, by webhooks: it owns what notices say, the names of their kinds, headwater.alarm, and how they are signed.
//
// It may import internal packages. What it tells is written with the commit that it tells of, and delivered by package outbox.
//
// Invariants:
//   - A notice is there if and only if the transaction that it tells of was committed, and is delivered at least once to each webhook that wants its kind, in the order of its subject.
//   - Nothing in a notice is of values of rows, or secret: parts of texts that are kept with marks are hidden.
//   - No run waits for a webhook.
package notify

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/outbox"
)

// Kind says what a notice tells of.
type Kind string

const (
	RunFailed         Kind = "run.failed"
	RunApproved       Kind = "run.approved"
	CheckFailed       Kind = "check.failed"
	CheckWarned       Kind = "check.warned"
	DriftFailed       Kind = "drift.failed"
	DriftWarned       Kind = "drift.warned"
	Anomaly           Kind = "anomaly.found"
	ScoreLow          Kind = "score.low"
	FreshnessExceeded Kind = "freshness.exceeded"
	GateRefused       Kind = "gate.refused"
	DatasetHeld       Kind = "dataset.held"
	DatasetApproved   Kind = "dataset.approved"
)

// Kinds are all of them.
var Kinds = []Kind{
	RunFailed, RunApproved, CheckFailed, CheckWarned, DriftFailed, DriftWarned, Anomaly, ScoreLow, FreshnessExceeded, GateRefused, DatasetHeld, DatasetApproved,
}

// Notice is what is told.
type Notice struct {
	// Kind is in the message's topic.
	Kind Kind `json:"-"`
	// ID tells a notice from others, however often it comes. Add makes it.
	ID string `json:"id"`
	// Node is what it is about: `view:NAME@VERSION`, `service:NAME@VERSION`, `source:NAME` or `dataset:ID`. Those of one are told in their order.
	Node string `json:"node"`
	// Owners are those of the newest version of what owns it: Of, where it is not Node itself. Add looks them up.
	Owners []string `json:"owners"`
	// OwnedKind and OwnedName are the kind and name of the definition whose owner it is.
	OwnedKind string `json:"-"`
	OwnedName string `json:"-"`
	// Run is `VIEW@VERSION/SEQ`, where it is of one.
	Run string `json:"run,omitempty"`
	// Found and Expected are in words, without what is of rows; Remedy is a command that mends it, or shows more.
	Found    string `json:"found"`
	Expected string `json:"expected"`
	Remedy   string `json:"remedy"`
}

const ownerOf = `SELECT coalesce((SELECT e.v -> 0 ->> 'owner' FROM jsonb_each(d.body) AS e (k, v) WHERE jsonb_typeof(e.v) = 'array' LIMIT 1), '')
	FROM headwater.definition d WHERE d.kind = $1 AND d.name = $2 ORDER BY d.version DESC LIMIT 1`

// Add writes notices in their order. It takes a lock of each node until the transaction ends, so that those about one are in the order of commits.
func Add(ctx context.Context, tx pgx.Tx, notices ...Notice) error {
	for i := range notices {
		n := notices[i]
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended('headwater.notice.' || $1, 0))`, n.Node); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, ownerOf, n.OwnedKind, n.OwnedName)
		if err != nil {
			return err
		}
		owners, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		n.Owners = []string{}
		for _, owner := range owners {
			if owner != "" {
				n.Owners = append(n.Owners, owner)
			}
		}
		n.ID, n.Found, n.Expected = uuid.NewString(), fault.Hidden(n.Found), fault.Hidden(n.Expected)
		err = outbox.Add(ctx, tx, outbox.Message{Topic: outbox.Topic(n.Kind), Subject: n.Node, Payload: n, Channel: outbox.Notices})
		if err != nil {
			return err
		}
	}
	return nil
}

// State is whether a node is in what notices of a kind tell of.
type State struct {
	Notice
	In bool
}

// Turn notes states, and tells of those that nodes have come into. Of several servers that note the same one tells. States must be in the order of their nodes.
func Turn(ctx context.Context, tx pgx.Tx, states []State) error {
	rows, err := tx.Query(ctx, `SELECT node || ' ' || kind FROM headwater.alarm`)
	if err != nil {
		return err
	}
	were, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	in := map[string]bool{}
	for _, were := range were {
		in[were] = true
	}
	for i := range states {
		s := &states[i]
		switch was := in[s.Node+" "+string(s.Kind)]; {
		case was == s.In:
		case was:
			if _, err := tx.Exec(ctx, `DELETE FROM headwater.alarm WHERE node = $1 AND kind = $2`, s.Node, s.Kind); err != nil {
				return err
			}
		default:
			tag, err := tx.Exec(ctx, `INSERT INTO headwater.alarm (node, kind, since) VALUES ($1, $2, clock_timestamp()) ON CONFLICT DO NOTHING`, s.Node, s.Kind)
			if err != nil {
				return err
			}
			if tag.RowsAffected() == 0 {
				continue
			}
			if err := Add(ctx, tx, s.Notice); err != nil {
				return err
			}
		}
	}
	return nil
}

// event is what is sent of a notice.
type event struct {
	// Version is that of this shape.
	Version   int       `json:"version"`
	ID        string    `json:"id"`
	Type      string    `json:"type"`
	Timestamp time.Time `json:"timestamp"`
	Data      Notice    `json:"data"`
}

// Package outbox owns the messages to the outside that are written in the commit that they tell of: headwater.outbox, and their delivery, each channel's by one server at a time.
//
// It may import internal packages. It knows nothing of what a message becomes: who sends one says that.
//
// Invariants:
//   - A message is there if and only if the transaction that it tells of was committed, until it was delivered, was given up, or is older
//     than messages are kept.
//   - A message is sent at least once, and always as the same bytes; those of one channel and subject in their order, but for those that are parked.
//   - Messages of one subject are in the order of their ids: who writes about one holds a lock of it.
package outbox

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Topic says what a message tells of.
type Topic string

const (
	// RunStarted to RunCancelled are of attempts of runs: one has begun, knows what it will read, was published, ended with the run, was
	// cancelled, ended and is tried again, or ended with its server.
	RunStarted     Topic = "run.started"
	RunPlanned     Topic = "run.planned"
	RunPublished   Topic = "run.published"
	RunFailed      Topic = "run.failed"
	RunCancelled   Topic = "run.cancelled"
	RunInterrupted Topic = "run.interrupted"
	RunAbandoned   Topic = "run.abandoned"

	DatasetStarted Topic = "dataset.started"
	DatasetBuilt   Topic = "dataset.built"
	DatasetFailed  Topic = "dataset.failed"

	// DefinitionApplied is a version of a definition that was applied, or whose words were.
	DefinitionApplied Topic = "definition.applied"
)

// Message is what is written. Payload becomes JSON; nothing in it is of rows, or secret.
type Message struct {
	Topic   Topic
	Subject string
	Payload any
	// At is when it happened. Zero: now.
	At time.Time
	// Channel is whom it is for.
	Channel Channel
}

// Run is the payload of messages about runs.
type Run struct {
	RunID int64 `json:"run_id"`
	// Run is `VIEW@VERSION/SEQ`, where it has a sequence.
	Run string `json:"run,omitempty"`
	// Attempt is the lease that the attempt began under. 0: none began.
	Attempt int64 `json:"attempt,omitempty"`
	// From and To are the hull of what the attempt computes, once it is planned. nil: nothing.
	From *time.Time `json:"from,omitempty"`
	To   *time.Time `json:"to,omitempty"`
	// Error is why it ended so, as who may list runs is told.
	Error string `json:"error,omitempty"`
	// Stopped is set for an attempt that a stop of its server interrupted.
	Stopped bool `json:"stopped,omitempty"`
	// By and Reason say who cancelled it, and why.
	By     string `json:"by,omitempty"`
	Reason string `json:"reason,omitempty"`

	Position int64  `json:"position,omitempty"`
	Digest   string `json:"digest,omitempty"`
}

// RunSubject is that of all messages about a run.
func RunSubject(id int64) string { return fmt.Sprintf("run:%d", id) }

// Dataset is the payload of messages about builds of datasets.
type Dataset struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	// Service is `NAME@VERSION`, empty for features by reference.
	Service string `json:"service,omitempty"`
	Error   string `json:"error,omitempty"`
	// Stopped is set for a build whose caller, or server, ended it.
	Stopped bool `json:"stopped,omitempty"`
}

// DatasetSubject is that of all messages about a dataset.
func DatasetSubject(id string) string { return "dataset:" + id }

// Definition is the payload of messages about definitions.
type Definition struct {
	Kind     string `json:"kind"`
	Name     string `json:"name"`
	Version  int    `json:"version"`
	Revision int64  `json:"revision"`
}

// DefinitionSubject is that of all messages about a definition.
func DefinitionSubject(kind, name string) string { return "definition:" + kind + ":" + name }

// Add writes messages in their order.
func Add(ctx context.Context, tx pgx.Tx, messages ...Message) error {
	for _, m := range messages {
		var at *time.Time
		if !m.At.IsZero() {
			at = &m.At
		}
		_, err := tx.Exec(ctx, `INSERT INTO headwater.outbox (topic, subject, payload, created_at, channel)
			VALUES ($1, $2, $3, coalesce($4, clock_timestamp()), $5)`, m.Topic, m.Subject, m.Payload, at, m.Channel)
		if err != nil {
			return err
		}
	}
	return nil
}

package readlog

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/fault"
)

// NotFound is the error of a read that is not there.
func NotFound(readID string) error {
	return fault.New(fault.NotFound, "no read %s is kept: its service keeps no log of reads or did not keep this one, it is older than reads are kept, "+
		"or it waits on a server's disk; `headwater reads list` shows those that are, and `headwater trace --service S --entity k=v --at T` computes one that is not", shown(readID)).With("kind", "read").With("name", shown(readID))
}

// shown is a read id as somebody sent it.
func shown(readID string) string {
	if len(readID) > 64 {
		readID = readID[:64]
	}
	return fmt.Sprintf("%q", strings.ToValidUTF8(readID, "?"))
}

// Find reads one, or is NotFound. What this server has on its disk is brought to Postgres first.
func (l *Log) Find(ctx context.Context, readID string) (*headwaterv1.LoggedRead, error) {
	if err := l.Flush(ctx); err != nil {
		return nil, database.Fault(err)
	}
	var record []byte
	err := l.pool.QueryRow(ctx, `SELECT record FROM headwater.read_log WHERE read_id = $1`, readID).Scan(&record)
	if err != nil {
		if err == pgx.ErrNoRows {
			return nil, NotFound(readID)
		}
		return nil, database.Fault(fmt.Errorf("read a logged read: %w", err))
	}
	r := &headwaterv1.LoggedRead{}
	if err := proto.Unmarshal(record, r); err != nil {
		return nil, fmt.Errorf("the logged read %s cannot be decoded: %w", readID, err)
	}
	return r, nil
}

// Filter picks reads. Empty fields pick all.
type Filter struct {
	// Services are names, none of them: nil picks all, an empty list none.
	Services []string
	// Version of the service. 0: all.
	Version int32
	// Entity and Key are one entity: a name and the encoded join keys.
	Entity, Key  string
	PredictionID string
	// Since and Until bound the time of answering: from, and before.
	Since, Until time.Time
	// After is what List returned, to go on behind it.
	After string
	// Limit is how many to return at most.
	Limit int
}

// List returns reads, the newest first, without what they were of: only what the columns of the table have. next is empty after
// the last. What this server has on its disk is brought to Postgres first.
func (l *Log) List(ctx context.Context, f Filter) (reads []*headwaterv1.LoggedRead, next string, err error) {
	if err := l.Flush(ctx); err != nil {
		return nil, "", database.Fault(err)
	}
	where, args := []string{"true"}, []any{}
	add := func(condition string, arg any) {
		args = append(args, arg)
		where = append(where, fmt.Sprintf(condition, len(args)))
	}
	if f.Services != nil {
		add("service = ANY ($%d)", f.Services)
	}
	if f.Version != 0 {
		add("service_version = $%d", f.Version)
	}
	if f.Entity != "" {
		var hashes []int64
		for version := range l.secrets.keys {
			hashes = append(hashes, short(l.Hash(version, f.Entity, f.Key)))
		}
		add("entity_hashes && $%d::bigint[]", hashes)
	}
	if f.PredictionID != "" {
		add("prediction_id <> '' AND prediction_id = $%d", f.PredictionID)
	}
	if !f.Since.IsZero() {
		add("served_at >= $%d", f.Since)
		add("day >= $%d", f.Since.UTC().Truncate(day))
	}
	if !f.Until.IsZero() {
		add("served_at < $%d", f.Until)
		add("day <= $%d", f.Until.UTC().Truncate(day))
	}
	if f.After != "" {
		at, id, err := parseAfter(f.After)
		if err != nil {
			return nil, "", err
		}
		args = append(args, at, id)
		where = append(where, fmt.Sprintf("(served_at, read_id) < ($%d, $%d)", len(args)-1, len(args)))
	}
	args = append(args, f.Limit+1)
	rows, err := l.pool.Query(ctx, `
		SELECT read_id, served_at, service, service_version, log, position, principal, purpose, prediction_id, entities
		FROM headwater.read_log WHERE `+strings.Join(where, " AND ")+fmt.Sprintf(` ORDER BY served_at DESC, read_id DESC LIMIT $%d`, len(args)), args...)
	if err != nil {
		return nil, "", database.Fault(fmt.Errorf("list logged reads: %w", err))
	}
	reads, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (*headwaterv1.LoggedRead, error) {
		r := &headwaterv1.LoggedRead{}
		var at time.Time
		err := row.Scan(&r.ReadId, &at, &r.Service, &r.ServiceVersion, &r.Log, &r.Position, &r.Principal, &r.Purpose, &r.PredictionId, &r.Entities)
		r.ServedAt = timestamp(at)
		return r, err
	})
	if err != nil {
		return nil, "", database.Fault(fmt.Errorf("list logged reads: %w", err))
	}
	if len(reads) > f.Limit {
		reads = slices.Clip(reads[:f.Limit])
		last := reads[len(reads)-1]
		next = fmt.Sprintf("%x", fmt.Sprintf("%d %s", last.GetServedAt().AsTime().UnixMicro(), last.GetReadId()))
	}
	return reads, next, nil
}

func parseAfter(after string) (time.Time, string, error) {
	var micros int64
	var id string
	text, err := hex.DecodeString(after)
	if err == nil {
		_, err = fmt.Sscanf(string(text), "%d %s", &micros, &id)
	}
	if err != nil {
		return time.Time{}, "", fault.New(fault.InvalidArgument, "before: found %q, expected what an answer had as next", after).
			Violating(fault.Violation{Field: "before", Description: "expected what an answer had as next"})
	}
	return time.UnixMicro(micros), id, nil
}

// EachOf reads those of a service on a day in UTC, of all its versions or of one, unless that is 0, in no order. What this server has on its disk is brought
// to Postgres first.
func (l *Log) EachOf(ctx context.Context, service string, version int32, on time.Time, each func(*headwaterv1.LoggedRead) error) error {
	if err := l.Flush(ctx); err != nil {
		return database.Fault(err)
	}
	on = on.UTC().Truncate(day)
	rows, err := l.pool.Query(ctx, `SELECT record FROM headwater.read_log
		WHERE day = $1 AND service = $2 AND ($3::int = 0 OR service_version = $3::int)`, on, service, version)
	if err != nil {
		return database.Fault(fmt.Errorf("read logged reads of a day: %w", err))
	}
	var record []byte
	r := &headwaterv1.LoggedRead{}
	_, err = pgx.ForEachRow(rows, []any{&record}, func() error {
		proto.Reset(r)
		if err := proto.Unmarshal(record, r); err != nil {
			return fmt.Errorf("a logged read of service %s cannot be decoded: %w", service, err)
		}
		return each(r)
	})
	return database.Fault(err)
}

// FindAll reads those of some reads that are in Postgres, by their ids.
func FindAll(ctx context.Context, q database.Querier, readIDs []string) (map[string]*headwaterv1.LoggedRead, error) {
	rows, err := q.Query(ctx, `SELECT record FROM headwater.read_log WHERE read_id = ANY ($1)`, readIDs)
	if err != nil {
		return nil, database.Fault(fmt.Errorf("read logged reads: %w", err))
	}
	found := map[string]*headwaterv1.LoggedRead{}
	var record []byte
	_, err = pgx.ForEachRow(rows, []any{&record}, func() error {
		r := &headwaterv1.LoggedRead{}
		if err := proto.Unmarshal(record, r); err != nil {
			return fmt.Errorf("a logged read cannot be decoded: %w", err)
		}
		found[r.GetReadId()] = r
		return nil
	})
	return found, database.Fault(err)
}

// HashesOfRow are the keyed hashes of the entities of a row of a read.
func (l *Log) HashesOfRow(r *headwaterv1.LoggedRead, row int) (hashes [][]byte) {
	for _, k := range r.GetKeys() {
		if row >= entriesOf(k) {
			continue
		}
		if h := l.hashOf(r, k, row); h != nil {
			hashes = append(hashes, h)
		}
	}
	return hashes
}

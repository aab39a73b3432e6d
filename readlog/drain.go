package readlog

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/appendlog"
	"github.com/headwaterhq/headwater/internal/database"
)

func (l *Log) drainInBackground(ctx context.Context) {
	failing := false
	trimmed := l.options.Now()
	every := time.NewTicker(l.options.drainEvery)
	defer every.Stop()
	for {
		pressing := l.pressing
		if failing {
			pressing = nil
		}
		drain := l.heartbeat
		select {
		case <-ctx.Done():
			return
		case <-pressing:
			drain = l.drain
		case <-every.C:
		}
		l.gathered.Store(0)
		now := l.options.Now()
		err := drain(ctx)
		switch {
		case err != nil && ctx.Err() == nil:
			if !failing {
				l.options.Log.Error("reads wait on this machine's disk for Postgres", "pending", l.log.Pending(), "error", err)
			}
			failing = true
		case failing && err == nil:
			l.options.Log.Info("reads are in Postgres again")
			failing = false
		}
		if err == nil && (now.Sub(trimmed) >= trimEvery || l.full.Load()) {
			trimmed = now
			if err := l.log.Trim(); err != nil {
				l.options.Log.Error("what is in Postgres stays on the disk", "directory", l.dir, "error", err)
			}
		}
	}
}

// heartbeat drains, and says that all reads that were given to the log before the call are in Postgres.
func (l *Log) heartbeat(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, drainTimeout)
	defer cancel()
	var at time.Time
	if err := l.pool.QueryRow(ctx, `SELECT clock_timestamp()`).Scan(&at); err != nil {
		return err
	}
	if err := l.Flush(ctx); err != nil {
		return err
	}
	_, err := l.pool.Exec(ctx, `INSERT INTO headwater.read_log_writer (writer, place, drained_at) VALUES ($1, $2, $3)
		ON CONFLICT (writer) DO UPDATE SET place = excluded.place, drained_at = greatest(read_log_writer.drained_at, excluded.drained_at)`,
		l.log.Writer(), l.place(), at)
	return err
}

// enter says that there is this log, before it takes a read: an erasure is to know of it also when its server dies before it has said more.
// Up to when its reads are in Postgres is not known yet.
func (l *Log) enter(ctx context.Context) error {
	_, err := l.pool.Exec(ctx, `INSERT INTO headwater.read_log_writer (writer, place, drained_at) VALUES ($1, $2, clock_timestamp() - interval '1 hour')
		ON CONFLICT (writer) DO UPDATE SET place = excluded.place`, l.log.Writer(), l.place())
	if err != nil {
		return database.Fault(fmt.Errorf("say where the read log is: %w", err))
	}
	return nil
}

// leave says that nothing is left on the disk.
func (l *Log) leave(ctx context.Context) error {
	_, err := l.pool.Exec(ctx, `DELETE FROM headwater.read_log_writer WHERE writer = $1`, l.log.Writer())
	return err
}

func (l *Log) drain(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, drainTimeout)
	defer cancel()
	return l.log.Drain(ctx, l.insert)
}

// insert puts a batch into Postgres, all of it or none. A read that is there already is left alone.
func (l *Log) insert(ctx context.Context, records []appendlog.Record) error {
	reads := make([]*drained, 0, len(records))
	seen := map[string]bool{}
	days := map[string]time.Time{}
	for _, record := range records {
		r := &drained{record: record.Payload}
		if err := r.decode(); err != nil {
			return fmt.Errorf("read %d of %s cannot be read: %w", record.Number, l.log.Writer(), err)
		}
		if !seen[r.GetReadId()] {
			seen[r.GetReadId()] = true
			reads = append(reads, r)
			d := dayOf(r.LoggedRead)
			days[d.Format(time.DateOnly)] = d
		}
	}
	for _, d := range days {
		if err := l.ensureDay(ctx, d); err != nil {
			return err
		}
	}
	return pgx.BeginFunc(ctx, l.pool, func(tx pgx.Tx) error { return l.insertReads(ctx, tx, reads) })
}

// drained is a read from the disk.
type drained struct {
	// LoggedRead has no features: their values are most of a read, and no column of the table is made of them.
	*headwaterv1.LoggedRead
	record []byte
}

var featuresField = (&headwaterv1.LoggedRead{}).ProtoReflect().Descriptor().Fields().ByName("features").Number()

// decode decodes all of the record but the features.
func (d *drained) decode() error {
	rest := make([]byte, 0, len(d.record)/4)
	for b := d.record; len(b) > 0; {
		number, _, n := protowire.ConsumeField(b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		if number != featuresField {
			rest = append(rest, b[:n]...)
		}
		b = b[n:]
	}
	d.LoggedRead = &headwaterv1.LoggedRead{}
	return proto.Unmarshal(rest, d.LoggedRead)
}

// blank takes rows out of the record too.
func (d *drained) blank(rows []int32) error {
	whole := &headwaterv1.LoggedRead{}
	err := proto.Unmarshal(d.record, whole)
	if err == nil {
		err = blank(whole, rows)
	}
	if err == nil {
		d.record, err = proto.Marshal(whole)
	}
	if err != nil {
		return err
	}
	return d.decode()
}

// dayOf is the day of a read in UTC.
func dayOf(r *headwaterv1.LoggedRead) time.Time { return r.GetServedAt().AsTime().Truncate(day) }

// lockClass is an advisory lock of its own: shared by drains, and taken alone by whoever says that an entity is erased.
const lockClass = 0x4857524c // "HWRL"

func (l *Log) insertReads(ctx context.Context, tx pgx.Tx, reads []*drained) error {
	if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock_shared($1, 0)`, lockClass); err != nil {
		return err
	}
	ids := make([]string, len(reads))
	for i, r := range reads {
		ids[i] = r.GetReadId()
	}
	rows, err := tx.Query(ctx, `SELECT read_id FROM headwater.read_log WHERE read_id = ANY ($1)`, ids)
	if err != nil {
		return err
	}
	there, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	reads = slices.DeleteFunc(reads, func(r *drained) bool { return slices.Contains(there, r.GetReadId()) })
	if len(reads) == 0 {
		return nil
	}
	if err := l.blankErased(ctx, tx, reads); err != nil {
		return err
	}
	_, err = tx.CopyFrom(ctx, pgx.Identifier{"headwater", "read_log"}, []string{
		"day", "read_id", "served_at", "service", "service_version", "log", "position", "principal", "purpose", "prediction_id",
		"entities", "entity_hashes", "record",
	}, pgx.CopyFromSlice(len(reads), func(i int) ([]any, error) {
		r := reads[i]
		return []any{
			dayOf(r.LoggedRead), r.GetReadId(), r.GetServedAt().AsTime(), r.GetService(), r.GetServiceVersion(), r.GetLog(), r.GetPosition(), r.GetPrincipal(),
			r.GetPurpose(), r.GetPredictionId(), r.GetEntities(), l.entityHashes(r.LoggedRead), r.record,
		}, nil
	}))
	if err != nil {
		return err
	}
	return count(ctx, tx, reads)
}

// entityHashes are what the entities of a read are found by, each once.
func (l *Log) entityHashes(r *headwaterv1.LoggedRead) []int64 {
	hashes := []int64{}
	for _, k := range r.GetKeys() {
		for i := range entriesOf(k) {
			if h := l.hashOf(r, k, i); h != nil {
				hashes = append(hashes, short(h))
			}
		}
	}
	slices.Sort(hashes)
	return slices.Compact(hashes)
}

func entriesOf(k *headwaterv1.LoggedKeys) int { return max(len(k.GetKeys()), len(k.GetHashes())) }

// hashOf is the hash of the entity of row i, nil for none.
func (l *Log) hashOf(r *headwaterv1.LoggedRead, k *headwaterv1.LoggedKeys, i int) []byte {
	if slices.Contains(k.GetWithout(), int32(i)) || slices.Contains(r.GetErased(), int32(i)) {
		return nil
	}
	if len(k.GetHashes()) > 0 {
		return k.GetHashes()[i]
	}
	return l.Hash(r.GetHashVersion(), k.GetEntity(), k.GetKeys()[i])
}

// counted is a row of read_log_count.
type counted struct {
	day         time.Time
	service     string
	version     int32
	view        string
	viewVersion int32
	seq         int64
}

// count adds reads to the counts by run. In one order, so that two drains do not wait for each other.
func count(ctx context.Context, tx pgx.Tx, reads []*drained) error {
	type sums struct{ reads, rows int64 }
	all := map[counted]*sums{}
	for _, r := range reads {
		of := map[counted]int64{}
		for _, p := range r.GetProvenance() {
			for _, seq := range p.GetRunSeqs() {
				if seq > 0 {
					of[counted{dayOf(r.LoggedRead), r.GetService(), r.GetServiceVersion(), p.GetView(), p.GetViewVersion(), seq}]++
				}
			}
		}
		for c, n := range of {
			if all[c] == nil {
				all[c] = &sums{}
			}
			all[c].reads++
			all[c].rows += n
		}
	}
	ordered := slices.SortedFunc(maps.Keys(all), func(a, b counted) int {
		return cmp.Or(a.day.Compare(b.day), cmp.Compare(a.service, b.service), cmp.Compare(a.version, b.version),
			cmp.Compare(a.view, b.view), cmp.Compare(a.viewVersion, b.viewVersion), cmp.Compare(a.seq, b.seq))
	})
	batch := &pgx.Batch{}
	for _, c := range ordered {
		batch.Queue(`INSERT INTO headwater.read_log_count AS c VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
			ON CONFLICT (day, service, service_version, view, view_version, run_seq) DO UPDATE
			SET reads = c.reads + excluded.reads, rows = c.rows + excluded.rows`,
			c.day, c.service, c.version, c.view, c.viewVersion, c.seq, all[c].reads, all[c].rows)
	}
	return tx.SendBatch(ctx, batch).Close()
}

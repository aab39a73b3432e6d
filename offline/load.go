package offline

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/fault"
)

// Load is one file or batch of rows in a landing table, or the retraction of one: an appended fact.
type Load struct {
	// ID is unique over all sources.
	ID     int64
	Source string
	// Number is 1, 2, 3 … per source, in commit order.
	Number int64
	// Replaces is the id of the load that this one ended, 0 for none. With RetractReason set it is a retraction.
	Replaces      int64
	RetractReason string
	// EndedBy is the id of the load or retraction that ended this one, 0 while it is live.
	EndedBy int64
	// EndedByRetraction tells which of the two EndedBy is.
	EndedByRetraction bool
	EndedReason       string
	FileName          string
	FileSize          int64
	// FileSHA256 is that of the file the client read; zero for a retraction, and where there is no file.
	FileSHA256 feature.Digest
	Rows       int64
	// EventTimeMin and EventTimeMax are those of its rows, nil for a retraction and where Rows is 0.
	EventTimeMin, EventTimeMax *time.Time
	Principal                  string
	CommittedAt                time.Time
	// IgnoredColumns are those of the file that the source does not have, and that were left out.
	IgnoredColumns []string
	// RowsDigest is that of the rows as they came, in their order. Zero for a retraction, a load of batches, and one from
	// before it was kept.
	RowsDigest feature.Digest
	// Batches is how many it is made of, 0 for a file.
	Batches int
	// Quarantined and Dropped are rows besides Rows that came without what tells where they belong; Reasons says why.
	Quarantined, Dropped int64
	Reasons              []LoadReason
	// Erased is how many of Rows were erased since.
	Erased int64
}

// LoadReason is how many rows of a load were set aside (bucket `quarantined`) or left out (`dropped`) for one reason.
type LoadReason struct {
	Bucket string `json:"bucket"`
	Reason string `json:"reason"`
	Rows   int64  `json:"rows"`
}

// LoadRequest is what is known of a load before its rows.
type LoadRequest struct {
	Source   *feature.SourceVersion
	FileName string
	FileSize int64
	// FileSHA256 is what a file is told by; zero: its rows are.
	FileSHA256 feature.Digest
	// Replaces is the id of the load that this one ends, or 0.
	Replaces  int64
	Principal string
	// IgnoredColumns are those of the file that are left out.
	IgnoredColumns []string
	// Committing is called with the load in the transaction that makes it, last. nil: there is nothing else to commit.
	Committing Committing
}

// Committing is what else is to be in the commit of a load or a retraction, such as the runs that it queues.
type Committing func(ctx context.Context, tx pgx.Tx, l *Load) error

// AppendLoad puts rows into a landing table as one load: all of them or none. Each row holds a value per column of the
// source, in its order, and is used only until the next. An error of rows is returned as it is. The same file is taken
// once, unless it replaces the load that holds it. db is a pool, or a connection where rows are slow to come. The load is
// durable when AppendLoad returns it; after an error that comes of the connection it may be there all the same.
func AppendLoad(ctx context.Context, db beginner, req LoadRequest, rows iter.Seq2[[]feature.Value, error]) (*Load, error) {
	var load *Load
	err := landing(ctx, db, func(tx pgx.Tx, id int64) error {
		aside, err := newAside(req.Source)
		if err != nil {
			return err
		}
		defer aside.close()
		l := &lander{source: req.Source, place: req.FileName, load: id, aside: aside}
		digest := newRowsDigest(req.Source)
		err = l.copy(ctx, tx.Conn(), func() error {
			for row, err := range rows {
				if err != nil {
					return err
				}
				if err := l.add(row); err != nil {
					return err
				}
				digest.add(row)
			}
			return nil
		})
		if err != nil {
			return err
		}
		if l.came.empty() {
			return noRows(req.FileName)
		}
		made := newLoad{LoadRequest: req, id: id, landed: l.came, digest: digest.sum()}
		if err := made.lock(ctx, tx); err != nil {
			return err
		}
		if err := checkReplaces(ctx, tx, &made); err != nil {
			return err
		}
		load, err = made.insert(ctx, tx, aside)
		return err
	})
	if err != nil {
		return nil, err
	}
	tendLanding(ctx, db, req.Source, load)
	return load, nil
}

func noRows(place string) error {
	return fault.New(fault.InvalidRows,
		"%s: found no rows, expected at least one; to withdraw a load without putting another in its place, "+
			"use `headwater loads retract`", place)
}

// landing runs the transaction of one load, whose id it takes. What is committed in it is on disk when it returns, whatever
// the database's settings.
func landing(ctx context.Context, db beginner, do func(tx pgx.Tx, id int64) error) error {
	return pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SET LOCAL synchronous_commit = on`); err != nil {
			return err
		}
		var id int64
		err := tx.QueryRow(ctx, `SELECT nextval(pg_get_serial_sequence('headwater.load', 'id'))`).Scan(&id)
		if err != nil {
			return err
		}
		return do(tx, id)
	})
}

// newLoad is a load whose rows are in the landing table.
type newLoad struct {
	LoadRequest
	id, number int64
	landed     tally
	// digest is that of a file's rows, zero for batches.
	digest  feature.Digest
	batches int
}

// lock takes the load's number. The lock on the landing row makes numbers follow commit order, and what is checked after it
// stays true until the commit.
func (n *newLoad) lock(ctx context.Context, tx pgx.Tx) (err error) {
	n.number, err = nextLoadNumber(ctx, tx, n.Source.Name)
	return err
}

// insert records the load, with the rows that were set aside.
func (n *newLoad) insert(ctx context.Context, tx pgx.Tx, aside *aside) (*Load, error) {
	reasons, err := json.Marshal(n.landed.reasons())
	if err != nil {
		return nil, err
	}
	var digest, sum []byte
	if n.batches == 0 {
		digest = n.digest[:]
	}
	if !n.FileSHA256.IsZero() {
		sum = n.FileSHA256[:]
	}
	_, err = tx.Exec(ctx, `
		INSERT INTO headwater.load (id, source, number, ends, file_name, file_size, file_sha256, rows,
			event_time_min, event_time_max, principal, ignored_columns, committed_at, rows_digest, batches, quarantined, dropped, reasons)
		VALUES ($1, $2, $3, nullif($4::bigint, 0), $5, $6, coalesce($7::bytea, ''), $8, $9, $10, $11, coalesce($12::text[], '{}'),
			clock_timestamp(), $13, $14, $15, $16, $17)`,
		n.id, n.Source.Name, n.number, n.Replaces, n.FileName, n.FileSize, sum, n.landed.rows,
		n.landed.earliest(), n.landed.latest(), n.Principal, n.IgnoredColumns, digest, n.batches, n.landed.setAside("quarantined"),
		n.landed.setAside("dropped"), string(reasons))
	if err != nil {
		return nil, err
	}
	if err := aside.write(ctx, tx.Conn(), n.id); err != nil {
		return nil, err
	}
	load, err := GetLoad(ctx, tx, n.id)
	if err != nil || n.Committing == nil {
		return load, err
	}
	return load, n.Committing(ctx, tx, load)
}

// beginner is a pool or a connection.
type beginner interface {
	Begin(ctx context.Context) (pgx.Tx, error)
}

func nextLoadNumber(ctx context.Context, tx pgx.Tx, source string) (number int64, err error) {
	err = tx.QueryRow(ctx, `
		UPDATE headwater.landing SET last_number = last_number + 1 WHERE source = $1 RETURNING last_number`,
		source).Scan(&number)
	return number, err
}

// checkReplaces refuses a load that cannot take the place of the one that it names, and a file that is there already. One
// without a SHA-256 is told by its rows.
func checkReplaces(ctx context.Context, tx pgx.Tx, n *newLoad) error {
	if n.Replaces != 0 {
		old, err := GetLoad(ctx, tx, n.Replaces)
		if err != nil {
			return err
		}
		if err := checkEnds(old, n.Source.Name); err != nil {
			return err
		}
	}
	if n.batches > 0 {
		return nil
	}
	column, sum, what := "file_sha256", n.FileSHA256, "a file with the same SHA-256 is"
	if sum.IsZero() {
		column, sum, what = "rows_digest", n.digest, "the same rows are"
	}
	var same int64
	var other bool
	err := tx.QueryRow(ctx, `
		SELECT l.id, l.rows_digest <> $4 FROM headwater.load l
		WHERE l.source = $1 AND l.`+column+` = $2 AND l.retract_reason IS NULL AND l.id <> $3
			AND NOT EXISTS (SELECT 1 FROM headwater.load e WHERE e.ends = l.id)
		LIMIT 1`, n.Source.Name, sum[:], n.Replaces, n.digest[:]).Scan(&same, &other)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	if other {
		return fault.New(fault.AlreadyExists, "%s: a file with the same SHA-256 is in source %s already, as load %d, with other rows: the SHA-256 "+
			"that was sent is not that of these rows' file, or the source's columns changed since; send the file's own, or replace that load: "+
			"--replaces %d", n.FileName, n.Source.Name, same, same)
	}
	return fault.New(fault.AlreadyExists,
		"%s: %s in source %s already, as load %d; its rows would count twice. "+
			"To load it again all the same, replace that load: --replaces %d", n.FileName, what, n.Source.Name, same, same)
}

func checkEnds(old *Load, source string) error {
	switch {
	case old.Source != source:
		return fault.New(fault.InvalidArgument, "load %d is one of source %s, not of %s; see `headwater loads list %s`",
			old.ID, old.Source, source, source)
	case old.RetractReason != "":
		return fault.New(fault.FailedPrecondition, "load %d is a retraction, which cannot be replaced or retracted", old.ID)
	case old.EndedBy != 0:
		how := "replaced"
		if old.EndedByRetraction {
			how = "retracted"
		}
		return fault.New(fault.FailedPrecondition, "load %d was %s already, by load %d; see `headwater loads list %s`",
			old.ID, how, old.EndedBy, source)
	}
	return nil
}

// RetractLoad withdraws a load: an appended fact that takes a number of its own. Returns the load that was retracted.
// committing is called with it last.
func RetractLoad(ctx context.Context, pool *pgxpool.Pool, id int64, reason, principal string, committing ...Committing) (*Load, error) {
	var load *Load
	err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		old, err := GetLoad(ctx, tx, id)
		if err != nil {
			return err
		}
		number, err := nextLoadNumber(ctx, tx, old.Source)
		if err != nil {
			return err
		}
		// Read again under the lock.
		if old, err = GetLoad(ctx, tx, id); err != nil {
			return err
		}
		if err := checkEnds(old, old.Source); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `
			INSERT INTO headwater.load (source, number, ends, retract_reason, file_name, file_size, file_sha256, rows,
				principal, committed_at)
			VALUES ($1, $2, $3, $4, '', 0, '', 0, $5, clock_timestamp())`,
			old.Source, number, id, reason, principal)
		if err != nil {
			return err
		}
		if load, err = GetLoad(ctx, tx, id); err != nil {
			return err
		}
		for _, do := range committing {
			if err := do(ctx, tx, load); err != nil {
				return err
			}
		}
		return nil
	})
	return load, err
}

const selectLoad = `
	SELECT l.id, l.source, l.number, coalesce(l.ends, 0), coalesce(l.retract_reason, ''),
		coalesce(e.id, 0), e.retract_reason IS NOT NULL, coalesce(e.retract_reason, ''),
		l.file_name, l.file_size, l.file_sha256, l.rows, l.event_time_min, l.event_time_max, l.principal, l.committed_at,
		l.ignored_columns, l.rows_digest, l.batches, l.quarantined, l.dropped, l.reasons,
		coalesce((SELECT sum(x.rows) FROM headwater.load_erasure x WHERE x.load_id = l.id), 0)::bigint
	FROM headwater.load l LEFT JOIN headwater.load e ON e.ends = l.id`

func scanLoad(row pgx.CollectableRow) (*Load, error) {
	var l Load
	var sum, digest []byte
	err := row.Scan(&l.ID, &l.Source, &l.Number, &l.Replaces, &l.RetractReason, &l.EndedBy, &l.EndedByRetraction,
		&l.EndedReason, &l.FileName, &l.FileSize, &sum, &l.Rows, &l.EventTimeMin, &l.EventTimeMax, &l.Principal,
		&l.CommittedAt, &l.IgnoredColumns, &digest, &l.Batches, &l.Quarantined, &l.Dropped, &l.Reasons, &l.Erased)
	copy(l.FileSHA256[:], sum)
	copy(l.RowsDigest[:], digest)
	return &l, err
}

// GetLoad reads one load, or a NOT_FOUND fault.
func GetLoad(ctx context.Context, q database.Querier, id int64) (*Load, error) {
	rows, err := q.Query(ctx, selectLoad+` WHERE l.id = $1`, id)
	if err != nil {
		return nil, err
	}
	load, err := pgx.CollectExactlyOneRow(rows, scanLoad)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, fault.New(fault.NotFound, "there is no load %d; `headwater loads list SOURCE` shows those there are", id)
	}
	return load, err
}

// LoadsByID reads loads, by id. Those that are not there are left out.
func LoadsByID(ctx context.Context, q database.Querier, ids []int64) ([]*Load, error) {
	rows, err := q.Query(ctx, selectLoad+` WHERE l.id = ANY ($1) ORDER BY l.id`, ids)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanLoad)
}

// ListLoads reads the loads and retractions of a source, by number.
func ListLoads(ctx context.Context, q database.Querier, source string) ([]*Load, error) {
	rows, err := q.Query(ctx, selectLoad+` WHERE l.source = $1 ORDER BY l.number`, source)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanLoad)
}

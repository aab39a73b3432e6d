package materialize

import (
	"context"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/expr"
	"github.com/headwaterhq/headwater/feature"
)

// Engine is what a run was computed by, besides its definition. Two runs on the same inputs that differ may differ by it.
type Engine struct {
	// Headwater, Postgres and CEL are versions. Empty: not known.
	Headwater string `json:"headwater,omitempty"`
	Postgres  string `json:"postgres,omitempty"`
	CEL       string `json:"cel,omitempty"`
	// TimeZones is the beginning of a digest of Postgres's time zone data, where the view's SQL names zones.
	TimeZones string `json:"time_zones,omitempty"`
	// ChunkRows is about how many rows a chunk of it was to read.
	ChunkRows int64 `json:"chunk_rows,omitempty"`
}

// engines tells what runs are computed by.
type engines struct {
	version   string
	chunkRows int64

	mutex sync.Mutex
	zones string
	// lookedAt is when zones were looked at.
	lookedAt time.Time
}

// zonesKept is how long time zone data is taken to stay as it is: all of it is read to tell.
const zonesKept = 10 * time.Minute

func (e *engines) of(ctx context.Context, conn *pgx.Conn, view *feature.ViewVersion) (*Engine, error) {
	postgres, _, _ := strings.Cut(conn.PgConn().ParameterStatus("server_version"), " ")
	engine := &Engine{Headwater: e.version, Postgres: postgres, CEL: expr.Version(), ChunkRows: e.chunkRows}
	if !namesZones(view) {
		return engine, nil
	}
	e.mutex.Lock()
	defer e.mutex.Unlock()
	if e.zones == "" || time.Since(e.lookedAt) > zonesKept {
		// What a zone's rules are is told by what they make of times: both halves of each year that is likely to be in data.
		err := conn.QueryRow(ctx, `
			SELECT left(encode(sha256(convert_to(string_agg(z.name || to_char(t AT TIME ZONE z.name, 'YYYYMMDDHH24MI'), ',' ORDER BY z.name COLLATE "C", t),
				'UTF8')), 'hex'), 12)
			FROM pg_timezone_names z, generate_series(timestamptz '2000-01-01', '2037-12-01', '6 months') t WHERE z.name !~ '^(posix|right)/'`).Scan(&e.zones)
		if err != nil {
			return nil, err
		}
		e.lookedAt = time.Now()
	}
	engine.TimeZones = e.zones
	return engine, nil
}

// namesZones reports whether the SQL of a view may name a time zone.
func namesZones(view *feature.ViewVersion) bool {
	return view.SQL != nil && zoneNamed.MatchString(view.SQL.Query)
}

var zoneNamed = regexp.MustCompile(`(?i)zone|'[a-z_]+/[a-z_/+-]+'`)

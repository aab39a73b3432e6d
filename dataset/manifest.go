package dataset

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/offline"
	"github.com/headwaterhq/headwater/quality/profile"
	"github.com/headwaterhq/headwater/read"
)

// State is what may be done with a dataset.
type State string

const (
	// Built is held: its rows are not given out before it is released.
	Built State = "built"
	// Released may be fetched.
	Released State = "released"
	// Deleted is without spine: only the manifest is left.
	Deleted State = "deleted"
)

// Knowledge is what a row may know.
type Knowledge string

const (
	// KnowledgeArrival is what was available at the row's time.
	KnowledgeArrival Knowledge = ""
	// KnowledgeEvent is what was true by the row's time, whenever it arrived.
	KnowledgeEvent Knowledge = "event"
)

// Manifest is all that is needed to have a dataset again.
type Manifest struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Version int    `json:"version"`
	State   State  `json:"state"`

	// Service is empty where there are Features.
	Service            string `json:"service"`
	ServiceVersion     int    `json:"service_version"`
	ServiceFingerprint string `json:"service_fingerprint"`
	// Features are those that were asked for by reference, `VIEW@VERSION.FEATURE`, in the order of their columns.
	Features []string `json:"features,omitempty"`
	// Views are those with a history, each once however many joins read it.
	Views []ManifestView `json:"views"`
	// OnDemand are the views whose features are computed of those of Views and of the spine; they have no sequence.
	OnDemand []ManifestView `json:"on_demand,omitempty"`
	// Followed are the versions that were read of the views that the service follows as published.
	Followed map[string]int `json:"followed,omitempty"`
	// Position in the publish log that the views are read at.
	Position        int64             `json:"position"`
	TimestampColumn string            `json:"timestamp_column"`
	KeyMapping      map[string]string `json:"key_mapping,omitempty"`
	Joins           []Join            `json:"joins,omitempty"`
	// Knowledge is empty in manifests of servers that knew no other than KnowledgeArrival, and so for that.
	Knowledge Knowledge `json:"knowledge,omitempty"`
	// MayLeak is true where values may come from after the rows' times, by Knowledge.
	MayLeak bool `json:"may_leak,omitempty"`
	// Partial is the rows of the spine of times that no run covered, which were allowed.
	Partial []PartialCoverage `json:"partial,omitempty"`
	Purpose string            `json:"purpose,omitempty"`
	// Use is what the builder said that it is used for, empty for training.
	Use string `json:"use,omitempty"`

	// SpineOrigin is nil for a spine that was sent.
	SpineOrigin *SpineOrigin `json:"spine_origin,omitempty"`

	// WithStatuses says that there is a column of statuses behind each feature.
	WithStatuses bool `json:"with_statuses,omitempty"`
	// LeftOut are the rules by which rows were left out, in the order in which they were asked.
	LeftOut []LeftOut `json:"left_out,omitempty"`

	// SpineRows are the rows of the spine. Rows are those of the result.
	SpineRows int64 `json:"spine_rows,omitempty"`
	Rows      int64 `json:"rows"`
	// RowsFound are the rows of views that were found for rows of the result, and RowsHidden those that row filters hid. They are for the audit: no reader is told. 0 in manifests that are older than they.
	RowsFound  int64 `json:"rows_found,omitempty"`
	RowsHidden int64 `json:"rows_hidden,omitempty"`
	// Summarizer is what made the summaries of the columns. Manifests without it have neither these nor runs nor SpineRows.
	Summarizer string           `json:"summarizer,omitempty"`
	Columns    []ManifestColumn `json:"columns"`
	// SpineDigest and ContentDigest are SHA-256 over the canonical encodings, hex; ArrowSHA256 is that of the result as the
	// Arrow IPC stream that ArrowWriter makes.
	SpineDigest   string `json:"spine_digest"`
	ContentDigest string `json:"content_digest"`
	ArrowSHA256   string `json:"arrow_sha256"`
	ArrowWriter   string `json:"arrow_writer"`

	Principal     string    `json:"principal"`
	CreatedAt     time.Time `json:"created_at"`
	ServerVersion string    `json:"server_version"`
	// Versions are those of other software. nil in manifests that are older than they.
	Versions *Versions `json:"versions,omitempty"`
	// Roles are those that the principal had.
	Roles []string `json:"roles,omitempty"`
	// Policies are what it was built under, and Attributes what the principal had then, where there are any: lists of texts, sorted.
	Policies   []read.Rule         `json:"policies,omitempty"`
	Attributes map[string][]string `json:"attributes,omitempty"`

	// Gates are what was found at the gates that ask something of it: when it was built, or when it was released.
	Gates []GateResult `json:"gates,omitempty"`
	// ImpactTags are those by which it is held until somebody has looked at its impact on people.
	ImpactTags []ImpactTag `json:"impact_tags,omitempty"`
	// ReleaseGates are what its service asked for when it was built, and Late the views that were older than they declare then, where it asked for that.
	ReleaseGates []string   `json:"release_gates,omitempty"`
	Late         []LateView `json:"late,omitempty"`
	// ReleasedAt and ReleasedBy are nil and empty of a dataset that was never held, and of one that is.
	ReleasedAt *time.Time `json:"released_at,omitempty"`
	ReleasedBy string     `json:"released_by,omitempty"`

	// Erasures are what erasures did to it, the oldest first. The digests above are those of the dataset as it was built; Rows and
	// Columns are those of what is left.
	Erasures []Erasure `json:"erasures,omitempty"`

	// DeletedAt, DeletedBy and DeleteReason are set in state Deleted.
	DeletedAt    *time.Time `json:"deleted_at,omitempty"`
	DeletedBy    string     `json:"deleted_by,omitempty"`
	DeleteReason string     `json:"delete_reason,omitempty"`

	// profile is what it is like while it is built.
	profile *profile.Profile
}

// ManifestView is a view version at the sequence that the dataset reads it at.
type ManifestView struct {
	View        string `json:"view"`
	Version     int    `json:"version"`
	Fingerprint string `json:"fingerprint"`
	Seq         int64  `json:"seq"`
	// CoveredFrom and CoveredTo are nil where nothing is covered, and cut to the years 1 to 9999; see feature.Time.Calendar.
	CoveredFrom *time.Time `json:"covered_from,omitempty"`
	CoveredTo   *time.Time `json:"covered_to,omitempty"`
	// Runs are the sequences of the runs that wrote the rows whose values are in the dataset, ascending.
	Runs []int64 `json:"runs,omitempty"`
}

// ManifestColumn is one column of the result.
type ManifestColumn struct {
	Name string `json:"name"`
	Type string `json:"type"`
	// Origin is `spine`, `feature:VIEW@VERSION.NAME`, or `status:VIEW@VERSION.NAME`.
	Origin string `json:"origin"`
	// Nulls is how many of the rows hold no value.
	Nulls int64 `json:"nulls"`
	// Statuses counts the rows of a feature by status.
	Statuses map[string]int64 `json:"statuses,omitempty"`
	// Summary is nil of statuses, and in manifests without a Summarizer.
	Summary *Summary `json:"summary,omitempty"`
}

// Ref is `NAME@VERSION`.
func (m *Manifest) Ref() string { return m.Name + "@" + strconv.Itoa(m.Version) }

// view is what the manifest says of a view with a history, or nil.
func (m *Manifest) view(v *feature.ViewVersion) *ManifestView {
	for i := range m.Views {
		if m.Views[i].View == v.Name && m.Views[i].Version == v.Version {
			return &m.Views[i]
		}
	}
	return nil
}

// Find reads a manifest by its id or by `NAME@VERSION`, or returns a NOT_FOUND fault.
func Find(ctx context.Context, q database.Querier, ref string) (*Manifest, error) {
	name, ver, _ := strings.Cut(ref, "@")
	// A number that no version has is 0, which none has either.
	version, err := strconv.ParseInt(ver, 10, 32)
	if err != nil {
		version = 0
	}
	var m Manifest
	err = q.QueryRow(ctx, `SELECT manifest FROM headwater.dataset WHERE id = $1 OR (name = $2 AND version = $3)`,
		ref, name, version).Scan(&m)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, Missing(ref)
	}
	return &m, err
}

// Missing is the fault for a dataset that is not there, or looks so to the caller.
func Missing(ref string) error {
	return fault.New(fault.NotFound,
		"there is no dataset %q; `headwater dataset list` shows those there are, by id and by NAME@VERSION", ref)
}

// List reads manifests of one name, or of all for "", newest first.
func List(ctx context.Context, q database.Querier, name string) ([]*Manifest, error) {
	rows, err := q.Query(ctx, `SELECT manifest FROM headwater.dataset WHERE $1 = '' OR name = $1
		ORDER BY created_at DESC, id`, name)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (*Manifest, error) {
		var m Manifest
		err := row.Scan(&m)
		return &m, err
	})
}

// Sources is a dataset by what it was built from.
type Sources struct {
	ID, Name, Service string
	// ViewIDs are the view versions whose rows it can hold, in order.
	ViewIDs []int64
}

// ListSources reads what each dataset that is kept was built from, by id.
func ListSources(ctx context.Context, q database.Querier) ([]Sources, error) {
	rows, err := q.Query(ctx, `
		SELECT d.id, d.name, d.service, array(SELECT v.view_id FROM headwater.dataset_view v WHERE v.dataset_id = d.id ORDER BY 1)
		FROM headwater.dataset d WHERE d.state <> 'deleted' ORDER BY d.id`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Sources])
}

// insert commits the dataset: manifest, spine and what it reads. Its version is the next of its name.
func insert(ctx context.Context, tx pgx.Tx, m *Manifest, views []offline.AsOf, spine *spool) error {
	// Two builds of one name take their versions one after the other.
	_, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended('headwater.dataset.' || $1, 0))`, m.Name)
	if err != nil {
		return err
	}
	err = tx.QueryRow(ctx, `SELECT coalesce(max(version), 0) + 1, clock_timestamp() FROM headwater.dataset WHERE name = $1`,
		m.Name).Scan(&m.Version, &m.CreatedAt)
	if err != nil {
		return err
	}
	m.CreatedAt = m.CreatedAt.UTC()
	_, err = tx.Exec(ctx, `
		INSERT INTO headwater.dataset (id, name, version, state, service, service_version, position, manifest, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		m.ID, m.Name, m.Version, m.State, m.Service, m.ServiceVersion, m.Position, m, m.CreatedAt)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `
		INSERT INTO headwater.dataset_feature (dataset_id, view_id, feature)
		SELECT DISTINCT $1, v.id, split_part(f.ref, '.', 2) FROM unnest($2::text[]) AS f (ref)
		JOIN headwater.definition v ON v.kind = 'view' AND v.name || '@' || v.version = split_part(f.ref, '.', 1)`, m.ID, m.Features)
	if err != nil {
		return err
	}
	if err := spine.store(ctx, tx, m.ID); err != nil {
		return err
	}
	if err := m.SpineOrigin.insert(ctx, tx, m.ID); err != nil {
		return err
	}
	// What the dataset reads was there until now, and is protected from now on. The lock that this takes is one that runs wait for, so it
	// comes last.
	if err := offline.CheckReadable(ctx, tx, views, true); err != nil {
		return err
	}
	for _, v := range views {
		_, err := tx.Exec(ctx, `INSERT INTO headwater.dataset_view (dataset_id, view_id, seq) VALUES ($1, $2, $3)
			ON CONFLICT DO NOTHING`, m.ID, v.View.ID, v.Seq)
		if err != nil {
			return err
		}
	}
	return nil
}

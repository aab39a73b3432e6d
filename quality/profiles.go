package quality

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/klauspost/compress/zstd"

	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/quality/profile"
)

// maxProfile is more than the encoding of any profile that is kept takes, unpacked.
const maxProfile = 1 << 30

var (
	packer   = sync.OnceValues(func() (*zstd.Encoder, error) { return zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1)) })
	unpacker = sync.OnceValues(func() (*zstd.Decoder, error) {
		return zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxProfile))
	})
)

// PackProfile is a profile as it is stored.
func PackProfile(p *profile.Profile) ([]byte, error) {
	e, err := packer()
	if err != nil {
		return nil, err
	}
	return e.EncodeAll(p.AppendCanonical(nil), nil), nil
}

// UnpackProfile reads what PackProfile wrote.
func UnpackProfile(b []byte) (*profile.Profile, error) {
	d, err := unpacker()
	if err != nil {
		return nil, err
	}
	encoding, err := d.DecodeAll(b, nil)
	if err != nil {
		return nil, err
	}
	return profile.Decode(encoding)
}

// KeepRunProfile keeps what a run's output is like, in the transaction that publishes it.
func KeepRunProfile(ctx context.Context, tx pgx.Tx, run int64, p *profile.Profile) error {
	return keepProfile(ctx, tx, "run_id", run, p)
}

// KeepDatasetProfile keeps what a dataset is like, in the place of what was known of it, which baselines that were made of it know too.
func KeepDatasetProfile(ctx context.Context, tx pgx.Tx, dataset string, p *profile.Profile) error {
	return keepProfile(ctx, tx, "dataset_id", dataset, p)
}

func keepProfile(ctx context.Context, tx pgx.Tx, column string, id any, p *profile.Profile) error {
	packed, err := PackProfile(p)
	if err != nil {
		return err
	}
	digest := p.Digest()
	_, err = tx.Exec(ctx, `INSERT INTO headwater.profile (`+column+`, rows, digest, profile) VALUES ($1, $2, $3, $4)
		ON CONFLICT (`+column+`) DO UPDATE SET rows = excluded.rows, digest = excluded.digest, profile = excluded.profile, erased_at = NULL`,
		id, p.Rows(), digest[:], packed)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `UPDATE headwater.baseline SET rows = $2, digest = $3, profile = $4, erased_at = NULL WHERE `+column+` = $1`, id, p.Rows(), digest[:], packed)
	return err
}

// EraseRunProfile takes away what a run's output is like, of which values may have been an erased entity's, from baselines too.
func EraseRunProfile(ctx context.Context, tx pgx.Tx, run int64) error {
	if err := eraseMeans(ctx, tx, run); err != nil {
		return err
	}
	return eraseProfile(ctx, tx, "run_id", run)
}

// EraseDatasetProfile takes away what a dataset is like, from baselines too.
func EraseDatasetProfile(ctx context.Context, tx pgx.Tx, dataset string) error {
	return eraseProfile(ctx, tx, "dataset_id", dataset)
}

func eraseProfile(ctx context.Context, tx pgx.Tx, column string, id any) error {
	_, err := tx.Exec(ctx, `UPDATE headwater.profile SET profile = NULL, erased_at = clock_timestamp() WHERE `+column+` = $1 AND profile IS NOT NULL`, id)
	if err != nil {
		return err
	}
	return eraseBaselines(ctx, tx, column, id)
}

// KeptProfile is what is kept of a run or a dataset.
type KeptProfile struct {
	// Profile is nil where an erasure took it away, at Erased.
	Profile *profile.Profile
	Erased  *time.Time
}

// RunProfile is what a run's output is like, nil where that is not known.
func RunProfile(ctx context.Context, q database.Querier, run int64) (*KeptProfile, error) {
	return keptProfile(ctx, q, "run_id", run)
}

// DatasetProfile is what a dataset is like, nil where that is not known.
func DatasetProfile(ctx context.Context, q database.Querier, dataset string) (*KeptProfile, error) {
	return keptProfile(ctx, q, "dataset_id", dataset)
}

func keptProfile(ctx context.Context, q database.Querier, column string, id any) (*KeptProfile, error) {
	k := &KeptProfile{}
	var packed []byte
	err := q.QueryRow(ctx, `SELECT profile, erased_at FROM headwater.profile WHERE `+column+` = $1`, id).Scan(&packed, &k.Erased)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil, nil
	case err != nil || packed == nil:
		return k, err
	}
	k.Profile, err = UnpackProfile(packed)
	return k, err
}

// CollectProfiles takes away the profiles of what is gone since before a time: of runs of view versions that lie before what of their history can be read, and, where datasets
// is set, of deleted datasets that no model was trained on. Baselines keep their copies. With dryRun they are only counted.
func CollectProfiles(ctx context.Context, tx pgx.Tx, views []int64, datasets bool, before time.Time, dryRun bool) (n int64, err error) {
	const gone = ` FROM headwater.profile p WHERE p.run_id IN (SELECT r.id FROM headwater.run r JOIN headwater.view_state s ON s.view_id = r.view_id
			WHERE r.view_id = ANY ($1) AND r.seq < s.horizon_seq AND r.ended_at < $3)
		OR $2 AND p.dataset_id IN (SELECT d.id FROM headwater.dataset d WHERE d.state = 'deleted' AND (d.manifest ->> 'deleted_at')::timestamptz < $3
			AND NOT EXISTS (SELECT FROM headwater.model m WHERE m.dataset_id = d.id))`
	if dryRun {
		err = tx.QueryRow(ctx, `SELECT count(*)`+gone, views, datasets, before).Scan(&n)
		return n, err
	}
	tag, err := tx.Exec(ctx, `DELETE`+gone, views, datasets, before)
	return tag.RowsAffected(), err
}

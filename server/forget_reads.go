package server

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/wire"
	"github.com/headwaterhq/headwater/readlog"
	"github.com/headwaterhq/headwater/retention"
)

const (
	// placeReads is the place of logged reads in the record of an erasure, by service.
	placeReads = "read log"
	// stepErasingRead is a step of an erasure, beside those of forget.go.
	stepErasingRead = "erasing read"
	// drainWait is how long an erasure waits for other servers to bring what they have on their disks to Postgres.
	drainWait, drainLook = 5 * time.Second, 100 * time.Millisecond
)

// erasingReads is what of logged reads is to be erased.
func (f *forgetting) erasingReads() readlog.Erasing {
	e := readlog.Erasing{Entity: f.trace.Entity.Name, Key: f.trace.Key, Rows: f.readRows}
	for _, v := range f.trace.Views {
		// The rows of the entity itself are found by its key.
		if slices.ContainsFunc(v.Keys, func(key []string) bool { return !f.trace.Own(v, key) }) {
			e.Views = append(e.Views, v.View.Ref())
		}
	}
	return e
}

// readRows are the rows of a read in which columns that are copied from the key have its values.
func (f *forgetting) readRows(r *headwaterv1.LoggedRead) (rows []int32, err error) {
	for _, feature := range r.GetFeatures() {
		readlog.Expand(feature.GetValues(), int(r.GetEntities()))
	}
	for i := range r.GetEntities() {
		for _, v := range f.trace.Views {
			if !slices.ContainsFunc(r.GetProvenance(), func(p *headwaterv1.ViewProvenance) bool {
				return p.GetView() == v.View.Name && int(p.GetViewVersion()) == v.View.Version
			}) {
				continue
			}
			for _, key := range v.Keys {
				all := true
				for k, column := range key {
					if all, err = f.readHolds(r, v.View, column, int(i), f.trace.Values[k]); err != nil {
						return nil, err
					} else if !all {
						break
					}
				}
				if all {
					rows = append(rows, i)
				}
			}
		}
	}
	return rows, nil
}

// readHolds reports whether a row of a read has a value in a column of a view: a join key, or a feature that was served.
func (f *forgetting) readHolds(r *headwaterv1.LoggedRead, v *feature.ViewVersion, column string, row int, value feature.Value) (bool, error) {
	is := func(found feature.Value) bool {
		return slices.Equal(found.AppendCanonical(nil), value.AppendCanonical(nil))
	}
	if at := slices.IndexFunc(v.EntityVersion.JoinKeys, func(k feature.Column) bool { return k.Name == column }); at >= 0 {
		for _, k := range r.GetKeys() {
			if k.GetEntity() != v.Entity || row >= len(k.GetKeys()) || slices.Contains(k.GetWithout(), int32(row)) {
				continue
			}
			// Of a version of the entity with other join keys.
			if values, err := v.EntityVersion.ParseKey(k.GetKeys()[row]); err == nil && is(values[at]) {
				return true, nil
			}
		}
		return false, nil
	}
	for _, served := range r.GetFeatures() {
		if served.GetView() != v.Name || int(served.GetViewVersion()) != v.Version || served.GetFeature() != column || len(served.GetDigest()) > 0 {
			continue
		}
		found, err := wire.FromVector(served.GetValues(), row)
		if err != nil {
			return false, fmt.Errorf("feature %s of read %s: %w", served.GetName(), r.GetReadId(), err)
		}
		if is(found) {
			return true, nil
		}
	}
	return false, nil
}

func (f *forgetting) countReads(ctx context.Context) (all []retention.Erased, err error) {
	counts, err := f.reads.Count(ctx, f.erasingReads())
	for service, rows := range counts {
		all = append(all, retention.Erased{Place: placeReads, Name: service, Rows: rows})
	}
	return all, err
}

// eraseReads erases from logged reads. Those that other servers have on their disks are waited for; of servers that do not answer it is
// noted that they may have some. The entity's own rows do not come from there any more in any case.
func (f *forgetting) eraseReads(ctx context.Context, e *retention.Erasure) error {
	var began time.Time
	if err := f.pool.QueryRow(ctx, `SELECT clock_timestamp()`).Scan(&began); err != nil {
		return err
	}
	erasing := f.erasingReads()
	erasing.Record = func(ctx context.Context, tx pgx.Tx, service string, rows int64) error {
		if err := retention.Record(ctx, tx, e.ID, retention.Erased{Place: placeReads, Name: service, Rows: rows}); err != nil {
			return err
		}
		return f.step.reached(stepErasingRead)
	}
	erasing.Read = f.erasingFeedback(e).EraseRows
	if err := f.reads.Erase(ctx, erasing); err != nil {
		return err
	}
	left, waited, err := f.awaitReads(ctx, began)
	if err != nil {
		return err
	}
	if waited {
		if err := f.reads.Erase(ctx, erasing); err != nil {
			return err
		}
	}
	if len(left) > 0 {
		err := retention.Record(ctx, f.pool, e.ID, retention.Erased{Place: placeReads, Name: strings.Join(left, ", "), Note: "a server with this folder has not " +
			"said that all of its reads are in Postgres: its disk may hold reads of the entity until it has. Start it, or delete the folder; then ask for the erasure again"})
		if err != nil {
			return err
		}
	}
	return f.reads.Trim()
}

// awaitReads waits until all servers have brought to Postgres what they answered before a time, for a while, and returns where those are that
// have not.
func (f *forgetting) awaitReads(ctx context.Context, before time.Time) (left []string, waited bool, err error) {
	for end := time.Now().Add(drainWait); ; waited = true {
		left, err = f.reads.Undrained(ctx, before)
		if err != nil || len(left) == 0 || time.Now().After(end) {
			return left, waited, err
		}
		select {
		case <-ctx.Done():
			return nil, waited, ctx.Err()
		case <-time.After(drainLook):
		}
	}
}

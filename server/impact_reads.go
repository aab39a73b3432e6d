package server

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/access"
	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/wire"
	"github.com/headwaterhq/headwater/lineage"
	"github.com/headwaterhq/headwater/offline"
	"github.com/headwaterhq/headwater/readlog"
)

const (
	// readsAtOnce is how many logged reads are in memory at a time.
	readsAtOnce = 200
	// maxHashedKeys is how many keys of a view are hashed to find them in reads that keep hashes. Where there are more, any key counts.
	maxHashedKeys = 200_000
)

// impactedService is a service version that reads affected features.
type impactedService struct {
	*feature.ServiceVersion
	views       []*impactedView
	predictions int64
	exact       bool
	why         string
	// live says that it serves some of them now, and past that it may have given them out in reads that are kept no longer.
	live, past bool
}

// findServices finds the services that read affected features, with the logged reads that gave affected values out.
func (i *impact) findServices() error {
	unlogged := map[string]bool{}
	room := int64(maxImpactReads)
	kept := i.reads.reads.KeptFrom()
	// first is when the first of the runs was published.
	first := map[*impactedView]time.Time{}
	for _, v := range i.views {
		if v.rows == nil {
			continue
		}
		var at *time.Time
		err := i.tx.QueryRow(i.ctx, `SELECT min(published_at) FROM headwater.publish_log WHERE view_id = $1 AND seq = ANY ($2)`, v.ID, v.rows.Runs).Scan(&at)
		if err != nil {
			return err
		}
		if at != nil {
			first[v] = *at
		}
	}
	for _, service := range i.catalog.ServiceVersions() {
		s := &impactedService{ServiceVersion: service, exact: true}
		var since time.Time
		for _, v := range i.views {
			if v.rows == nil || !i.picks(service, []*impactedView{v}) {
				continue
			}
			s.views, s.live = append(s.views, v), s.live || v.rows.Live > 0 || !v.rows.ByRow
			at, published := first[v]
			s.past = s.past || published && at.Before(kept) && service.Log != ""
			if published && (since.IsZero() || at.Before(since)) {
				since = at
			}
			if s.why == "" && (!v.rows.ByRow || v.rows.Why != "") {
				s.exact, s.why = false, i.because(v)
			}
		}
		if len(s.views) == 0 {
			continue
		}
		visible := i.allows(access.KindService, service.Name)
		if err := i.tellReads(s, &room); err != nil {
			return err
		}
		// A service that is read no longer as it was, and whose reads are all kept, gave nothing out.
		if s.past {
			s.exact, s.why = false, strings.TrimPrefix(fmt.Sprintf("%s; reads of before %s are kept no longer, and not counted", s.why, kept.Format(time.DateOnly)), "; ")
		}
		changed, err := i.changed(service, since)
		if err != nil {
			return err
		}
		if changed != nil {
			s.past, s.exact = true, false
			s.why = strings.TrimPrefix(fmt.Sprintf("%s; it was changed at %s, and it is not known whether it logged all reads before", s.why, changed.UTC().Format(time.RFC3339)), "; ")
		}
		if s.predictions == 0 && service.Log.All() && !s.live && !s.past {
			continue
		}
		i.services = append(i.services, s)
		n := &headwaterv1.ImpactedNode{Id: "service:" + service.Ref(), Owner: service.Owner, Predictions: s.predictions, Exact: s.exact, Why: s.why}
		n.Title = "serves features of " + shownRefs(s.views)
		switch {
		case service.Log == "":
			n.Title += "; it keeps no log of reads"
		case !service.Log.All():
			n.Title += fmt.Sprintf("; it logs some of its reads (%s)", service.Log)
		}
		i.add(lineage.Service, visible, n)
		if !visible {
			continue
		}
		i.resp.Predictions += s.predictions
		if !service.Log.All() && !unlogged[service.Name] {
			unlogged[service.Name] = true
			i.resp.Unlogged = append(i.resp.Unlogged, service.Name)
		}
		if s.why != "" {
			i.note("service %s: %s", service.Ref(), s.why)
		}
	}
	slices.Sort(i.resp.Unlogged)
	return nil
}

// changed is when a service version that logs its reads was last changed after a time, nil for never: it may have logged fewer of them until then.
func (i *impact) changed(s *feature.ServiceVersion, since time.Time) (at *time.Time, err error) {
	if s.Log == "" || since.IsZero() {
		return nil, nil
	}
	err = i.tx.QueryRow(i.ctx, `SELECT max(changed_at) FROM headwater.definition_change
		WHERE kind = 'service' AND name = $1 AND version = $2 AND change = 'update' AND changed_at > $3`, s.Name, s.Version, since).Scan(&at)
	return at, err
}

// findByReference finds the views of which features were read online by reference lately: such reads are of no service, and are not logged.
func (i *impact) findByReference() error {
	var resources []string
	for _, v := range i.views {
		if v.visible {
			resources = append(resources, "view:"+v.Name)
		}
	}
	rows, err := i.tx.Query(i.ctx, `
		SELECT r.resource FROM unnest($1::text[]) AS r (resource) WHERE EXISTS (
			SELECT FROM headwater.query_history h WHERE h.store = 'online' AND split_part(h.resource, '@', 1) = r.resource
				AND h.day >= ($2 AT TIME ZONE 'UTC')::date - 1 AND h.time >= $2::timestamptz)
		GROUP BY r.resource ORDER BY r.resource`, resources, time.Now().Add(-defaultUsesOf))
	if err != nil {
		return err
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[string])
	i.resp.Unlogged = append(i.resp.Unlogged, found...)
	return err
}

// shownRefs are those views that the caller may know of, and that there are others.
func shownRefs(views []*impactedView) string {
	var refs []string
	hidden := false
	for _, v := range views {
		if hidden = hidden || !v.visible; v.visible {
			refs = append(refs, v.Ref())
		}
	}
	if hidden {
		refs = append(refs, "views that you may not see")
	}
	return strings.Join(refs, ", ")
}

// tellReads counts the logged reads of a service version that gave affected values out: one by one where the caller may read what it serves,
// and else by the counts of reads by run.
func (i *impact) tellReads(s *impactedService, room *int64) error {
	days := map[string]readlog.Day{}
	for _, v := range s.views {
		found, err := readlog.DaysOf(i.ctx, i.tx, v.Name, v.Version, v.rows.Runs)
		if err != nil {
			return err
		}
		for _, d := range found {
			if d.Service != s.Name || int(d.Version) != s.Version {
				continue
			}
			key := d.Day.String()
			d.Reads += days[key].Reads
			days[key] = d
		}
	}
	readable := access.AllowsServiceRows(i.ctx, s.ServiceVersion)
	for _, key := range sortedKeys(days) {
		d := days[key]
		n, err := readlog.Count(i.ctx, i.tx, d)
		if err != nil {
			return err
		}
		if !readable || n > *room {
			s.predictions, s.exact = s.predictions+min(d.Reads, n), false
			if s.why = fmt.Sprintf("days of more than %d logged reads are told by the runs that they had rows of", maxImpactReads); !readable {
				s.why = "you may not read all that it serves, so reads are told by the runs that they had rows of"
			}
			continue
		}
		*room -= n
		if err := i.readDay(s, d); err != nil {
			return err
		}
	}
	return nil
}

// readDay reads the logged reads of one day.
func (i *impact) readDay(s *impactedService, d readlog.Day) error {
	r := &dayReader{impact: i, service: s, at: map[[2]int64]int64{}, hashed: map[hashedOf]map[string]string{}}
	after := ""
	for {
		reads, err := readlog.Page(i.ctx, i.tx, d, after, readsAtOnce)
		if err != nil {
			return err
		}
		if len(reads) == 0 {
			return nil
		}
		after = reads[len(reads)-1].GetReadId()
		lookup := &winnerLookup{impact: i}
		counted := map[int64]bool{}
		count := func(of int64) {
			if !counted[of] {
				counted[of] = true
				s.predictions++
			}
		}
		for n, read := range reads {
			if err := r.take(lookup, read, int64(n)); err != nil {
				return err
			}
			if lookup.n >= winnersAtOnce {
				if err := lookup.settle(count); err != nil {
					return err
				}
			}
		}
		if err := lookup.settle(count); err != nil {
			return err
		}
	}
}

// dayReader looks through logged reads.
type dayReader struct {
	*impact
	service *impactedService
	// at is at which sequence a view was at a position.
	at     map[[2]int64]int64
	hashed map[hashedOf]map[string]string
}

type hashedOf struct {
	view    int64
	version int32
}

// take asks of the rows of histories that a read gave out.
func (r *dayReader) take(lookup *winnerLookup, read *headwaterv1.LoggedRead, of int64) error {
	for _, p := range read.GetProvenance() {
		n := slices.IndexFunc(r.service.views, func(v *impactedView) bool { return v.Name == p.GetView() && v.Version == int(p.GetViewVersion()) })
		if n < 0 {
			continue
		}
		v := r.service.views[n]
		keys := keysOfRead(read, v.ViewVersion, p.GetPrefix())
		at, err := r.sequenceAt(v, read.GetPosition())
		if err != nil {
			return err
		}
		for row, seq := range p.GetRunSeqs() {
			if _, affected := slices.BinarySearch(v.rows.Runs, seq); !affected || row >= len(p.GetEventTimes()) || !r.gaveOut(read, v, row) {
				continue
			}
			w := offline.Winner{EventTime: feature.Time(p.GetEventTimes()[row]), Seq: seq, At: at}
			switch {
			case keys == nil || slices.Contains(read.GetErased(), int32(row)):
				// Of an entity that was erased nothing is told, and no row of it is there.
				continue
			case len(keys.GetHashes()) > row:
				known, err := r.unhash(v, read.GetHashVersion())
				if err != nil {
					return err
				}
				key, is := known[string(keys.GetHashes()[row])]
				// Of a key whose row was collected, nothing tells the hash.
				if known == nil || !is && v.rows.Collected(seq) {
					lookup.any(of)
					continue
				}
				if !is {
					continue
				}
				w.Key = key
			case len(keys.GetKeys()) > row:
				w.Key = keys.GetKeys()[row]
			default:
				continue
			}
			lookup.add(v, w, of)
		}
	}
	return nil
}

// keysOfRead is the keys by which a read looked for rows of a view, nil where they are not kept.
func keysOfRead(r *headwaterv1.LoggedRead, v *feature.ViewVersion, prefix string) *headwaterv1.LoggedKeys {
	var joined map[string]string
	for _, j := range r.GetJoins() {
		if j.GetPrefix() == prefix && prefix != "" {
			joined = j.GetKeyMapping()
		}
	}
	var columns []string
	for _, k := range v.EntityVersion.JoinKeys {
		name := k.Name
		if mapped, ok := joined[name]; ok {
			name = mapped
		} else if mapped, ok := r.GetKeyMapping()[name]; ok {
			name = mapped
		}
		columns = append(columns, name)
	}
	for _, k := range r.GetKeys() {
		if k.GetEntity() == v.Entity && slices.Equal(k.GetColumns(), columns) {
			return k
		}
	}
	return nil
}

// gaveOut reports whether the row of a read has a value that is made of the view's affected features.
func (r *dayReader) gaveOut(read *headwaterv1.LoggedRead, v *impactedView, row int) bool {
	for _, f := range read.GetFeatures() {
		n := slices.IndexFunc(r.views, func(of *impactedView) bool { return of.Name == f.GetView() && of.Version == int(f.GetViewVersion()) })
		if n < 0 || !r.behind(r.views[n], f.GetFeature(), []*impactedView{v}) {
			continue
		}
		switch status := wire.StatusAt(f.GetValues(), row); status {
		case headwaterv1.ValueStatus_VALUE_STATUS_NULL, headwaterv1.ValueStatus_VALUE_STATUS_ERROR:
			return true
		default:
			if wire.HasValue(status) {
				return true
			}
		}
	}
	return false
}

// sequenceAt is at which sequence a view was at a position.
func (r *dayReader) sequenceAt(v *impactedView, position int64) (seq int64, err error) {
	key := [2]int64{v.ID, position}
	if known, ok := r.at[key]; ok {
		return known, nil
	}
	err = r.tx.QueryRow(r.ctx, `
		SELECT coalesce((SELECT seq FROM headwater.publish_log WHERE view_id = $1 AND position <= $2 ORDER BY position DESC LIMIT 1), 0)`,
		v.ID, position).Scan(&seq)
	if len(r.at) > 10_000 {
		clear(r.at)
	}
	r.at[key] = seq
	return seq, err
}

// unhash is the keys of a view's affected rows by their hashes, nil where those are too many.
func (r *dayReader) unhash(v *impactedView, version int32) (map[string]string, error) {
	of := hashedOf{v.ID, version}
	if known, ok := r.hashed[of]; ok {
		return known, nil
	}
	known, many := map[string]string{}, false
	if v.rows.ByRow {
		err := r.affected.Keys(r.ctx, v.ViewVersion, func(key string) error {
			if many = many || len(known) == maxHashedKeys; !many {
				known[string(r.reads.reads.Hash(version, v.Entity, key))] = key
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	if many || !v.rows.ByRow {
		known = nil
		if many {
			r.service.exact, r.service.why = false, fmt.Sprintf("its keys are kept as hashes, and more than %d are not looked for, so all keys count", maxHashedKeys)
		}
	}
	r.hashed[of] = known
	return known, nil
}

// any counts something without asking.
func (l *winnerLookup) any(of int64) { l.certain = append(l.certain, of) }

// findModels finds the models that were trained on one of the datasets, or that read a service which gave affected values out, or may have.
func (i *impact) findModels() error {
	exact := map[string]bool{}
	var datasets, services []string
	for _, d := range i.datasets {
		datasets = append(datasets, d.ID)
		exact[d.ID] = d.exact || d.spine && i.load != nil
	}
	for _, s := range i.services {
		if s.predictions > 0 || !s.Log.All() || s.past {
			services = append(services, s.Ref())
			exact[s.Ref()] = s.predictions > 0 && s.exact
		}
	}
	models, err := lineage.ModelsOf(i.ctx, i.tx, datasets, services)
	if err != nil {
		return err
	}
	for _, m := range models {
		n := &headwaterv1.ImpactedNode{Id: fmt.Sprintf("model:%s@%d", m.Name, m.Version), Owner: m.Owner}
		service := fmt.Sprintf("%s@%d", m.Service, m.ServiceVersion)
		var by []string
		if slices.Contains(datasets, m.Dataset) && m.Dataset != "" {
			title := "trained on a dataset that you may not see"
			if i.allows(access.KindDataset, m.DatasetName) {
				title = "trained on dataset " + m.Dataset
			}
			by, n.Exact = append(by, title), exact[m.Dataset]
		}
		if slices.Contains(services, service) {
			title := "reads a service that you may not see"
			if i.allows(access.KindService, m.Service) {
				title = "reads service " + service
			}
			by, n.Exact = append(by, title), n.Exact || exact[service]
		}
		if n.Title = strings.Join(by, ", "); !n.Exact {
			n.Why = "what it was given is not told row by row"
		}
		i.add(lineage.Model, i.allows(access.KindModel, m.Name), n)
		i.models = append(i.models, m)
	}
	return nil
}

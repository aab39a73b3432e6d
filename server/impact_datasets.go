package server

import (
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/access"
	"github.com/headwaterhq/headwater/dataset"
	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/lineage"
	"github.com/headwaterhq/headwater/offline"
	"github.com/headwaterhq/headwater/read"
)

// impactedDataset is a dataset that was given affected rows, or whose spine was read from the source's.
type impactedDataset struct {
	*dataset.Manifest
	// views are those that it may have been given affected rows of.
	views []*impactedView
	rows  int64
	spine bool
	exact bool
	why   string
}

// winnersAtOnce is how many rows of histories are looked for at a time.
const winnersAtOnce = 20_000

// findDatasets finds datasets by the sequences that they read views at, and those of which the server read the spine. Those that the caller may
// read as wholes are computed again, the newest first, as long as there is room.
func (i *impact) findDatasets() error {
	found := map[string]*impactedDataset{}
	take := func(id string) *impactedDataset {
		if found[id] == nil {
			found[id] = &impactedDataset{}
		}
		return found[id]
	}
	for _, v := range i.views {
		if v.rows == nil {
			continue
		}
		ids, err := i.affected.Seen(i.ctx, v.ViewVersion)
		if err != nil {
			return err
		}
		for _, id := range ids {
			d := take(id)
			d.views = append(d.views, v)
		}
	}
	if err := i.deletedUnderModels(take); err != nil {
		return err
	}
	spines, err := i.spines()
	if err != nil {
		return err
	}
	for _, id := range spines {
		take(id).spine = true
	}
	for _, id := range sortedKeys(found) {
		d := found[id]
		if d.Manifest, err = dataset.Find(i.ctx, i.tx, id); err != nil {
			return err
		}
		i.datasets = append(i.datasets, d)
	}
	slices.SortFunc(i.datasets, func(a, b *impactedDataset) int { return b.CreatedAt.Compare(a.CreatedAt) })
	room := int64(maxImpactDatasetRows)
	var kept []*impactedDataset
	for _, d := range i.datasets {
		given, err := i.tellDataset(d, &room)
		if err != nil {
			return err
		}
		if !given && !d.spine {
			continue
		}
		visible := i.allows(access.KindDataset, d.Name)
		n := &headwaterv1.ImpactedNode{Id: "dataset:" + d.ID, Title: d.Ref(), Owner: d.Principal, Rows: d.rows, Exact: d.exact, Why: d.why}
		switch {
		case !given:
			n.Title, n.Exact = n.Title+", its spine was read from those rows", i.request.GetLoad() != 0 && i.request.GetColumn() == ""
		case d.spine:
			n.Title += ", its spine too was read from those rows"
		}
		if given && d.exact {
			n.Title += fmt.Sprintf(", %d of %s", d.rows, rowsText(d.Rows))
		}
		i.add(lineage.Dataset, visible, n)
		if visible && d.why != "" {
			i.note("dataset %s: %s", d.ID, d.why)
		}
		kept = append(kept, d)
	}
	i.datasets = kept
	return nil
}

// deletedUnderModels takes the datasets that were deleted and that models were trained on: their manifests say which runs they had rows of.
func (i *impact) deletedUnderModels(take func(id string) *impactedDataset) error {
	rows, err := i.tx.Query(i.ctx, `SELECT DISTINCT d.id FROM headwater.model m JOIN headwater.dataset d ON d.id = m.dataset_id WHERE d.state = $1 ORDER BY 1`, dataset.Deleted)
	if err != nil {
		return err
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, id := range ids {
		m, err := dataset.Find(i.ctx, i.tx, id)
		if err != nil {
			return err
		}
		d := &impactedDataset{Manifest: m}
		for _, v := range i.views {
			if v.rows != nil && d.had(v) {
				take(id).views = append(take(id).views, v)
			}
		}
	}
	return nil
}

// had reports whether a dataset can have had rows that an affected run of the view wrote.
func (d *impactedDataset) had(v *impactedView) bool {
	if d.Summarizer != "" {
		return d.gave(v)
	}
	for _, kept := range d.Views {
		if kept.View == v.Name && kept.Version == v.Version {
			return len(v.rows.Runs) > 0 && v.rows.Runs[0] <= kept.Seq
		}
	}
	return false
}

// spines are the datasets of which the server read the spine from the load, or from the source.
func (i *impact) spines() (ids []string, err error) {
	query, arg := `SELECT dataset_id FROM headwater.dataset_source WHERE source = $1`, any(i.request.GetSource())
	if i.load != nil {
		query, arg = `SELECT dataset_id FROM headwater.dataset_load WHERE load_id = $1`, i.load.ID
	}
	rows, err := i.tx.Query(i.ctx, query, arg)
	if err != nil {
		return nil, err
	}
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

// tellDataset finds out whether a dataset was given affected rows, row by row where that may be told.
func (i *impact) tellDataset(d *impactedDataset, room *int64) (given bool, err error) {
	if len(d.views) == 0 {
		return false, nil
	}
	service, err := i.lineageService.datasets.builtBy(d.Manifest)
	if err != nil {
		d.why = "what it was built of is not known any more"
		return true, nil
	}
	if !i.picks(service, d.views) {
		return false, nil
	}
	// The record says which runs wrote what it was given.
	if d.Summarizer != "" && !slices.ContainsFunc(d.views, func(v *impactedView) bool { return d.gave(v) }) {
		d.exact = true
		return false, nil
	}
	readable := service.Name == "" || access.AllowsServiceRows(i.ctx, service)
	for _, v := range d.Views {
		readable = readable && access.AllowsRows(i.ctx, access.KindView, v.View)
	}
	for _, source := range d.SpineSources() {
		readable = readable && access.AllowsRows(i.ctx, access.KindSource, source)
	}
	switch {
	case !readable:
		d.why = "you may not read all that it was built of, so what its views held counts"
		return true, nil
	case d.State == dataset.Deleted:
		d.why = "it was deleted, so it is told by the runs behind it"
		return true, nil
	}
	if d.SpineRows > *room {
		d.why = fmt.Sprintf("datasets of more than %d rows are not computed again for one answer, so it is told by the runs behind it", maxImpactDatasetRows)
		return true, nil
	}
	*room -= d.SpineRows
	plan, lost, err := i.lineageService.datasets.planOf(d.Manifest)
	if err == nil {
		err = lost
	}
	if err == nil {
		err = i.winners(d, plan)
	}
	switch fault.ReasonOf(err) {
	case fault.FailedPrecondition, fault.DigestMismatch, fault.NotFound:
		d.rows, d.why = 0, "it cannot be computed again, so it is told by the runs behind it"
		return true, nil
	}
	d.exact = err == nil
	for _, v := range d.views {
		if d.exact = d.exact && v.rows.ByRow && v.rows.Why == ""; !d.exact && d.why == "" {
			d.why = i.because(v)
		}
	}
	return d.rows > 0, err
}

// gave reports whether a row that an affected run of the view wrote is in the dataset, as its record says.
func (d *impactedDataset) gave(v *impactedView) bool {
	for _, kept := range d.Views {
		if kept.View == v.Name && kept.Version == v.Version {
			return slices.ContainsFunc(kept.Runs, func(seq int64) bool {
				_, is := slices.BinarySearch(v.rows.Runs, seq)
				return is
			})
		}
	}
	return false
}

// picks reports whether a service reads affected features of one of the views, itself or to compute others.
func (i *impact) picks(service *feature.ServiceVersion, views []*impactedView) bool {
	for n := range service.Pins {
		pin := &service.Pins[n]
		of := []*impactedView{i.byID[pin.View.ID]}
		if pin.Published {
			of = nil
			for _, v := range i.catalog.VersionsOf(pin.View.Name) {
				of = append(of, i.byID[v.ID])
			}
		}
		for _, v := range of {
			if v == nil {
				continue
			}
			for _, position := range pin.Features {
				if position < len(pin.View.Features) && i.behind(v, pin.View.Features[position].Name, views) {
					return true
				}
			}
		}
	}
	return false
}

// behind reports whether an affected feature is made of one of the views.
func (i *impact) behind(v *impactedView, name string, views []*impactedView) bool {
	if _, affected := v.features[name]; !affected {
		return false
	}
	if v.rows != nil {
		return slices.Contains(views, v)
	}
	return slices.ContainsFunc(v.of[name], func(of *impactedView) bool { return slices.Contains(views, of) })
}

// winners counts the rows of a dataset that were given affected ones.
func (i *impact) winners(d *impactedDataset, plan *read.Plan) error {
	at := map[int64]int64{}
	for _, kept := range d.Views {
		if v, err := i.catalog.PastView(fmt.Sprintf("%s@%d", kept.View, kept.Version)); err == nil {
			at[v.ID] = kept.Seq
		}
	}
	// wanted are the views of the plan of whose rows affected features are made.
	wanted := make([]*impactedView, len(plan.Views))
	for c := range plan.Columns {
		column := &plan.Columns[c]
		of := i.byID[column.Version.ID]
		if of == nil {
			continue
		}
		for _, view := range plan.ViewsOf(column) {
			v := i.byID[plan.Views[view].Version.ID]
			if v != nil && v.rows != nil && i.behind(of, column.Version.Features[column.Feature].Name, []*impactedView{v}) {
				wanted[view] = v
			}
		}
	}
	lookup := &winnerLookup{impact: i}
	var last int64
	err := i.lineageService.datasets.builder.Winners(i.ctx, dataset.Side{Manifest: d.Manifest, Plan: plan}, func(row int64, winners []dataset.Winner) error {
		for _, w := range winners {
			v := wanted[w.View]
			if v == nil {
				continue
			}
			lookup.add(v, offline.Winner{Key: w.Key, EventTime: w.EventTime, Seq: w.Seq, At: at[v.ID]}, row)
		}
		if lookup.n < winnersAtOnce {
			return nil
		}
		return lookup.settle(func(row int64) {
			if row > last {
				last = row
				d.rows++
			}
		})
	})
	if err != nil {
		return err
	}
	return lookup.settle(func(row int64) {
		if row > last {
			last = row
			d.rows++
		}
	})
}

// winnerLookup gathers rows of histories that things were given, and looks for them at once.
type winnerLookup struct {
	*impact
	n     int
	views []*impactedView
	asked map[*impactedView][]offline.Winner
	of    map[*impactedView][]int64
	// certain are affected without being looked for.
	certain []int64
}

func (l *winnerLookup) add(v *impactedView, w offline.Winner, of int64) {
	if l.asked == nil {
		l.asked, l.of = map[*impactedView][]offline.Winner{}, map[*impactedView][]int64{}
	}
	if len(l.asked[v]) == 0 {
		l.views = append(l.views, v)
	}
	l.asked[v], l.of[v] = append(l.asked[v], w), append(l.of[v], of)
	l.n++
}

// settle tells do of what was given affected rows, ascending, each once.
func (l *winnerLookup) settle(do func(of int64)) error {
	all := l.certain
	for _, v := range l.views {
		is, err := l.affected.Has(l.ctx, v.ViewVersion, l.asked[v])
		if err != nil {
			return database.Fault(err)
		}
		for n, affected := range is {
			if affected {
				all = append(all, l.of[v][n])
			}
		}
	}
	slices.Sort(all)
	for _, of := range slices.Compact(all) {
		do(of)
	}
	l.n, l.views, l.asked, l.of, l.certain = 0, nil, nil, nil, nil
	return nil
}

package server

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/headwaterhq/headwater/access"
	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/materialize"
	"github.com/headwaterhq/headwater/read"
	"github.com/headwaterhq/headwater/registry"
)

// declaredFresh is the views of a plan that declare a freshness, as a catalog has them. A version's freshness may change, so the plan does
// not know it.
func declaredFresh(catalog *registry.Catalog, plan *read.Plan) (declared []*feature.ViewVersion) {
	for i := range plan.Views {
		v, err := catalog.ViewByID(plan.Views[i].Version.ID)
		if err == nil && v.Freshness != nil && !slices.Contains(declared, v) {
			declared = append(declared, v)
		}
	}
	return declared
}

// checkFresh refuses a read of views that declare a freshness, if one of them is late and says that reads fail then; else it returns the
// ids of those that are late.
func (h *head) checkFresh(declared []*feature.ViewVersion, now feature.Time) (late []int64, err error) {
	for _, v := range declared {
		f := (*h.fresh.Load())[v.ID]
		if !f.IsLate(v.Freshness, now) {
			continue
		}
		if v.Freshness.Fails() {
			return nil, notFresh(v, &f, now)
		}
		late = append(late, v.ID)
	}
	return late, nil
}

func notFresh(v *feature.ViewVersion, f *materialize.Freshness, now feature.Time) error {
	found, run := "nothing of it is online", "no run of it is online"
	age, known := f.Age(now)
	if known {
		found = "its newest event time that is online is " + shortAge(age) + " old"
	}
	if f.PublishedAt != nil {
		run = "the newest run that is online, " + v.Ref() + "/" + strconv.FormatInt(f.LoadedSeq, 10) + ", was published " +
			shortAge(now.Time().Sub(*f.PublishedAt)) + " ago"
	}
	refused := fault.New(fault.NotFresh, "view %s is late: %s, expected at most %s, or reads of it fail; %s; run it, with "+
		"`headwater materialize %s --wait`, or see whether what it reads is late: `headwater describe view %s`",
		v.Ref(), found, feature.DurationText(v.Freshness.MaxAge), run, v.Ref(), v.Ref()).
		With("view", v.Ref()).With("max_age_seconds", secondsText(v.Freshness.MaxAge))
	if known {
		refused = refused.With("age_seconds", secondsText(age))
	}
	if f.LoadedSeq > 0 {
		refused = refused.With("run", v.Ref()+"/"+strconv.FormatInt(f.LoadedSeq, 10))
	}
	return refused
}

// shortAge is an age that people read.
func shortAge(d time.Duration) string {
	if d = d.Round(time.Second); d > 0 {
		return feature.DurationText(d)
	}
	return "less than a second"
}

func secondsText(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) }

// lateness tells Prometheus which views that declare a freshness are late.
type lateness struct {
	head  *head
	views func() []*feature.ViewVersion
	late  *prometheus.Desc
}

func newLateness(head *head, views func() []*feature.ViewVersion) *lateness {
	return &lateness{head, views, prometheus.NewDesc("headwater_view_late",
		"Of views that declare a freshness: 1 while what is online is older, 0 else.", []string{"view"}, nil)}
}

// Describe is prometheus.Collector's.
func (l *lateness) Describe(ch chan<- *prometheus.Desc) { ch <- l.late }

// Collect is prometheus.Collector's.
func (l *lateness) Collect(ch chan<- prometheus.Metric) {
	now, all := feature.TimeOf(time.Now()), *l.head.fresh.Load()
	for _, v := range l.views() {
		if v.Freshness == nil {
			continue
		}
		late := 0.0
		if f := all[v.ID]; f.IsLate(v.Freshness, now) {
			late = 1
		}
		ch <- prometheus.MustNewConstMetric(l.late, prometheus.GaugeValue, late, v.Ref())
	}
}

// viewsServed are the newest versions of views, and those that the newest versions of services read, each once.
func viewsServed(catalog *registry.Catalog) []*feature.ViewVersion {
	views := slices.Clone(catalog.Views())
	for _, service := range catalog.Services() {
		for i := range service.Pins {
			if v := service.Pins[i].View; !slices.Contains(views, v) {
				views = append(views, v)
			}
		}
	}
	return views
}

// describeFresh says in out how new what is online of a view is: to who may read it, the newest event time too.
func describeFresh(ctx context.Context, out *headwaterv1.ViewState, view *feature.View, f *materialize.Freshness) error {
	now := feature.TimeOf(time.Now())
	out.OnlineSeq, out.OnlinePublishedAt, out.Late = f.LoadedSeq, timestampOf(f.PublishedAt), f.IsLate(view.Freshness, now)
	age, known := f.Age(now)
	if !known {
		return nil
	}
	if access.Hides(ctx, access.KindView, view.Name) {
		out.NewestHidden = true
		return nil
	}
	for _, action := range []access.Action{access.ActionReadOnline, access.ActionReadOffline} {
		if access.Allows(ctx, action, access.KindView, view.Name) {
			out.NewestOnline, out.NewestOnlineAge = timestamppb.New(f.Newest.Calendar()), durationpb.New(age)
			return access.Require(ctx, action, access.KindView, view.Name)
		}
	}
	out.NewestHidden = true
	return nil
}

package server

import (
	"google.golang.org/grpc"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/lineage"
)

// CheckLineage is for who may read the lineage of everything: what it finds may be of anything. It tells of what it looked at as it goes.
func (s *lineageService) CheckLineage(req *headwaterv1.CheckLineageRequest, stream grpc.ServerStreamingServer[headwaterv1.CheckLineageResponse]) error {
	var views []string
	for _, ref := range req.GetViews() {
		catalog := s.registry.Catalog()
		view, err := catalog.PastView(ref)
		if err != nil {
			return err
		}
		if !view.Materialized() {
			return fault.New(fault.InvalidArgument, "view %s: found on-demand features, which are computed when they are read, expected a view whose rows are kept", view.Ref())
		}
		for _, v := range catalog.VersionsOf(view.Name) {
			if (v.ID == view.ID || v.Name == ref) && v.Materialized() {
				views = append(views, v.Ref())
			}
		}
	}
	check := lineage.Check{
		Views: views, Online: s.onlineRows,
		Found: func(o lineage.Orphan) error {
			return stream.Send(&headwaterv1.CheckLineageResponse{Event: &headwaterv1.CheckLineageResponse_Orphan{
				Orphan: &headwaterv1.LineageOrphan{Node: o.Node, Found: o.Found, Expected: o.Expected},
			}})
		},
		Looked: func(c lineage.Checked) error {
			select {
			case <-s.closing:
				return fault.New(fault.ServerUnavailable, "the server stops; ask again when it or another is there")
			default:
			}
			return stream.Send(&headwaterv1.CheckLineageResponse{Event: &headwaterv1.CheckLineageResponse_Checked{
				Checked: &headwaterv1.LineageChecked{
					Node: c.Node, Rows: c.Rows, Runs: c.Runs, Online: c.Online, Datasets: c.Datasets, Orphans: c.Orphans, Total: c.Total,
				},
			}})
		},
	}
	return check.Run(stream.Context(), s.pool)
}

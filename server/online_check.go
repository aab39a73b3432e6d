package server

import (
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/headwaterhq/headwater/access"
	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/materialize"
	"github.com/headwaterhq/headwater/quality"
)

// defaultDifferences is how many differences are sent of each view version unless asked otherwise.
const defaultDifferences = 20

// CheckOnline sends what it found of each view version when it is done with it. Values are told to who may read the view
// offline; that they differ is told to all who may materialize it.
func (s *materializationService) CheckOnline(req *headwaterv1.CheckOnlineRequest,
	stream grpc.ServerStreamingServer[headwaterv1.CheckOnlineResponse],
) error {
	ctx := stream.Context()
	views, err := s.viewsToRebuild(ctx, req.GetViews())
	if err != nil {
		return err
	}
	most := int(req.GetMaxDifferences())
	if most == 0 {
		most = defaultDifferences
	}
	for _, v := range views {
		show := access.AllowsRows(ctx, access.KindView, v.Name)
		if show {
			// What is shown of values is a read, and recorded as one.
			if err := access.RequireRows(ctx, access.KindView, v.Name); err != nil {
				return err
			}
		}
		check, err := s.materializer.CheckOnline(ctx, v, most, show)
		if err != nil {
			return err
		}
		if check == nil {
			continue
		}
		if show {
			if err := recordShown(ctx, s.registry.Catalog(), v.Name, v.Version, map[string]int64{quality.Output: int64(len(check.Differences))}); err != nil {
				return err
			}
		}
		if err := stream.Send(onlineCheckOf(check)); err != nil {
			return err
		}
	}
	return nil
}

func onlineCheckOf(c *materialize.OnlineCheck) *headwaterv1.CheckOnlineResponse {
	r := &headwaterv1.CheckOnlineResponse{
		View: c.View.Name, ViewVersion: int32(c.View.Version), Seq: c.Seq, Entities: c.Entities, Missing: c.Missing,
		Different: c.Different, Surplus: c.Surplus, PendingLoads: c.PendingLoads,
	}
	if c.Repair != nil {
		r.Repair = &headwaterv1.OnlineRepair{
			NoticedAt: timestamppb.New(c.Repair.NoticedAt), EndedAt: timestampOf(c.Repair.EndedAt), Entities: c.Repair.Entities,
		}
	}
	for _, d := range c.Differences {
		r.Differences = append(r.Differences, &headwaterv1.OnlineDifference{
			Key: keyText(c.View, d.Key), Kind: d.Kind, Expected: d.Expected, Found: d.Found,
		})
	}
	return r
}

// keyText is encoded join keys as `COLUMN VALUE, …`; those that are none of the entity as they are.
func keyText(v *feature.ViewVersion, key string) string {
	values, err := v.EntityVersion.ParseKey(key)
	if err != nil {
		return strings.ToValidUTF8(key, "\uFFFD")
	}
	parts := make([]string, len(values))
	for i, k := range v.EntityVersion.JoinKeys {
		parts[i] = k.Name + " " + values[i].Text()
	}
	return strings.Join(parts, ", ")
}

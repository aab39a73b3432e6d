package server

import (
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/materialize"
)

// tellJob puts how a run is queued and tried into what is sent of it.
func tellJob(out *headwaterv1.Run, j *materialize.Job) {
	out.Trigger = headwaterv1.RunTrigger(headwaterv1.RunTrigger_value["RUN_TRIGGER_"+strings.ToUpper(string(j.Trigger))])
	out.Priority, out.Attempt = int32(j.Priority), int32(j.Attempt)
	out.NotBefore, out.WaitsFor = timestampOf(j.NotBefore), j.WaitsFor
	out.CancelRequestedAt, out.CancelledBy = timestampOf(j.CancelRequestedAt), j.CancelledBy
	if p := j.Progress; p != nil {
		out.Progress = &headwaterv1.Progress{
			Phase: p.Phase, RowsDone: p.RowsDone, RowsTotal: p.RowsTotal, ChunksDone: int32(p.ChunksDone), ChunksTotal: int32(p.ChunksTotal),
			UpdatedAt: timestamppb.New(p.UpdatedAt),
		}
	}
}

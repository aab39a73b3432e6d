package server

import (
	"testing"

	"google.golang.org/protobuf/types/known/timestamppb"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

func TestAuditSinceNoTime(t *testing.T) {
	g, client := serveAccess(t)
	for _, since := range []*timestamppb.Timestamp{{Seconds: 1 << 62}, {Nanos: -1}, {Nanos: 1 << 30}} {
		_, err := client.ListAuditRecords(g.as("admin"), &headwaterv1.ListAuditRecordsRequest{Since: since})
		if f := fault.FromError(err); f == nil || f.Reason != fault.InvalidArgument || len(f.Violations) != 1 || f.Violations[0].Field != "since" {
			t.Errorf("since %v: found %v, expected a violation of since", since, err)
		}
	}
}

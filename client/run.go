package client

import (
	"context"
	"io"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

// WatchRun waits until a run has ended and its online load has, too, and returns it as it then is. changed, if not nil,
// is called with each state before that and with the last. A run that failed is no error here.
func (c *Client) WatchRun(ctx context.Context, id int64, changed func(*headwaterv1.Run)) (*headwaterv1.Run, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.Materialization.WatchRun(ctx, &headwaterv1.WatchRunRequest{Id: id})
	if err != nil {
		return nil, err
	}
	var last *headwaterv1.Run
	for {
		response, err := stream.Recv()
		if err == io.EOF {
			if last == nil {
				return nil, fault.New(fault.Internal, "the server said nothing of run %d; see the server's log", id)
			}
			return last, nil
		}
		if err != nil {
			return nil, err
		}
		last = response.GetRun()
		if changed != nil {
			changed(last)
		}
	}
}

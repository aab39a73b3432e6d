package server

import (
	"context"

	"github.com/headwaterhq/headwater/dataset"
)

// keepResults opens the folder of kept results, if one is configured, and looks after it until the server is closed.
func (s *Server) keepResults() (err error) {
	if s.config.ResultsDir == "" {
		return nil
	}
	s.kept, err = dataset.OpenKept(dataset.KeptConfig{
		Dir: s.config.ResultsDir, Bytes: s.config.ResultsBytes, Age: s.config.ResultsAge, Metrics: s.metrics.registry, Log: s.config.Log,
	})
	if err != nil {
		return err
	}
	s.sweeping.Go(func() {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		go func() {
			<-s.closing
			cancel()
		}()
		s.kept.Follow(ctx, s.pool)
	})
	return nil
}

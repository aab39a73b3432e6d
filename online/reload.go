package online

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"
)

// reloadHook makes a cluster client look for where slots are now as soon as a node does not answer or says that the
// cluster is down. By itself the client only does so when it is redirected, which a dead node does not do.
type reloadHook struct{ client *redis.ClusterClient }

func (h reloadHook) DialHook(next redis.DialHook) redis.DialHook {
	return next
}

func (h reloadHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		h.see(ctx, err)
		return err
	}
}

func (h reloadHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := next(ctx, cmds)
		h.see(ctx, err)
		return err
	}
}

func (h reloadHook) see(ctx context.Context, err error) {
	if err == nil || ctx.Err() != nil {
		return
	}
	var reply redis.Error
	if !errors.As(err, &reply) || redis.IsClusterDownError(err) {
		h.client.ReloadState(ctx)
	}
}

package server

import (
	"context"
	"errors"

	"github.com/headwaterhq/headwater/access"
	"github.com/headwaterhq/headwater/internal/fault"
)

// Things that are named by an id say what they belong to only once they are read. What follows answers alike whether there
// is none or one that the caller may not know of: who may act on nothing of the kind is denied, anyone else finds none.

// missing is the error of a thing that was looked for, once it is decided on.
func missing(ctx context.Context, action access.Action, kind access.Kind, err error) error {
	if fault.ReasonOf(err) != fault.NotFound {
		return err
	}
	return errors.Join(access.RequireAny(ctx, action, kind), err)
}

// requireOr decides on a thing that there is. none is the error of one that there is not.
func requireOr(ctx context.Context, action access.Action, kind access.Kind, name string, none error) error {
	if err := access.RequireOr(ctx, action, kind, name, none); err != nil {
		return missing(ctx, action, kind, err)
	}
	return nil
}

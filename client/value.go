package client

import (
	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/wire"
)

// Value is the i-th value of a column of an answer, such as that of GetFeatures: NULL where its status says that there is
// none. Decimals are exact. A column that does not hold what it says is an Internal fault.
func Value(v *headwaterv1.ValueVector, i int) (feature.Value, error) {
	value, err := wire.FromVector(v, i)
	if err != nil {
		return value, fault.New(fault.Internal, "the server sent a column that cannot be read: %s; use a client of its version", err).Because(err)
	}
	return value, nil
}

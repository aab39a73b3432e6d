// Package server is the gRPC face of the product: one file per service, the Guard that lets calls in, the conversions
// between domain and wire, and what opens and closes it all in order.
//
// It may import the slices and the orchestrations. Handlers decide nothing that a slice could: they resolve names, ask for
// permission where the method leaves it to them, and convert.
//
// Invariant: no call is answered without a decision, and none without its record. Only health and reflection are outside of
// it: they say nothing of what is stored.
package server

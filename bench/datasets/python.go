package main

import (
	"context"
	"fmt"
)

// notMeasured stands for a figure that there is no way yet to measure.
const notMeasured = "not measured"

// stream is to measure how fast a kept result reaches the Python client, beside a bare gRPC stream of the same bytes.
func (b *bench) stream(context.Context) error {
	b.result["python_stream_vs_bare"] = notMeasured
	fmt.Println("    python_stream_vs_bare: not measured: there is no Python client to measure")
	return nil
}

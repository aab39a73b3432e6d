// Package dataset owns training datasets: taking in a spine, joining it to a service by the point-in-time rule as of a
// position, recording the manifest, and having the same dataset again.
//
// It may import feature, read, the internal packages and the engines, of which it uses offline alone.
//
// Invariants:
//   - One output row per spine row, in the spine's order, whatever the data.
//   - A dataset exists when its manifest is committed. The manifest fixes everything the result depends on: the spine (kept),
//     the service and view versions, each view's sequence. Building, fetching and verifying compute the result by the same
//     function, so what a fetch sends has the manifest's digests or is not sent.
package dataset

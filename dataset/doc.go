// Package dataset owns training datasets: taking in a spine, joining it to features by the point-in-time rule as of a
// position, recording the manifest, having the same dataset again, comparing two, and giving one up.
//
// It may import feature, read, the internal packages and the engines, of which it uses offline and retention.
//
// Invariants:
//   - One output row per spine row, in the spine's order, whatever the data, but for those that a rule of the request leaves
//     out, which the manifest counts.
//   - A dataset exists when its manifest is committed. The manifest fixes everything the result depends on: the spine (kept),
//     the service and view versions, each view's sequence. Building, fetching and verifying compute the result by the same
//     function, so what a fetch sends has the manifest's digests or is not sent. A result that was kept is sent only where it
//     is said to be the manifest's and each piece of it has the checksum that it was kept with; the caller holds all of it to the
//     manifest's digest.
//   - After an erasure a manifest has the digests from before and after, and what is left is sent only to who asks for that.
package dataset

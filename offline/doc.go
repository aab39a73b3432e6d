// Package offline is the Postgres half of the store: landing tables and loads, the transforms that read them, the
// system-versioned history tables that runs write, the publish log that orders runs, and point-in-time reads.
//
// It may import feature, read, expr and internal packages. It decides nothing about who may read, and knows neither Redis nor
// the wire.
//
// Invariants:
//   - A view version at sequence s is its history rows with seq_from <= s < seq_to. Rows of a run that is not published
//     have a sequence that no position in the publish log reaches, so no reader sees them.
//   - No two live rows of a history table share entity_key, event_time and available_at.
//   - Loads are appended facts. What is live at a load number never changes once that number is taken, unless an entity is erased.
package offline

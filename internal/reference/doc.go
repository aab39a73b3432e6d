// Package reference is the store in its plainest form: slices, walked from end to end. Tests hold the real engines to it.
//
// It owns what loads, runs, history rows, publish positions and the point-in-time rule mean, said so that each can be read
// beside the design and found right. It imports feature and read alone, touches nothing outside of memory, and is never
// made faster: what is quadratic here is quadratic on purpose.
//
// Invariant: nothing that was written is ever changed but a history row's end, so every earlier sequence can be read again.
package reference

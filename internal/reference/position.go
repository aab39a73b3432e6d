package reference

// Publication is one entry of the publish log.
type Publication struct {
	View string
	Seq  int64
}

// Log is the publish log: what was published at position 1, 2, 3 …
type Log struct{ Publications []Publication }

// Publish appends, and returns the position.
func (l *Log) Publish(view string, seq int64) int64 {
	l.Publications = append(l.Publications, Publication{View: view, Seq: seq})
	return int64(len(l.Publications))
}

// SeqAt is the last sequence of view published by position, 0 for none.
func (l *Log) SeqAt(view string, position int64) int64 {
	var seq int64
	for i, p := range l.Publications {
		if p.View == view && int64(i+1) <= position {
			seq = p.Seq
		}
	}
	return seq
}

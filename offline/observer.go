package offline

import "github.com/headwaterhq/headwater/feature"

// Observer is told of the rows of a part of a run's output, as they are written. Each part has one of its own.
type Observer struct {
	// Row is called with each row and its canonical encoding, which are valid only during the call.
	Row func(r *feature.Row, encoding []byte)
	// End is called after the last row. What it returns is Written.Observed.
	End func() ([]byte, error)
}

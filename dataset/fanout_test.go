package dataset

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/headwaterhq/headwater/feature"
)

// fan adds n rows, each with its number and a text of so many bytes, and ends with err.
func fan(f *fanout, n, text int, err error) error {
	for i := range n {
		row, _, _, failed := f.next()
		if failed != nil {
			return f.end(failed)
		}
		row[0], row[1] = feature.Int64(int64(i)), feature.String(strings.Repeat("x", text))
		f.add()
	}
	return f.end(err)
}

func numbers(b *rowBatch) (list []int64) {
	for n := range b.rows {
		row, _, _ := b.at(n)
		list = append(list, row[0].Int64())
	}
	return list
}

func TestFanoutHandsAllRowsToEachInOrder(t *testing.T) {
	for _, c := range []struct{ rows, text int }{{0, 0}, {1, 0}, {fanoutRows, 0}, {fanoutRows + 1, 3}, {10*fanoutRows + 7, 0}, {40, fanoutBytes / 3}} {
		var a, b []int64
		largest := 0
		f := newFanout(context.Background(), rowShape{columns: 2}, func(batch *rowBatch) error {
			largest = max(largest, batch.rows)
			a = append(a, numbers(batch)...)
			return nil
		}, func(batch *rowBatch) error {
			b = append(b, numbers(batch)...)
			return nil
		})
		if err := fan(f, c.rows, c.text, nil); err != nil {
			t.Fatal(err)
		}
		want := make([]int64, c.rows)
		for i := range want {
			want[i] = int64(i)
		}
		if !slices.Equal(a, want) || !slices.Equal(b, want) {
			t.Errorf("%d rows: found %v and %v", c.rows, a, b)
		}
		if c.text > 0 && c.text*largest > fanoutBytes+c.text {
			t.Errorf("found a batch of %d rows of %d bytes, expected one to end at %d bytes", largest, c.text, fanoutBytes)
		}
	}
}

func TestFanoutTellsWhatFailedFirst(t *testing.T) {
	full, cut := errors.New("disk full"), errors.New("cut off")
	for name, c := range map[string]struct {
		do   func(*rowBatch) error
		rows error
		want error
		text string
	}{
		"one that takes rows":     {do: func(*rowBatch) error { return full }, want: full},
		"what makes the rows":     {do: func(*rowBatch) error { return nil }, rows: cut, want: cut},
		"one that takes panics":   {do: func(*rowBatch) error { panic("no such column") }, text: "panic: no such column"},
		"one fails, then the end": {do: func(b *rowBatch) error { return full }, rows: nil, want: full},
	} {
		f := newFanout(context.Background(), rowShape{columns: 2}, func(*rowBatch) error { return nil }, c.do)
		err := fan(f, 20*fanoutRows, 0, c.rows)
		if c.want != nil && !errors.Is(err, c.want) || c.text != "" && (err == nil || !strings.Contains(err.Error(), c.text)) {
			t.Errorf("%s: found %v, expected %v%s", name, err, c.want, c.text)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := fan(newFanout(ctx, rowShape{columns: 2}, func(*rowBatch) error { return nil }), 20*fanoutRows, 0, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: found %v", err)
	}
}

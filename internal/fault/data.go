package fault

import "strings"

// Messages about rows name them by keys and values, which are data: they are for who may read the rows. Whoever keeps a message for
// others keeps it with marks around such parts, and shows or hides them by who asks.
const (
	dataBegins, dataEnds = "\x02", "\x03"
	// HiddenData stands for a part of a message that is of rows, for who may not read them.
	HiddenData = "[for who may read the rows]"
)

var withoutMarks = strings.NewReplacer(dataBegins, "", dataEnds, "")

// Data is a part of a message that is of rows, as an argument of New.
func Data(text string) string { return dataBegins + withoutMarks.Replace(text) + dataEnds }

// Kept is what Error says, with marks around the parts that are of rows.
func (f *Fault) Kept() string {
	if f.marked == "" {
		return f.Error()
	}
	return f.marked + strings.TrimPrefix(f.Error(), f.Message)
}

// Shown is a text that was kept, whole.
func Shown(kept string) string { return withoutMarks.Replace(kept) }

// Hidden is a text that was kept, without what is of rows.
func Hidden(kept string) string {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(kept, dataBegins)
		b.WriteString(before)
		if !found {
			return withoutMarks.Replace(b.String())
		}
		b.WriteString(HiddenData)
		// What is cut short has no end.
		_, kept, _ = strings.Cut(rest, dataEnds)
	}
}

// HoldsData reports whether a text that was kept has parts that are of rows.
func HoldsData(kept string) bool { return strings.Contains(kept, dataBegins) }

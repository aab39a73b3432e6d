package materialize

import (
	"fmt"
	"strings"

	"github.com/headwaterhq/headwater/offline"
)

// account puts into the ledger what became of the accepted rows: as the SQL's shadows counted it, or the windows did.
func (r *Run) account(t *offline.Transform, accounts []offline.Account) {
	l := &r.Ledger
	filtered := func(reason string, rows int64) {
		if rows > 0 {
			l.Filtered += rows
			r.Reasons = append(r.Reasons, LedgerReason{Bucket: "filtered", Reason: reason, Rows: rows})
		}
	}
	switch {
	case t.Accounted:
		l.Used = t.Used
		for _, f := range t.Filtered {
			filtered(f.Reason, f.Rows)
		}
		return
	case accounts == nil:
		l.Unaccounted = l.Accepted
		return
	}
	for _, a := range accounts {
		// With one input there is nothing to tell apart.
		prefix := ""
		if len(accounts) > 1 {
			prefix = a.Name + ": "
		}
		joined := strings.Join(a.Joined, ", ")
		l.Used += a.Used
		filtered(prefix+"WHERE of the query", a.Filtered)
		filtered(prefix+"no match in the join with "+joined, a.Unmatched)
		if a.Unmatched > 0 && a.Loses {
			r.Warnings = append(r.Warnings, fmt.Sprintf("%s %s: an inner join lost %d of %d rows, which have no match in %s; "+
				"if they are to count, write a LEFT JOIN, or bring what is missing there", a.Kind, a.Name, a.Unmatched, a.Rows, joined))
		}
		if a.Unaccounted > 0 {
			l.Unaccounted += a.Unaccounted
			r.Reasons = append(r.Reasons, LedgerReason{Bucket: "unaccounted", Reason: prefix + a.Why, Rows: a.Unaccounted})
			r.Warnings = append(r.Warnings, fmt.Sprintf("%s %s: %d accepted rows are unaccounted: how many of them the SQL uses is not counted, "+
				"because %s", a.Kind, a.Name, a.Unaccounted, a.Why))
		}
	}
}

package dataset

import (
	"bufio"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/headwaterhq/headwater/expr"
	"github.com/headwaterhq/headwater/internal/database"
)

// Versions are those of the software that made a dataset. Empty: it cannot be known.
type Versions struct {
	// CEL is that of the module that compiles expressions.
	CEL string `json:"cel,omitempty"`
	// TZData is the release of the time-zone database that this machine has, such as 2026a.
	TZData   string `json:"tzdata,omitempty"`
	Postgres string `json:"postgres,omitempty"`
}

func versionsNow(ctx context.Context, q database.Querier) (*Versions, error) {
	v := &Versions{CEL: expr.Version(), TZData: tzdataVersion()}
	err := q.QueryRow(ctx, `SELECT current_setting('server_version')`).Scan(&v.Postgres)
	return v, err
}

var tzdataVersion = sync.OnceValue(func() string {
	// Where package time looks, in its order.
	return tzdataVersionIn(os.Getenv("ZONEINFO"), "/usr/share/zoneinfo", "/usr/share/lib/zoneinfo", "/usr/lib/locale/TZ", "/etc/zoneinfo")
})

// tzdataVersionIn is the release in the first folder that says which it is.
func tzdataVersionIn(folders ...string) string {
	for _, folder := range folders {
		if folder == "" {
			continue
		}
		if content, err := os.ReadFile(filepath.Join(folder, "+VERSION")); err == nil {
			return strings.TrimSpace(string(content))
		}
		file, err := os.Open(filepath.Join(folder, "tzdata.zi"))
		if err != nil {
			continue
		}
		line, _ := bufio.NewReader(file).ReadString('\n')
		file.Close()
		if version, ok := strings.CutPrefix(line, "# version "); ok {
			return strings.TrimSpace(version)
		}
	}
	return ""
}

package offline

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
)

// Stream runs a query whose first columns are those given, and then texts as many as texts, and calls row for each row. What row is
// given is valid only during the call; its error ends the query, with the connection, and is returned as it is.
func Stream(ctx context.Context, conn *pgx.Conn, query string, columns []feature.Column, texts int,
	row func(values []feature.Value, texts []string) error) error {
	values, rest := make([]feature.Value, len(columns)), make([]string, texts)
	return copyOut(ctx, conn, query, func(fields [][]byte) error {
		for i := range columns {
			values[i] = feature.Null()
			if fields[i] == nil {
				continue
			}
			var err error
			if values[i], err = decodeValue(columns[i].Type, fields[i]); err != nil {
				return err
			}
		}
		for i := range rest {
			rest[i] = string(fields[len(columns)+i])
		}
		return row(values, rest)
	})
}

package offline

import (
	"context"
	"errors"
	"io"
	"strings"

	"github.com/jackc/pgx/v5"
)

// copyOut runs a query as COPY TO in the binary format and calls row for each row. The fields are valid only during the
// call. An error of row ends the COPY and is returned as it is.
func copyOut(ctx context.Context, conn *pgx.Conn, query string, row func(fields [][]byte) error) error {
	var rowErr error
	d := &copyDecoder{row: func(fields [][]byte) error {
		rowErr = row(fields)
		return rowErr
	}}
	_, err := conn.PgConn().CopyTo(ctx, d, "COPY ("+query+"\n) TO STDOUT (FORMAT binary)")
	if rowErr != nil {
		return rowErr
	}
	if err != nil {
		return err
	}
	return d.close()
}

// copyIn runs COPY FROM in the binary format with the rows that fill encodes. An error of fill ends the COPY, leaves the
// transaction failed, and is returned as it is.
func copyIn(ctx context.Context, conn *pgx.Conn, table string, columns []string, fill func(*copyEncoder) error) error {
	quoted := make([]string, len(columns))
	for i, c := range columns {
		quoted[i] = quote(c)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r, w := io.Pipe()
	filled := make(chan error, 1)
	go func() {
		e := newCopyEncoder(w)
		err := fill(e)
		if err == nil {
			err = e.close()
		}
		filled <- err
		w.CloseWithError(err)
	}()
	_, err := conn.PgConn().CopyFrom(ctx, r,
		"COPY "+table+" ("+strings.Join(quoted, ", ")+") FROM STDIN (FORMAT binary)")
	// Unblocks fill when the COPY failed first.
	r.CloseWithError(errCopyEnded)
	if fillErr := <-filled; fillErr != nil && !errors.Is(fillErr, errCopyEnded) {
		return fillErr
	}
	return err
}

var errCopyEnded = errors.New("the COPY ended")

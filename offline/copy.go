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
	return copyOutTo(ctx, conn, query, &copyDecoder{row: row})
}

// copyOutTo is copyOut with a decoder of the caller's.
func copyOutTo(ctx context.Context, conn *pgx.Conn, query string, d *copyDecoder) error {
	var rowErr error
	row := d.row
	d.row = func(fields [][]byte) error {
		rowErr = row(fields)
		return rowErr
	}
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
	p := newPipe()
	filled := make(chan error, 1)
	go func() {
		e := newCopyEncoder(p)
		err := fill(e)
		if err == nil {
			err = e.close()
		}
		filled <- err
		p.close(err)
	}()
	_, err := conn.PgConn().CopyFrom(ctx, p,
		"COPY "+table+" ("+strings.Join(quoted, ", ")+") FROM STDIN (FORMAT binary)")
	// Unblocks fill when the COPY failed first.
	close(p.ended)
	if fillErr := <-filled; fillErr != nil && !errors.Is(fillErr, errCopyEnded) {
		return fillErr
	}
	return err
}

var errCopyEnded = errors.New("the COPY ended")

// pipePieces is how many pieces a pipe holds that were written and not read.
const pipePieces = 4

// pipe is an io.Pipe that holds a little, so that who writes computes on while who reads sends.
type pipe struct {
	full, free chan []byte
	// ended is closed when nobody reads any more.
	ended chan struct{}
	err   error
	// piece is being read, rest is what of it was not yet.
	piece, rest []byte
}

func newPipe() *pipe {
	p := &pipe{full: make(chan []byte, pipePieces), free: make(chan []byte, pipePieces), ended: make(chan struct{})}
	for range pipePieces {
		p.free <- nil
	}
	return p
}

func (p *pipe) Write(b []byte) (int, error) {
	select {
	case piece := <-p.free:
		p.full <- append(piece[:0], b...)
		return len(b), nil
	case <-p.ended:
		return 0, errCopyEnded
	}
}

// close ends what is read, with an error unless that is nil. Nothing may be written after it.
func (p *pipe) close(err error) {
	p.err = err
	close(p.full)
}

func (p *pipe) Read(b []byte) (int, error) {
	for len(p.rest) == 0 {
		if p.piece != nil {
			p.free <- p.piece
		}
		var more bool
		if p.piece, more = <-p.full; !more {
			if p.err != nil {
				return 0, p.err
			}
			return 0, io.EOF
		}
		p.rest = p.piece
	}
	n := copy(b, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

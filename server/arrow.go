package server

// arrowChunk is the size of the pieces that a result is sent in.
const arrowChunk = 1 << 20

// arrowParts is the bytes of a stream's messages, end to end.
type arrowParts struct {
	part []byte
	next func() ([]byte, error)
}

func (p *arrowParts) Read(b []byte) (int, error) {
	for len(p.part) == 0 {
		part, err := p.next()
		if err != nil {
			return 0, err
		}
		p.part = part
	}
	n := copy(b, p.part)
	p.part = p.part[n:]
	return n, nil
}

// chunkWriter sends what is written to it in pieces of arrowChunk.
type chunkWriter struct {
	send func([]byte) error
	buf  []byte
}

func (w *chunkWriter) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		if w.buf == nil {
			// A piece is not touched again once it is handed to send, which may keep it.
			w.buf = make([]byte, 0, arrowChunk)
		}
		k := min(len(p), arrowChunk-len(w.buf))
		w.buf = append(w.buf, p[:k]...)
		p = p[k:]
		if len(w.buf) == arrowChunk {
			if err := w.flush(); err != nil {
				return 0, err
			}
		}
	}
	return n, nil
}

func (w *chunkWriter) flush() error {
	if len(w.buf) == 0 {
		return nil
	}
	err := w.send(w.buf)
	w.buf = nil
	return err
}

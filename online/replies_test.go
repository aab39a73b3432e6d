package online

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

// asking is a query for n keys of a group with two fields, and its commands.
func asking(n int) (*query, []command) {
	g := &group{entity: "e", fields: []any{"1", "2"}}
	g.encode()
	q := g.newQuery()
	for k := range n {
		q.add("hw", fmt.Append(nil, "key", k))
	}
	return q, q.commands(nil)
}

// pieces gives what it has in pieces of certain lengths, the last of which goes for all that come.
type pieces struct {
	rest string
	cuts []int
}

func (p *pieces) Read(b []byte) (int, error) {
	if p.rest == "" {
		return 0, io.EOF
	}
	n := min(len(b), len(p.rest), max(1, p.cuts[0]))
	copy(b, p.rest[:n])
	p.rest = p.rest[n:]
	if len(p.cuts) > 1 {
		p.cuts = p.cuts[1:]
	}
	return n, nil
}

func TestCommandsAsTheyAreSent(t *testing.T) {
	_, commands := asking(2)
	var out []byte
	for i := range commands {
		out = commands[i].append(out)
	}
	want := "*4\r\n$5\r\nHMGET\r\n$9\r\nhw:e:key0\r\n$1\r\n1\r\n$1\r\n2\r\n*4\r\n$5\r\nHMGET\r\n$9\r\nhw:e:key1\r\n$1\r\n1\r\n$1\r\n2\r\n"
	if string(out) != want {
		t.Errorf("found %q, expected %q", out, want)
	}
}

// Replies that come in any pieces, and are longer than the memory that is there for them, are read as they are.
func TestTornReplies(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 8).Draw(t, "keys")
		var text strings.Builder
		want, refused := make([]storedRow, 2*n), make([]bool, n)
		for k := range n {
			if refused[k] = rapid.IntRange(0, 5).Draw(t, "refused") == 0; refused[k] {
				text.WriteString("-ERR " + strings.Repeat("x", rapid.IntRange(0, 50).Draw(t, "words")) + "\r\n")
				continue
			}
			text.WriteString("*2\r\n")
			for f := range 2 {
				if rapid.Bool().Draw(t, "null") {
					text.WriteString("$-1\r\n")
					continue
				}
				row := strings.Repeat(rapid.StringN(0, 8, -1).Draw(t, "row"), rapid.SampledFrom([]int{1, 1, 1, 2000}).Draw(t, "times"))
				want[2*k+f] = storedRow{row, true}
				fmt.Fprintf(&text, "$%d\r\n%s\r\n", len(row), row)
			}
		}
		q, commands := asking(n)
		r := newReplies()
		defer r.release()
		from := &pieces{text.String(), rapid.SliceOfN(rapid.IntRange(1, 300), 1, 300).Draw(t, "cuts")}
		if err := r.read(from, commands); err != nil {
			t.Fatal(err)
		}
		for k := range n {
			if commands[k].refused != refused[k] {
				t.Fatalf("command %d: found refused %v, expected %v", k, commands[k].refused, refused[k])
			}
		}
		if !slices.Equal(q.stored, want) {
			t.Fatalf("found %+v, expected %+v", q.stored, want)
		}
	})
}

func TestRepliesThatAreNone(t *testing.T) {
	const row = "$3\r\nabc\r\n"
	for given, want := range map[string]error{
		"":                                      io.EOF,
		"*2\r\n" + row:                          io.EOF,
		"*2\r\n" + row + "$3\r\nab":             io.EOF,
		"*2\r\n" + row + "$3":                   io.EOF,
		"-WRONGTYPE":                            io.EOF,
		"*1\r\n" + row:                          errReply,
		"*3\r\n" + row + row + row:              errReply,
		"*-1\r\n":                               errReply,
		"+OK\r\n":                               errReply,
		":2\r\n":                                errReply,
		"*2\r\n*2\r\n" + row + row:              errReply,
		"*2\r\n" + row + ":12\r\n":              errReply,
		"*2\r\n" + row + "$-2\r\n":              errReply,
		"*2\r\n" + row + "$\r\n\r\n":            errReply,
		"*2\r\n" + row + "$3\rxabc\r\n":         errReply,
		"*2\r\n" + row + "$3x\nabc\r\n":         errReply,
		"*2\r\n" + row + "$2\r\nabc\r\n":        errReply,
		"*2\r\n" + row + row + "x":              errReply,
		"*2\r\n" + row + row + "*2\r\n":         errReply,
		"*2\r\n" + row + "$16777217\r\n":        errReply,
		"*2\r\n$99999999999999999999999\r\n":    errReply,
		"-" + strings.Repeat("x", 2*maxRefusal): errReply,
	} {
		for _, from := range []io.Reader{strings.NewReader(given), iotest.OneByteReader(strings.NewReader(given))} {
			// A byte too many is one that came with what was expected.
			if _, whole := from.(*strings.Reader); !whole && strings.HasPrefix(given, "*2\r\n"+row+row) {
				continue
			}
			_, commands := asking(1)
			r := newReplies()
			if err := r.read(from, commands); !errors.Is(err, want) {
				t.Errorf("%.60q: found %v, expected %v", given, err, want)
			}
			if cap(r.b) > maxRowSize+1<<16 {
				t.Errorf("%.60q: found %d bytes of memory", given, cap(r.b))
			}
			r.release()
		}
	}
	_, commands := asking(1)
	from := io.MultiReader(strings.NewReader("*2\r\n$5\r\nabc"), iotest.ErrReader(os.ErrDeadlineExceeded))
	if err := newReplies().read(from, commands); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("found %v, expected that of the connection", err)
	}
}

// Rows stay as they are when their memory has no room for what comes, and when it is used again by others.
func TestRowsKeepTheirMemory(t *testing.T) {
	q, commands := asking(3)
	row := func(k int) string { return strings.Repeat(string(rune('a'+k)), firstBytes) }
	var text string
	for k := range 3 {
		text += fmt.Sprintf("*2\r\n$%d\r\n%s\r\n$1\r\n%d\r\n", firstBytes, row(k), k)
	}
	r := newReplies()
	if err := r.read(strings.NewReader(text), commands); err != nil {
		t.Fatal(err)
	}
	q.answered(r)
	r.release()
	other, others := asking(3)
	again := newReplies()
	if again == r {
		t.Fatal("found replies used again that a query has rows of")
	}
	if err := again.read(strings.NewReader(strings.ToUpper(text)), others); err != nil {
		t.Fatal(err)
	}
	other.answered(again)
	again.release()
	for k := range 3 {
		if found := q.rowsOf(k); found[0].row != row(k) || found[1].row != fmt.Sprint(k) {
			t.Errorf("key %d: found %.20q, %q", k, found[0].row, found[1].row)
		}
	}
	q.release()
	if len(q.stored) != 0 || len(q.replies) != 0 {
		t.Errorf("found %d rows and %d replies of a query that was given back", len(q.stored), len(q.replies))
	}
}

// Any bytes are a reply, or an error, and never read beyond their end.
func FuzzReplies(f *testing.F) {
	for _, seed := range []string{
		"*2\r\n$3\r\nabc\r\n$-1\r\n", "*2\r\n$-1\r\n$0\r\n\r\n", "-WRONGTYPE Operation\r\n", "*2\r\n$3\r\nabc", "*2\r\n$99999999999\r\n", "*1\r\n$-1\r\n", "",
		"*2\r\n$-1\r\n$-1\r\n*2\r\n$-1\r\n$-1\r\n", "*2\r\n_\r\n_\r\n", "*2\r\n$16777216\r\n",
	} {
		f.Add(seed, 3)
	}
	f.Fuzz(func(t *testing.T, reply string, cut int) {
		q, commands := asking(1)
		r := newReplies()
		defer r.release()
		err := r.read(&pieces{reply, []int{cut}}, commands)
		whole, wholes := asking(1)
		w := newReplies()
		defer w.release()
		wholeErr := w.read(strings.NewReader(reply), wholes)
		// In pieces, what follows a whole reply is seen only where it comes with its end.
		if wholeErr == nil && err != nil {
			t.Fatalf("%q: found %v in pieces of %d", reply, err, cut)
		}
		if err != nil {
			return
		}
		if wholeErr == nil && (!slices.Equal(q.stored, whole.stored) || commands[0].refused != wholes[0].refused) {
			t.Fatalf("%q: found %+v in pieces, %+v as a whole", reply, q.stored, whole.stored)
		}
		if commands[0].refused {
			if !strings.HasPrefix(reply, "-") {
				t.Fatalf("found a refusal in %q", reply)
			}
			return
		}
		again := "*2\r\n"
		for _, s := range q.stored {
			if !s.ok {
				again += nullField
			} else {
				again += string(appendBulk(nil, s.row))
			}
		}
		if !strings.HasPrefix(reply, again) {
			// Lengths may have zeros before them.
			if !strings.Contains(reply, "$0") {
				t.Fatalf("read %q of %q", again, reply)
			}
		}
	})
}

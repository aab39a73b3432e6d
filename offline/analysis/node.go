package analysis

import (
	"errors"
	"fmt"
	"strconv"
)

// maxDepth is how deep a tree may be. Postgres's own limit, the depth of its stack, comes first.
const maxDepth = 50_000

// Node is one node of the tree, such as {VAR :varno 1 …}.
type Node struct {
	Tag    string
	Fields []Field
}

// Field is one field of a node, by the name that Postgres gives it.
type Field struct {
	Name  string
	Value Value
}

// Value is what a field or a list holds: nothing, a node, a list, or a word. The zero Value is nothing.
type Value struct {
	Node *Node
	// List is not nil for a list, also when it is empty.
	List []Value
	// Atom is a number, a name or a text, without its escapes.
	Atom string
	// Datum is the bytes of a constant, as Postgres stores them.
	Datum []byte
}

// parseTree reads the text of a tree, as in pg_rewrite.ev_action.
func parseTree(text string) (Value, error) {
	r := reader{text: text}
	v, err := r.value(r.next())
	if err != nil {
		return Value{}, err
	}
	if t := r.next(); t.kind != tokenEnd {
		return Value{}, r.fail("found more behind the tree")
	}
	return v, nil
}

type tokenKind uint8

const (
	tokenEnd tokenKind = iota
	// tokenMark is one of ( ) { }.
	tokenMark
	tokenWord
	// tokenNothing is <>.
	tokenNothing
)

type token struct {
	kind tokenKind
	text string
	// plain says that the word was written without escapes.
	plain bool
}

type reader struct {
	text  string
	at    int
	depth int
}

func (r *reader) fail(format string, args ...any) error {
	return fmt.Errorf("node tree, byte %d: %s", r.at, fmt.Sprintf(format, args...))
}

// next cuts a token as Postgres's own reader does: at white space and at the four marks, with a backslash before a
// character that is meant as it stands.
func (r *reader) next() token {
	for r.at < len(r.text) && isSpace(r.text[r.at]) {
		r.at++
	}
	if r.at == len(r.text) {
		return token{}
	}
	if c := r.text[r.at]; isMark(c) {
		r.at++
		return token{kind: tokenMark, text: r.text[r.at-1 : r.at]}
	}
	start, escaped := r.at, false
	for r.at < len(r.text) && !isSpace(r.text[r.at]) && !isMark(r.text[r.at]) {
		if r.text[r.at] == '\\' && r.at+1 < len(r.text) {
			escaped = true
			r.at++
		}
		r.at++
	}
	word := r.text[start:r.at]
	if !escaped {
		if word == "<>" {
			return token{kind: tokenNothing, plain: true}
		}
		return token{kind: tokenWord, text: word, plain: true}
	}
	plain := make([]byte, 0, len(word))
	for i := 0; i < len(word); i++ {
		if word[i] == '\\' && i+1 < len(word) {
			i++
		}
		plain = append(plain, word[i])
	}
	return token{kind: tokenWord, text: string(plain)}
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' }

func isMark(c byte) bool { return c == '(' || c == ')' || c == '{' || c == '}' }

func (r *reader) value(t token) (Value, error) {
	switch t.kind {
	case tokenEnd:
		return Value{}, r.fail("found the end of the text, expected a value")
	case tokenNothing:
		return Value{}, nil
	case tokenWord:
		return Value{Atom: unquoted(t.text)}, nil
	}
	r.depth++
	defer func() { r.depth-- }()
	if r.depth > maxDepth {
		return Value{}, errTooDeep
	}
	switch t.text {
	case "{":
		n, err := r.node()
		return Value{Node: n}, err
	case "(":
		return r.list()
	}
	return Value{}, r.fail("found %q, expected a value", t.text)
}

var errTooDeep = errors.New("node tree: nested too deep")

// unquoted is the text of a name in a list of names, which stands in double quotes.
func unquoted(word string) string {
	if len(word) >= 2 && word[0] == '"' && word[len(word)-1] == '"' {
		return word[1 : len(word)-1]
	}
	return word
}

// list reads what stands behind an opening parenthesis. Lists of numbers begin with a letter that says of what: it is left
// out.
func (r *reader) list() (Value, error) {
	list := []Value{}
	for first := true; ; first = false {
		t := r.next()
		if t.kind == tokenMark && t.text == ")" {
			return Value{List: list}, nil
		}
		if first && t.kind == tokenWord && t.plain && (t.text == "i" || t.text == "o" || t.text == "b" || t.text == "x") {
			continue
		}
		v, err := r.value(t)
		if err != nil {
			return Value{}, err
		}
		list = append(list, v)
	}
}

// node reads what stands behind an opening brace. A field is a name with a colon before it and one value; the bytes of a
// constant stand in brackets behind their number, and whatever else a version may put there is passed over.
func (r *reader) node() (*Node, error) {
	t := r.next()
	if t.kind != tokenWord {
		return nil, r.fail("found %q, expected the name of a node", t.text)
	}
	n := &Node{Tag: t.text}
	t = r.next()
	for {
		switch {
		case t.kind == tokenMark && t.text == "}":
			return n, nil
		case t.kind != tokenWord || len(t.text) < 2 || t.text[0] != ':':
			return nil, r.fail("found %q in %s, expected a field", t.text, n.Tag)
		}
		name := t.text[1:]
		v, err := r.value(r.next())
		if err != nil {
			return nil, err
		}
		t = r.next()
		for t.kind != tokenEnd && !(t.kind == tokenMark && t.text == "}") && !(t.kind == tokenWord && t.plain && t.text[0] == ':') {
			if t.kind == tokenWord && t.plain && t.text == "[" {
				if v.Datum, err = r.datum(); err != nil {
					return nil, err
				}
			} else if _, err := r.value(t); err != nil {
				return nil, err
			}
			t = r.next()
		}
		n.Fields = append(n.Fields, Field{Name: name, Value: v})
	}
}

func (r *reader) datum() ([]byte, error) {
	bytes := []byte{}
	for {
		t := r.next()
		if t.kind != tokenWord {
			return nil, r.fail("found %q, expected a byte of a constant", t.text)
		}
		if t.text == "]" {
			return bytes, nil
		}
		// Bytes are printed as C's char, which may have a sign.
		b, err := strconv.Atoi(t.text)
		if err != nil {
			return nil, r.fail("found %q, expected a byte of a constant", t.text)
		}
		bytes = append(bytes, byte(b))
	}
}

// get is a field's value, or nothing.
func (n *Node) get(name string) Value {
	if n != nil {
		for i := range n.Fields {
			if n.Fields[i].Name == name {
				return n.Fields[i].Value
			}
		}
	}
	return Value{}
}

// node is a field that holds a node, or nil.
func (n *Node) node(name string) *Node { return n.get(name).Node }

// list is a field that holds a list, nil when it is empty.
func (n *Node) list(name string) []Value { return n.get(name).List }

// nodes are the nodes of a list.
func (n *Node) nodes(name string) []*Node {
	var all []*Node
	for _, v := range n.list(name) {
		if v.Node != nil {
			all = append(all, v.Node)
		}
	}
	return all
}

// text is a field that holds a word, or empty.
func (n *Node) text(name string) string { return n.get(name).Atom }

// number is a field that holds a number, or 0.
func (n *Node) number(name string) int {
	i, _ := strconv.Atoi(n.get(name).Atom)
	return i
}

func (n *Node) is(name string) bool { return n.get(name).Atom == "true" }

// oid is a field that holds an oid, or 0.
func (n *Node) oid(name string) uint32 { return n.get(name).oid() }

func (v Value) oid() uint32 {
	i, _ := strconv.ParseUint(v.Atom, 10, 32)
	return uint32(i)
}

// location is where in the statement the node's text stands, in bytes, or -1.
func (n *Node) location() int {
	at, err := strconv.Atoi(n.get("location").Atom)
	if err != nil {
		return -1
	}
	return at
}

// children calls f for each node right below n.
func (n *Node) children(f func(field string, child *Node)) {
	for i := range n.Fields {
		n.Fields[i].Value.nodes(func(child *Node) { f(n.Fields[i].Name, child) })
	}
}

func (v Value) nodes(f func(*Node)) {
	if v.Node != nil {
		f(v.Node)
	}
	for _, e := range v.List {
		e.nodes(f)
	}
}

// walk calls f for n and all below it, from the top down, with the nodes above; f returns false to leave out what is below.
func (n *Node) walk(above []*Node, f func(n *Node, above []*Node) bool) {
	if n == nil || !f(n, above) {
		return
	}
	above = append(above, n)
	n.children(func(_ string, child *Node) { child.walk(above, f) })
}

// place is the location of the first node that has one, n before those below it.
func (n *Node) place() int {
	at := -1
	n.walk(nil, func(n *Node, _ []*Node) bool {
		if at < 0 {
			at = n.location()
		}
		return at < 0
	})
	return at
}

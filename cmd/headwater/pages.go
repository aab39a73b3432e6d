package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"
)

// pagesHTML is what all pages are made of.
//
//go:embed pages.html
var pagesHTML string

// pageTemplate makes pages that escape all that they are given.
func pageTemplate(text string) *template.Template {
	funcs := template.FuncMap{"line": oneLine, "lines": printableLines}
	return template.Must(template.Must(template.New("pages").Funcs(funcs).Parse(pagesHTML)).New("page").Parse(text))
}

func writeHTML(w io.Writer, t *template.Template, page any) error {
	var b bytes.Buffer
	if err := t.Execute(&b, page); err != nil {
		return err
	}
	_, err := w.Write(b.Bytes())
	return err
}

// markdownGrid writes a table, and nothing where it has no rows.
func markdownGrid(w io.Writer, title string, g *grid) {
	if len(g.Rows) == 0 {
		return
	}
	fmt.Fprintf(w, "%s\n\n", title)
	line := func(cells []string) {
		escaped := make([]string, len(cells))
		for i, cell := range cells {
			escaped[i] = markdownText(cell)
		}
		fmt.Fprintf(w, "| %s |\n", strings.Join(escaped, " | "))
	}
	line(g.Header)
	fmt.Fprintf(w, "|%s\n", strings.Repeat("---|", len(g.Header)))
	for _, cells := range g.Rows {
		line(cells)
	}
	fmt.Fprintln(w)
}

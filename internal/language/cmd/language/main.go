// Command language makes what is generated of the definition language: the tables of docs/definitions.md, and the JSON
// Schema. It is run in the root of the repository, by `make generate`; with --check it changes nothing, and fails where
// something is not as it would make it.
package main

import (
	"bytes"
	"fmt"
	"os"

	"github.com/headwaterhq/headwater/internal/language"
)

func main() {
	if err := run(len(os.Args) > 1 && os.Args[1] == "--check"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(check bool) error {
	for name, make := range language.Generated {
		found, err := os.ReadFile(name)
		if err != nil && !os.IsNotExist(err) {
			return err
		}
		proto, err := os.ReadFile(language.Proto)
		if err != nil {
			return err
		}
		l, err := language.New(string(proto))
		if err != nil {
			return err
		}
		want, err := make(l, string(found))
		switch {
		case err != nil:
			return err
		case bytes.Equal(found, []byte(want)):
		case check:
			return fmt.Errorf("%s is not what %s generates; run `make generate` and commit the result", name, language.Proto)
		default:
			if err := os.WriteFile(name, []byte(want), 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}

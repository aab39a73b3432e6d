package main

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
)

// sourceConfig is the other Postgres databases that sources may name.
type sourceConfig struct {
	// Databases holds connection URLs by name (HEADWATER_SOURCE_NAME_URL).
	Databases map[string]string `yaml:"source_databases"`
}

// sourceVariable is what the environment calls the URL of one; offline.DatabaseVariable is the way back.
var sourceVariable = regexp.MustCompile(`^HEADWATER_SOURCE_([A-Z][A-Z0-9_]*)_URL=(.+)$`)

// databaseName is a name that a definition can hold.
var databaseName = regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`)

func (c *sourceConfig) readEnvironment() {
	databases := maps.Clone(c.Databases)
	for _, variable := range os.Environ() {
		if m := sourceVariable.FindStringSubmatch(variable); m != nil {
			if databases == nil {
				databases = map[string]string{}
			}
			databases[strings.ToLower(m[1])] = m[2]
		}
	}
	c.Databases = databases
}

// databases are the URLs by name, or a usage fault for a name that no definition could have.
func (c *sourceConfig) databases() (map[string]string, error) {
	for _, name := range slices.Sorted(maps.Keys(c.Databases)) {
		if !databaseName.MatchString(name) {
			return nil, usagef("source_databases (HEADWATER_SOURCE_NAME_URL): found the name %q, expected lower-case letters, digits and single "+
				"underscores between them, a letter first", name)
		}
	}
	return c.Databases, nil
}

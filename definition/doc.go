// Package definition owns the way of definitions between files, the wire and the domain: YAML files into
// headwaterv1.DefinitionFile, that into feature.Definitions and back, and for everything that is wrong with them the
// place in the file.
//
// It imports feature, gen, internal/fault and the YAML and protobuf libraries; it opens files and knows no store.
//
// Invariant: nothing that stands in a file is passed over. An unknown key, a second key of one name, a second document, an
// alias, a value of another type: each is refused, with its place and what to write instead.
//
// Fields. A violation that has no File names its field from the whole list of definitions on: files in their order, so
// that `feature_views[3].entity` is the fourth view of all files. Server and client count alike, and so a client can say
// where a violation that came from the server stands in its files; see Annotate. A Line and Column beside such a field are
// a place inside the SQL text that the field holds.
package definition

package definition

import _ "embed"

//go:embed headwater.schema.json
var schema string

// Schema is the JSON Schema of files of definitions, by which editors complete and check them. It is made from the proto,
// and refuses nothing that Load takes.
func Schema() string { return schema }

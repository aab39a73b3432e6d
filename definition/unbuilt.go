package definition

import (
	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

// unbuilt refuses the keys that the schema has and no part of the product follows yet.
func (c *fromProto) unbuilt(f *headwaterv1.DefinitionFile) {
	refuse := func(field string, set bool) {
		if set {
			c.add(field, "found a key that is not implemented yet, expected none; leave it out")
		}
	}
	for i, s := range f.GetSources() {
		at := feature.KindSource.Path(i)
		refuse(at+".postgres.snapshot", s.GetPostgres().GetSnapshot())
	}
}

package definition

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

// kinds are the kinds of definitions, in the order in which files and changes list them.
var kinds = []feature.Kind{
	feature.KindEntity, feature.KindSource, feature.KindView, feature.KindService, feature.KindRole,
}

// Origins says where each definition of a list of files comes from.
type Origins struct {
	// paths are the files', in order.
	paths []string
	// counts says, for each file, how many definitions of each kind are in the files before it.
	counts []map[feature.Kind]int
}

func originsOf(files []*headwaterv1.DefinitionSource) *Origins {
	o := &Origins{}
	total := map[feature.Kind]int{}
	for _, f := range files {
		before := map[feature.Kind]int{}
		for k, n := range total {
			before[k] = n
		}
		o.paths = append(o.paths, f.GetPath())
		o.counts = append(o.counts, before)
		total[feature.KindEntity] += len(f.GetFile().GetEntities())
		total[feature.KindSource] += len(f.GetFile().GetSources())
		total[feature.KindView] += len(f.GetFile().GetFeatureViews())
		total[feature.KindService] += len(f.GetFile().GetFeatureServices())
		total[feature.KindRole] += len(f.GetFile().GetRoles())
	}
	return o
}

// whole turns a field of one file into one of the whole list: the views of the file with index 1 follow those of index 0.
func (o *Origins) whole(file int, field string) string {
	k, i, rest, ok := splitField(field)
	if !ok {
		return field
	}
	return k.Path(o.counts[file][k]+i) + rest
}

// Resolve turns a field of the whole list into its file, by index and path, and the field in it. ok is false for a field
// that does not begin with a definition.
func (o *Origins) Resolve(field string) (file int, path, local string, ok bool) {
	k, i, rest, ok := splitField(field)
	if !ok {
		return 0, "", "", false
	}
	for file = len(o.counts) - 1; file >= 0; file-- {
		if before := o.counts[file][k]; before <= i {
			return file, o.paths[file], k.Path(i-before) + rest, true
		}
	}
	return 0, "", "", false
}

// splitField takes `feature_views[3].sql` apart.
func splitField(field string) (k feature.Kind, i int, rest string, ok bool) {
	list, rest, ok := strings.Cut(field, "[")
	if !ok {
		return 0, 0, "", false
	}
	number, rest, ok := strings.Cut(rest, "]")
	if !ok {
		return 0, 0, "", false
	}
	i, err := strconv.Atoi(number)
	if err != nil || i < 0 {
		return 0, 0, "", false
	}
	for _, k := range kinds {
		if k.List() == list {
			return k, i, rest, true
		}
	}
	return 0, 0, "", false
}

func indexed(field string, i int) string { return fmt.Sprintf("%s[%d]", field, i) }

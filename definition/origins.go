package definition

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

// kinds are the kinds of definitions, in the order in which files and changes list them.
var kinds = []feature.Kind{
	feature.KindEntity, feature.KindSource, feature.KindView, feature.KindService, feature.KindRole, feature.KindPolicy,
	feature.KindConsumer,
}

// testList is the list of tests in a file.
const testList = "tests"

// Origins says where each definition of a list of files comes from.
type Origins struct {
	// paths are the files', in order.
	paths []string
	// counts says, for each file, how many items of each list are in the files before it.
	counts []map[string]int
	// total is how many items of each list there are.
	total map[string]int
}

func originsOf(files []*headwaterv1.DefinitionSource) *Origins {
	total := map[string]int{}
	o := &Origins{total: total}
	for _, f := range files {
		before := map[string]int{}
		for k, n := range total {
			before[k] = n
		}
		o.paths = append(o.paths, f.GetPath())
		o.counts = append(o.counts, before)
		total[feature.KindEntity.List()] += len(f.GetFile().GetEntities())
		total[feature.KindSource.List()] += len(f.GetFile().GetSources())
		total[feature.KindView.List()] += len(f.GetFile().GetFeatureViews())
		total[feature.KindService.List()] += len(f.GetFile().GetFeatureServices())
		total[feature.KindRole.List()] += len(f.GetFile().GetRoles())
		total[feature.KindPolicy.List()] += len(f.GetFile().GetPolicies())
		total[feature.KindConsumer.List()] += len(f.GetFile().GetConsumers())
		total[testList] += len(f.GetFile().GetTests())
	}
	return o
}

// whole turns a field of one file into one of the whole list: the views of the file with index 1 follow those of index 0.
func (o *Origins) whole(file int, field string) string {
	list, i, rest, ok := splitField(field)
	if !ok {
		return field
	}
	return indexed(list, o.counts[file][list]+i) + rest
}

// Resolve turns a field of the whole list into its file, by index and path, and the field in it. ok is false for a field
// that does not begin with a definition.
func (o *Origins) Resolve(field string) (file int, path, local string, ok bool) {
	list, i, rest, ok := splitField(field)
	if !ok {
		return 0, "", "", false
	}
	for file = len(o.counts) - 1; file >= 0; file-- {
		if before := o.counts[file][list]; before <= i {
			return file, o.paths[file], indexed(list, i-before) + rest, true
		}
	}
	return 0, "", "", false
}

// splitField takes `feature_views[3].sql` apart.
func splitField(field string) (list string, i int, rest string, ok bool) {
	list, rest, ok = strings.Cut(field, "[")
	if !ok {
		return "", 0, "", false
	}
	number, rest, ok := strings.Cut(rest, "]")
	if !ok {
		return "", 0, "", false
	}
	i, err := strconv.Atoi(number)
	if err != nil || i < 0 {
		return "", 0, "", false
	}
	isList := list == testList || slices.ContainsFunc(kinds, func(k feature.Kind) bool { return k.List() == list })
	return list, i, rest, isList
}

func indexed(field string, i int) string { return fmt.Sprintf("%s[%d]", field, i) }

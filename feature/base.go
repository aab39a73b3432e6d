package feature

// SourceColumns adds to set the columns of sources, as SOURCE.COLUMN, that a column of the view depends on: those that its value is made
// of, and those that decide which rows it is made of. The column is a join key, a clock, a feature or an attribute. Of a view of which it
// is not known what its columns are made of, they are all that it reads. What comes with a request is of no source.
func (v *ViewVersion) SourceColumns(column string, set map[string]bool) {
	v.sourceColumns(column, set, map[viewColumn]bool{})
}

type viewColumn struct {
	view   *ViewVersion
	column string
}

func (v *ViewVersion) sourceColumns(column string, set map[string]bool, seen map[viewColumn]bool) {
	at := viewColumn{v, column}
	if seen[at] {
		return
	}
	seen[at] = true
	if v.Analysis == nil {
		for _, s := range v.SourceVersions {
			for i := range s.Columns {
				set[s.Name+"."+s.Columns[i].Name] = true
			}
		}
		for _, w := range v.ViewVersions {
			for _, name := range w.TaggedColumns() {
				w.sourceColumns(name, set, seen)
			}
		}
		return
	}
	for _, in := range v.Analysis.Inputs {
		if in.Column != column {
			continue
		}
		for _, s := range v.SourceVersions {
			if s.Name == in.Relation {
				for _, name := range s.columnsBehind(in.InputColumn) {
					set[s.Name+"."+name] = true
				}
			}
		}
		for _, w := range v.ViewVersions {
			if w.Name == in.Relation {
				w.sourceColumns(in.InputColumn, set, seen)
			}
		}
	}
}

// columnsBehind are the columns that one is made of as SQL sees it, where the source's clocks may have names of their own.
func (s *Source) columnsBehind(name string) []string {
	if s.Column(name) == nil {
		switch name {
		case columnEventTime:
			return []string{s.EventTime}
		case columnAvailableAt:
			return s.ArrivalColumns()
		}
	}
	return []string{name}
}

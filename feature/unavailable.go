package feature

// What the language has and this version cannot do yet is refused here, by name.

func (v *validation) unavailableInSQL(t *SQLTransform) {
	if len(t.Functions) > 0 {
		v.add("sql.functions", "found functions of users, which are not available in this version; use Postgres's own")
	}
}

package feature

// What the language has and this version cannot do yet is refused here, by name.

func (v *validation) unavailableInSQL(t *SQLTransform) {
	if len(t.Functions) > 0 {
		v.add("sql.functions", "found functions of users, which are not available in this version; use Postgres's own")
	}
}

func (v *validation) unavailableInServiceView(field string, sv *ServiceView) {
	if sv.Published {
		v.add(field+".view", "found @published, which is not available in this version; name a version, or none")
	}
}

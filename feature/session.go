package feature

// Setting is one Postgres setting of a session.
type Setting struct{ Name, Value string }

// SessionSettings are what every session that runs a view's SQL is pinned to, besides its search_path, which the engine
// sets to where it shows the declared sources. They are part of every view's fingerprint: changing one makes new versions
// of all views.
var SessionSettings = []Setting{
	{"TimeZone", "UTC"},
	{"DateStyle", "ISO, MDY"},
	{"IntervalStyle", "postgres"},
	{"extra_float_digits", "1"},
	{"bytea_output", "hex"},
	{"lc_monetary", "C"},
	{"lc_numeric", "C"},
	{"lc_time", "C"},
	{"standard_conforming_strings", "on"},
	{"transform_null_equals", "off"},
	{"array_nulls", "on"},
	{"default_text_search_config", "pg_catalog.simple"},
}

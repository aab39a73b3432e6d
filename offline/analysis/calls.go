package analysis

import (
	"regexp"
	"slices"
	"strings"
)

// What Postgres calls volatile, or does not, and that reads something other than its arguments, by the rule that it breaks.
// Names are those of Postgres's own functions. What is volatile and in none of these breaks RuleVolatile.
var hidden = []struct {
	rule  Rule
	names *regexp.Regexp
}{
	{RuleClock, regexp.MustCompile(`^(now|clock_timestamp|timeofday|(transaction|statement)_timestamp|pg_postmaster_start_time|pg_conf_load_time|mxid_age)$`)},
	{RuleRandom, regexp.MustCompile(`^(random|random_normal|setseed|gen_random_uuid|uuidv[47])$`)},
	{RuleSequence, regexp.MustCompile(`^(nextval|currval|lastval|setval|pg_sequence_.*|pg_get_sequence_data)$`)},
	{RuleFile, regexp.MustCompile(`^(pg_read_.*|pg_ls_.*|pg_stat_file|pg_current_logfile)$`)},
	{RuleLargeObject, regexp.MustCompile(`^(lo_.*|loread|lowrite)$`)},
	{RuleSession, regexp.MustCompile(`^(current_.*|session_user|version|getpgusername|getdatabaseencoding|get_current_ts_config|set_config` +
		`|row_security_active|inet_(client|server)_.*|txid_.*|pg_current_.*|pg_backend_pid|pg_my_temp_schema|pg_is_.*|pg_client_encoding)$`)},
	{RuleCatalog, regexp.MustCompile(`^([a-z]+_to_xml(schema|_and_xmlschema)?|.*_description|format_type|oidvectortypes|enum_(first|last|range)` +
		`|ts_(debug|parse|token_type)|.*acl.*|reg(class|[a-z]+(in|out))|(has|to_reg|pg)_.*)$`)},
}

// harmless are names that the expressions above find, of functions that depend on their arguments alone.
var harmless = []string{"pg_size_pretty", "pg_size_bytes"}

// hiddenTypes are names of types whose values are read and written by looking into the catalog.
var hiddenTypes = regexp.MustCompile(`^_?(reg[a-z]+|aclitem)$`)

// remedies say what to do instead of calling a function.
var remedies = map[Rule]string{
	RuleClock:       "take the time from a row (event_time, available_at), and the bounds of the run from {{interval.start}} and {{interval.end}}",
	RuleRandom:      "make a number of the row's own columns, such as hashtext(key)",
	RuleSequence:    "number rows by row_number() over an order that is total",
	RuleFile:        "load the file into a source, and list it under sql.sources",
	RuleLargeObject: "load the object into a source, and list it under sql.sources",
	RuleSession:     "write the value that is meant as a constant",
	RuleCatalog:     "declare what it reads as a source, and list it under sql.sources",
	RuleVolatile:    "leave it out, or declare what it reads as a source and list it under sql.sources",
}

const nothingElse = "only functions whose result depends on nothing but their arguments"

// hiddenRule is the rule that a function of Postgres's own breaks, or empty.
func hiddenRule(f *function) Rule {
	if slices.Contains(harmless, f.Name) {
		return ""
	}
	// age(timestamp) counts from today, age(xid) from the last transaction.
	if f.Name == "age" && len(f.Arguments) == 1 {
		return RuleClock
	}
	for _, h := range hidden {
		if h.names.MatchString(f.Name) {
			if h.rule == RuleCatalog && f.Volatility == "v" && strings.HasPrefix(f.Name, "pg_") {
				return RuleVolatile
			}
			return h.rule
		}
	}
	if f.Volatility == "v" && f.Kind != "a" && f.Kind != "w" {
		return RuleVolatile
	}
	return ""
}

// report takes a refusal that a tree gives rise to, at a node and those above it.
type report func(r Refusal, at int, words ...string)

// checkNodes looks for what no node of the view's tree may be or refer to.
func (a *analyser) checkNodes() {
	a.checkTree(a.tree, a.catalog, a.refuse)
	if a.OneRow {
		a.checkOneRow()
	}
}

func (a *analyser) checkTree(tree *Node, c *catalog, refuse report) {
	types := map[uint32]bool{}
	tree.walk(nil, func(n *Node, above []*Node) bool {
		at := n.location()
		for i := len(above) - 1; i >= 0 && at < 0; i-- {
			at = above[i].location()
		}
		if at < 0 {
			at = n.place()
		}
		a.checkNode(n, at, c, refuse)
		a.checkCalls(n, at, c, refuse)
		a.checkTypes(n, at, c, types, refuse)
		a.checkCollation(n, at, c, refuse)
		return true
	})
}

// sqlValues are the words that a SQLVALUEFUNCTION stands for, by its number; from 9 on they are of the session.
var sqlValues = []string{"CURRENT_DATE", "CURRENT_TIME", "CURRENT_TIME", "CURRENT_TIMESTAMP", "CURRENT_TIMESTAMP", "LOCALTIME", "LOCALTIME",
	"LOCALTIMESTAMP", "LOCALTIMESTAMP", "CURRENT_ROLE", "CURRENT_USER", "USER", "SESSION_USER", "CURRENT_CATALOG", "CURRENT_SCHEMA"}

func (a *analyser) checkNode(n *Node, at int, c *catalog, refuse report) {
	switch n.Tag {
	case "RANGETBLENTRY", "RTE":
		a.checkRelation(n, c, refuse)
	case "ROWMARKCLAUSE":
		refuse(Refusal{Rule: RuleLock, Found: "a lock of rows (FOR UPDATE or one of its kind)", Expected: "none",
			Remedy: "leave it out: a run reads a snapshot that nothing changes"}, a.lockPlace(), "FOR")
	case "SQLVALUEFUNCTION":
		word, rule := "", RuleClock
		if op := n.number("op"); op < len(sqlValues) {
			word = sqlValues[op]
			if op >= 9 {
				rule = RuleSession
			}
		}
		found := word + ", which reads the clock"
		if rule == RuleSession {
			found = word + ", which depends on who runs it"
		}
		refuse(Refusal{Rule: rule, Found: found, Expected: nothingElse, Remedy: remedies[rule]}, at, word)
	case "NEXTVALUEEXPR":
		refuse(Refusal{Rule: RuleSequence, Found: "the next value of a sequence", Expected: nothingElse, Remedy: remedies[RuleSequence]}, at)
	case "TABLESAMPLECLAUSE":
		refuse(sampled, a.keywordBefore(n.place(), "tablesample"), "TABLESAMPLE")
	case "COERCEVIAIO":
		a.checkTextToTime(n, at, c, refuse)
	case "RANGETBLFUNCTION", "TABLEFUNC":
		for _, t := range append(slices.Clone(n.list("funccoltypes")), n.list("coltypes")...) {
			a.refuseTextToTime(t.oid(), "a column of type ", at, c, refuse)
		}
	}
}

var sampled = Refusal{Rule: RuleSample, Found: "TABLESAMPLE, which picks rows by where they lie", Expected: "all rows, or a choice by their columns",
	Remedy: "write a condition on a hash of the key: WHERE hashtext(key) % 10 = 0"}

// lockPlace is where FOR UPDATE or one of its kind stands.
func (a *analyser) lockPlace() int {
	tokens := a.statement.Query.Tokens()
	for i := range tokens {
		if i+1 < len(tokens) && tokens[i].Canonical() == "for" && slices.Contains([]string{"update", "share", "no", "key"}, tokens[i+1].Canonical()) {
			return a.offsetOf(&tokens[i])
		}
	}
	return -1
}

func (a *analyser) checkRelation(n *Node, c *catalog, refuse report) {
	if n.number("rtekind") != 0 {
		return
	}
	r := c.relations[n.oid("relid")]
	if r == nil || r.Temporary && (a.statement.Name == r.Name || a.relation(r.Name) != nil) {
		return
	}
	name := r.Name
	if r.Schema != "" {
		name = r.Schema + "." + r.Name
	}
	names := make([]string, len(a.Relations))
	for i := range a.Relations {
		names[i] = a.Relations[i].Name
	}
	refuse(Refusal{Rule: RuleRelation, Found: "a read of " + name, Expected: "only the declared sources and views (" + strings.Join(names, ", ") + ")",
		Remedy: "declare it as a source and list it under sql.sources"}, a.wordPlace(r.Name), r.Name)
}

// wordPlace is where a name stands first, -1 when nowhere.
func (a *analyser) wordPlace(name string) int {
	tokens := a.statement.Query.Tokens()
	for i := range tokens {
		if t := &tokens[i]; t.Canonical() == name || t.Text == `"`+name+`"` {
			return a.offsetOf(t)
		}
	}
	return -1
}

func viewName(name string) string { return `"pg_temp"."` + name + `"` }

// relation is a declared relation by name, or nil.
func (a *analyser) relation(name string) *Relation {
	for i := range a.Relations {
		if a.Relations[i].Name == name {
			return &a.Relations[i]
		}
	}
	return nil
}

// calls are the functions that a node calls by itself.
func calls(n *Node, c *catalog) []uint32 {
	var all []uint32
	for _, f := range functionFields {
		if oid := n.oid(f); oid != 0 {
			all = append(all, oid)
		}
	}
	for _, f := range operatorFields {
		v := n.get(f)
		for _, oid := range append([]Value{v}, v.List...) {
			if o := c.operators[oid.oid()]; o != nil && !slices.Contains(all, o.Function) {
				all = append(all, o.Function)
			}
		}
	}
	return all
}

func (a *analyser) checkCalls(n *Node, at int, c *catalog, refuse report) {
	for _, oid := range calls(n, c) {
		f := c.functions[oid]
		if f == nil || n.Tag == "TABLESAMPLECLAUSE" {
			continue
		}
		if !f.builtIn() {
			a.checkUserCall(f, at, refuse)
			continue
		}
		if rule := hiddenRule(f); rule != "" {
			refuse(Refusal{Rule: rule, Found: "a call of " + f.Identity, Expected: nothingElse, Remedy: remedies[rule]}, at, f.Name)
			continue
		}
		if inputFunction.MatchString(f.Name) {
			a.refuseTextToTime(0, "a call of "+f.Identity+", which reads ", at, c, refuse)
		}
		if f.Name == "timezone" {
			continue
		}
		if strings.Contains(f.Name, "_populate_record") {
			a.refuseTextToTime(0, "a call of "+f.Identity+", which reads ", at, c, refuse)
		}
	}
}

// inputFunction finds functions that read text as a value that may be a time.
var inputFunction = regexp.MustCompile(`^(date|time|timetz|timestamp|timestamptz|array|record|range|multirange|domain)_in$`)

// timeTypes are types whose text form may be a word of the clock's, such as now, with arrays and ranges of them.
var timeTypes = []uint32{1082, 1083, 1114, 1184, 1266, 1115, 1182, 1183, 1185, 1270, 3908, 3910, 3912, 4533, 4534, 4535}

func isTimeType(oid uint32) bool { return slices.Contains(timeTypes, oid) }

func (a *analyser) checkTextToTime(n *Node, at int, c *catalog, refuse report) {
	to := n.oid("resulttype")
	from := c.types[exprType(n.node("arg"))]
	if !isTimeType(to) || from != nil && from.Category != "S" && from.Category != "X" && from.Category != "U" {
		return
	}
	a.refuseTextToTime(to, "a cast of text to ", at, c, refuse)
}

func (a *analyser) refuseTextToTime(to uint32, found string, at int, c *catalog, refuse report) {
	name := "a time"
	if to != 0 {
		if !isTimeType(to) {
			return
		}
		name = "a time"
		if t := c.types[to]; t != nil {
			name = t.Text
		}
	}
	refuse(Refusal{Rule: RuleTextToTime, Found: found + name + " while it runs, where a row that holds 'now' is the time of the run",
		Expected: "a form that is told", Remedy: "write to_timestamp(text, 'YYYY-MM-DD HH24:MI:SS') or to_date(text, 'YYYY-MM-DD'), or give the " +
			"source a column of type timestamp"}, at)
}

func (a *analyser) checkTypes(n *Node, at int, c *catalog, seen map[uint32]bool, refuse report) {
	for i := range n.Fields {
		f := &n.Fields[i]
		if !isTypeField(f.Name) {
			continue
		}
		for _, v := range append([]Value{f.Value}, f.Value.List...) {
			t := c.types[v.oid()]
			if t == nil || seen[t.OID] {
				continue
			}
			switch element := c.types[t.Element]; {
			case hiddenTypes.MatchString(t.Name) && t.builtIn():
				seen[t.OID] = true
				refuse(Refusal{Rule: RuleType, Found: "a value of type " + t.Text + ", which is read and written by looking into the catalog",
					Expected: "none", Remedy: "use numbers or text"}, at, t.Name)
			case element != nil && a.typeAllowed(element):
			case !a.typeAllowed(t):
				seen[t.OID] = true
				refuse(Refusal{Rule: RuleType, Found: "a value of type " + t.Text + ", which is not Postgres's own", Expected: "none",
					Remedy: "use types of Postgres's own; one of an extension is let in by its input function under sql.functions"}, at, t.Name)
			}
		}
	}
}

// checkOneRow refuses what makes a row depend on others, or become several.
func (a *analyser) checkOneRow() {
	refuse := func(found string, at int) {
		a.refuse(Refusal{Rule: RuleStatement, Found: found, Expected: "an expression over one row", Remedy: "use the row's own columns"}, at)
	}
	a.tree.walk(nil, func(n *Node, _ []*Node) bool {
		switch n.Tag {
		case "SUBLINK":
			refuse("a subquery", n.location())
		case "WINDOWFUNC":
			refuse("a window function", n.location())
		case "AGGREF":
			refuse("an aggregate", n.location())
		case "FUNCEXPR":
			if n.is("funcretset") {
				refuse("a function that returns several rows", n.location())
			}
		}
		return n.Tag != "SUBLINK"
	})
	if a.tree.is("hasTargetSRFs") && len(a.refusals) == 0 {
		refuse("a function that returns several rows", -1)
	}
}

// exprType is the type of an expression, 0 when it is not told.
func exprType(n *Node) uint32 {
	if n == nil {
		return 0
	}
	switch n.Tag {
	case "BOOLEXPR", "NULLTEST", "BOOLEANTEST", "SCALARARRAYOPEXPR", "ROWCOMPARE", "ROWCOMPAREEXPR":
		return 16
	case "SUBLINK":
		if kind := n.number("subLinkType"); kind != sublinkExpr {
			return 16
		}
		if targets := n.node("subselect").nodes("targetList"); len(targets) > 0 {
			return exprType(targets[0].node("expr"))
		}
		return 0
	case "COLLATEEXPR":
		return exprType(n.node("arg"))
	}
	for _, f := range []string{"vartype", "consttype", "funcresulttype", "opresulttype", "aggtype", "wintype", "resulttype", "casetype", "coalescetype",
		"minmaxtype", "row_typeid", "array_typeid", "refrestype", "paramtype", "typeId", "type"} {
		if oid := n.oid(f); oid != 0 {
			return oid
		}
	}
	return 0
}

// Kinds of a SUBLINK.
const (
	sublinkExists = 0
	sublinkAll    = 1
	sublinkAny    = 2
	sublinkExpr   = 4
	sublinkArray  = 6
)

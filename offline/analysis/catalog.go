package analysis

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"
)

// firstUserOID is the first oid that Postgres gives to what is made after initdb.
const firstUserOID = 16384

// Function is what the catalog knows of a function, an aggregate or a window function.
type function struct {
	OID      uint32
	Schema   string
	Name     string
	Identity string // as regprocedure prints it
	// Kind is prokind: f, a, w or p. Volatility is provolatile: i, s or v.
	Kind, Volatility string
	Language         string
	Arguments        []uint32
	Result           uint32
	ReturnsSet       bool
}

// builtIn says that the function is Postgres's own.
func (f *function) builtIn() bool { return f.OID < firstUserOID && f.Schema == "pg_catalog" }

type operator struct {
	OID, Function uint32
	Name          string
}

type sqlType struct {
	OID          uint32
	Schema, Name string
	Text         string // as format_type prints it
	// Kind is typtype, Category typcategory.
	Kind, Category  string
	Element         uint32
	Input           uint32
	BaseType, Class uint32
	Temporary       bool
}

func (t *sqlType) builtIn() bool {
	return t.OID < firstUserOID && t.Schema == "pg_catalog" || t.Temporary
}

type collation struct {
	OID           uint32
	Name          string
	Provider      string
	Locale        string
	Deterministic bool
}

type relationName struct {
	OID          uint32
	Schema, Name string
	Temporary    bool
}

// catalog is what the catalog says of the oids in a tree.
type catalog struct {
	functions  map[uint32]*function
	operators  map[uint32]*operator
	types      map[uint32]*sqlType
	collations map[uint32]*collation
	relations  map[uint32]*relationName
}

// references are the oids in a tree, by kind.
type references struct{ functions, operators, types, collations, relations []uint32 }

// fields that hold oids, by what they name. Fields that end in type, typeid or types hold types, and are told by their ends.
var (
	functionFields  = []string{"funcid", "opfuncid", "negfuncid", "aggfnoid", "winfnoid", "startInRangeFunc", "endInRangeFunc", "tsmhandler"}
	operatorFields  = []string{"opno", "opnos", "eqop", "sortop"}
	collationFields = []string{"inputcollid", "opcollid", "funccollid", "varcollid", "constcollid", "resultcollid", "collOid", "minmaxcollid",
		"coalescecollid", "casecollid", "aggcollid", "wincollid", "inRangeColl", "array_collid", "inputcollids"}
)

func referencesOf(tree Value) references {
	var r references
	collect := func(v Value, to *[]uint32) {
		if oid := v.oid(); oid != 0 {
			*to = append(*to, oid)
		}
		for _, e := range v.List {
			if oid := e.oid(); oid != 0 {
				*to = append(*to, oid)
			}
		}
	}
	tree.nodes(func(n *Node) {
		n.walk(nil, func(n *Node, _ []*Node) bool {
			for i := range n.Fields {
				f := &n.Fields[i]
				switch {
				case slices.Contains(functionFields, f.Name):
					collect(f.Value, &r.functions)
				case slices.Contains(operatorFields, f.Name):
					collect(f.Value, &r.operators)
				case slices.Contains(collationFields, f.Name):
					collect(f.Value, &r.collations)
				case f.Name == "relid":
					collect(f.Value, &r.relations)
				case isTypeField(f.Name):
					collect(f.Value, &r.types)
				}
			}
			return true
		})
	})
	return r
}

// typeWords are fields with the ends of those that hold types, and hold small numbers that mean something else.
var typeWords = []string{"commandType", "jointype", "subLinkType", "nulltesttype", "booltesttype", "rctype", "boolop", "csttype"}

func isTypeField(name string) bool {
	if slices.Contains(typeWords, name) {
		return false
	}
	for _, end := range []string{"type", "typeid", "types", "Type"} {
		if len(name) >= len(end) && name[len(name)-len(end):] == end {
			return true
		}
	}
	return false
}

// readCatalog resolves what a tree refers to, and the functions of its operators.
func readCatalog(ctx context.Context, tx pgx.Tx, refs references) (*catalog, error) {
	c := &catalog{
		functions: map[uint32]*function{}, operators: map[uint32]*operator{}, types: map[uint32]*sqlType{},
		collations: map[uint32]*collation{}, relations: map[uint32]*relationName{},
	}
	operators, err := rowsOf[operator](ctx, tx, `
		SELECT oid, oprcode::oid AS function, oprname::text AS name FROM pg_operator WHERE oid = ANY ($1)`, refs.operators)
	if err != nil {
		return nil, err
	}
	for _, o := range operators {
		c.operators[o.OID] = o
		refs.functions = append(refs.functions, o.Function)
	}
	types, err := rowsOf[sqlType](ctx, tx, `
		WITH RECURSIVE t AS (
			SELECT * FROM pg_type WHERE oid = ANY ($1)
			UNION SELECT e.* FROM t JOIN pg_type e ON e.oid IN (t.typelem, t.typbasetype))
		SELECT t.oid, n.nspname::text AS schema, t.typname::text AS name, format_type(t.oid, NULL) AS text, t.typtype::text AS kind,
			t.typcategory::text AS category, CASE WHEN t.typcategory = 'A' THEN t.typelem ELSE 0 END AS element,
			t.typinput::oid AS input, t.typbasetype AS basetype, t.typrelid AS class,
			t.typnamespace = pg_my_temp_schema() AS temporary
		FROM t JOIN pg_namespace n ON n.oid = t.typnamespace`, refs.types)
	if err != nil {
		return nil, err
	}
	for _, t := range types {
		c.types[t.OID] = t
		if !t.builtIn() {
			refs.functions = append(refs.functions, t.Input)
		}
	}
	if err := c.readFunctions(ctx, tx, refs.functions); err != nil {
		return nil, err
	}
	collations, err := rowsOf[collation](ctx, tx, `
		SELECT c.oid, c.collname::text AS name, c.collprovider::text AS provider,
			coalesce(c.collcollate::text, to_jsonb(c) ->> 'colliculocale', to_jsonb(c) ->> 'colllocale', '') AS locale,
			c.collisdeterministic AS deterministic
		FROM pg_collation c WHERE c.oid = ANY ($1)`, refs.collations)
	if err != nil {
		return nil, err
	}
	for _, o := range collations {
		c.collations[o.OID] = o
	}
	relations, err := rowsOf[relationName](ctx, tx, `
		SELECT c.oid, n.nspname::text AS schema, c.relname::text AS name, c.relnamespace = pg_my_temp_schema() AS temporary
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = ANY ($1)`, refs.relations)
	if err != nil {
		return nil, err
	}
	for _, r := range relations {
		c.relations[r.OID] = r
	}
	return c, nil
}

// readFunctions adds functions by oid.
func (c *catalog) readFunctions(ctx context.Context, tx pgx.Tx, oids []uint32) error {
	functions, err := rowsOf[function](ctx, tx, `
		SELECT p.oid, n.nspname::text AS schema, p.proname::text AS name, p.oid::regprocedure::text AS identity, p.prokind::text AS kind,
			p.provolatile::text AS volatility, l.lanname::text AS language, p.proargtypes::oid[] AS arguments, p.prorettype AS result,
			p.proretset AS returnsset
		FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
		WHERE p.oid = ANY ($1)`, oids)
	for _, f := range functions {
		c.functions[f.OID] = f
	}
	return err
}

func rowsOf[T any](ctx context.Context, tx pgx.Tx, query string, oids []uint32) ([]*T, error) {
	slices.Sort(oids)
	rows, err := tx.Query(ctx, query, slices.Compact(oids))
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToAddrOfStructByName[T])
}

// functionName is a function's name when it is Postgres's own, else empty.
func (c *catalog) functionName(oid uint32) string {
	if f := c.functions[oid]; f != nil && f.builtIn() {
		return f.Name
	}
	return ""
}

// operatorName is an operator's name when its function is Postgres's own, else empty.
func (c *catalog) operatorName(oid uint32) string {
	o := c.operators[oid]
	if o == nil || c.functionName(o.Function) == "" {
		return ""
	}
	return o.Name
}

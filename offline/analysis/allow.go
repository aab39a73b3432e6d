package analysis

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
)

// allowance is a function of users that the definition lets the SQL call.
type allowance struct {
	function *function
	field    string
	called   bool
	// bodies are the function and what is looked through with it.
	bodies []feature.FunctionBody
}

// maxLookThrough is how many functions deep one is looked through.
const maxLookThrough = 16

// readAllowances finds the functions that may be called, and looks through each.
func (a *analyser) readAllowances(ctx context.Context) error {
	for i, f := range a.Functions {
		field := fmt.Sprintf("sql.functions[%d].function", i)
		oid, problem, err := a.resolveFunction(ctx, f.Function)
		if err != nil {
			return err
		}
		if oid == 0 {
			a.refusals = append(a.refusals, Refusal{Rule: RuleFunction, Field: field, Found: "no function " + f.Function + problem,
				Expected: "one of the database's", Remedy: "write it with its schema and the types of its arguments, such as public.haversine(double " +
					"precision, double precision)"})
			continue
		}
		if err := a.catalog.readFunctions(ctx, a.tx, []uint32{oid}); err != nil {
			return err
		}
		a.functions[oid] = &allowance{function: a.catalog.functions[oid], field: field}
	}
	for i := range a.Functions {
		for _, f := range a.functions {
			if f.field == fmt.Sprintf("sql.functions[%d].function", i) {
				if err := a.lookThrough(ctx, f, f.function, 0); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (a *analyser) resolveFunction(ctx context.Context, name string) (oid uint32, problem string, err error) {
	err = a.rolledBack(ctx, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `SELECT coalesce(to_regprocedure($1)::oid, 0::oid)`, name).Scan(&oid)
	})
	if pg := failed(err); pg != nil {
		return 0, " (" + pg.Message + ")", nil
	}
	return oid, "", err
}

// rolledBack does what leaves nothing behind.
func (a *analyser) rolledBack(ctx context.Context, f func(tx pgx.Tx) error) error {
	sp, err := a.tx.Begin(ctx)
	if err != nil {
		return err
	}
	return errors.Join(f(sp), sp.Rollback(ctx))
}

// lookThrough reads a function's definition: its hash is kept, and what it does is held to the rules as far as it can be
// seen. SQL is read as a tree; of other languages there is only what is declared.
func (a *analyser) lookThrough(ctx context.Context, root *allowance, f *function, depth int) error {
	refuse := func(r Refusal) {
		r.Field = root.field
		a.refusals = append(a.refusals, r)
	}
	if depth > maxLookThrough {
		refuse(Refusal{Rule: RuleFunction, Found: "functions that call each other more than 16 deep", Expected: "fewer", Remedy: "write it in one"})
		return nil
	}
	if f.builtIn() {
		if rule := hiddenRule(f); rule != "" {
			refuse(Refusal{Rule: rule, Found: "a call of " + f.Identity + ", of which " + root.function.Identity + " is made", Expected: nothingElse, Remedy: remedies[rule]})
		}
		return nil
	}
	if slices.ContainsFunc(root.bodies, func(b feature.FunctionBody) bool { return b.Function == f.Identity }) {
		return nil
	}
	if f.Kind == "a" {
		return a.lookThroughAggregate(ctx, root, f, depth)
	}
	var definition string
	if err := a.tx.QueryRow(ctx, `SELECT `+functionText+` FROM pg_proc WHERE oid = $1`, f.OID).Scan(&definition); err != nil {
		return err
	}
	root.bodies = append(root.bodies, feature.FunctionBody{Function: f.Identity, Body: sha256.Sum256([]byte(definition))})
	if f.Volatility == "v" {
		refuse(Refusal{Rule: RuleVolatile, Found: "function " + f.Identity + ", which is declared VOLATILE", Expected: "one whose result depends on nothing " +
			"but its arguments", Remedy: "declare it IMMUTABLE or STABLE if it is"})
		return nil
	}
	if f.Language != "sql" {
		return nil
	}
	tree, c, problem, err := a.bodyOf(ctx, f)
	if err != nil {
		return err
	}
	if problem != "" {
		refuse(Refusal{Rule: RuleFunction, Found: "function " + f.Identity + ", whose body cannot be read (" + problem + ")", Expected: "one that reads no " +
			"names outside of pg_catalog without their schema", Remedy: "write schemas before names"})
		return nil
	}
	var called []*function
	tree.nodes(func(n *Node) {
		a.checkTree(n, c, func(r Refusal, _ int, _ ...string) {
			r.Found += ", in the body of " + f.Identity
			refuse(r)
		})
		n.walk(nil, func(n *Node, _ []*Node) bool {
			for _, oid := range calls(n, c) {
				if g := c.functions[oid]; g != nil && !g.builtIn() {
					called = append(called, g)
				}
			}
			return true
		})
	})
	for _, g := range called {
		if err := a.lookThrough(ctx, root, g, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// bodyOf has Postgres analyse a function's SQL, as a temporary function of the same arguments.
func (a *analyser) bodyOf(ctx context.Context, f *function) (tree Value, c *catalog, problem string, err error) {
	err = a.rolledBack(ctx, func(tx pgx.Tx) error {
		var text *string
		var arguments, result, source string
		err := tx.QueryRow(ctx, `SELECT prosqlbody::text, pg_get_function_arguments(oid), pg_get_function_result(oid), prosrc FROM pg_proc WHERE oid = $1`,
			f.OID).Scan(&text, &arguments, &result, &source)
		if err != nil {
			return err
		}
		if text == nil {
			if !oneStatement(source) {
				tree, c, problem = Value{}, nil, "it is not one SELECT"
				return nil
			}
			_, err = tx.Exec(ctx, "CREATE FUNCTION pg_temp._headwater_body("+arguments+") RETURNS "+result+" LANGUAGE sql BEGIN ATOMIC "+source+"\n;END")
			if err != nil {
				return err
			}
			err = tx.QueryRow(ctx, `SELECT prosqlbody::text FROM pg_proc WHERE proname = '_headwater_body' AND pronamespace = pg_my_temp_schema()`).Scan(&text)
			if err != nil {
				return err
			}
		}
		if tree, err = parseTree(*text); err != nil {
			return err
		}
		c, err = readCatalog(ctx, tx, referencesOf(tree))
		return err
	})
	if pg := failed(err); pg != nil {
		return Value{}, nil, pg.Message, nil
	}
	return tree, c, problem, err
}

// oneStatement says that text is one SQL statement: what is put around it is sent with it.
func oneStatement(text string) bool {
	tokens, problem := feature.LexSQL(text)
	for i := range tokens {
		if tokens[i].Text == ";" && i < len(tokens)-1 {
			return false
		}
	}
	return problem == nil && len(tokens) > 0
}

// lookThroughAggregate does the same for an aggregate: its definition is that of the functions that it is made of.
func (a *analyser) lookThroughAggregate(ctx context.Context, root *allowance, f *function, depth int) error {
	var definition string
	var parts []uint32
	err := a.tx.QueryRow(ctx, `
		SELECT `+aggregateText+`,
			ARRAY(SELECT o FROM unnest(ARRAY[aggtransfn, aggfinalfn, aggcombinefn, aggserialfn, aggdeserialfn, aggmtransfn, aggminvtransfn,
				aggmfinalfn]::oid[]) o WHERE o <> 0)
		FROM pg_aggregate WHERE aggfnoid = $1`, f.OID).Scan(&definition, &parts)
	if err != nil {
		return err
	}
	root.bodies = append(root.bodies, feature.FunctionBody{Function: f.Identity, Body: sha256.Sum256([]byte(definition))})
	if err := a.catalog.readFunctions(ctx, a.tx, slices.Clone(parts)); err != nil {
		return err
	}
	for _, oid := range parts {
		if g := a.catalog.functions[oid]; g != nil {
			if err := a.lookThrough(ctx, root, g, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// What a function's hash is of: its definition, or what an aggregate is made of.
const (
	functionText  = `pg_get_functiondef(oid)`
	aggregateText = `concat_ws(' ', aggkind, aggtransfn, aggfinalfn, aggcombinefn, aggserialfn, aggdeserialfn, aggmtransfn, aggminvtransfn, aggmfinalfn,
		aggsortop, aggtranstype, agginitval)`
)

// ChangedFunctions are those that are no longer what they were when their hashes were taken, or are gone. tx is in the settings
// that runs are pinned to.
func ChangedFunctions(ctx context.Context, tx pgx.Tx, bodies []feature.FunctionBody) ([]string, error) {
	var changed []string
	for _, b := range bodies {
		var definition string
		err := tx.QueryRow(ctx, `
			SELECT coalesce((
				SELECT CASE WHEN prokind = 'a' THEN (SELECT `+aggregateText+` FROM pg_aggregate WHERE aggfnoid = oid) ELSE `+functionText+` END
				FROM pg_proc WHERE oid = to_regprocedure($1)), '')`, b.Function).Scan(&definition)
		if err != nil {
			return nil, err
		}
		if sha256.Sum256([]byte(definition)) != b.Body {
			changed = append(changed, b.Function)
		}
	}
	return changed, nil
}

// checkUserCall refuses a call of a function that is not Postgres's own and not let in.
func (a *analyser) checkUserCall(f *function, at int, refuse report) {
	if allowed := a.functions[f.OID]; allowed != nil {
		allowed.called = true
		return
	}
	refuse(Refusal{Rule: RuleFunction, Found: "a call of " + f.Identity + ", which is not Postgres's own", Expected: nothingElse,
		Remedy: "list it under sql.functions with the reason why its result depends on nothing but its arguments"}, at, f.Name)
}

// typeAllowed says that values of a type may be: it is Postgres's own, or its input function is let in.
func (a *analyser) typeAllowed(t *sqlType) bool {
	if t.builtIn() {
		return true
	}
	f := a.functions[t.Input]
	if f != nil && t.Kind == "b" {
		f.called = true
		return true
	}
	return false
}

package offline

import (
	"context"
	"errors"
	"regexp"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
)

// clockWords are what Postgres reads as a time of the clock's in a constant.
var clockWords = regexp.MustCompile(`(?i)\b(now|today|tomorrow|yesterday)\b`)

// clockTypes are those whose constants may hold one.
var clockTypes = []string{
	"timestamptz", "timestamp", "date", "timetz", "time", "timestamptz[]", "timestamp[]", "date[]", "tstzrange", "tsrange", "daterange",
}

// probeView is the temporary view that a constant is analysed in by itself.
const probeView = "_headwater_probe"

// clockConstant finds a constant of the query, such as 'today'::date, that Postgres made a time of the clock's when it
// analysed view: nothing of that is left in the tree but the time, another one in each run. A text that only says today
// stays a text, and is none. nil when there is none.
func clockConstant(ctx context.Context, tx pgx.Tx, view string, query *feature.Query) (*feature.SQLToken, error) {
	tokens := query.Tokens()
	for i := range tokens {
		t := &tokens[i]
		if t.Kind != feature.SQLString || !clockWords.MatchString(t.Text) {
			continue
		}
		for _, typ := range clockTypes {
			same, err := holdsConstant(ctx, tx, view, t.Text, typ)
			if err != nil {
				return nil, err
			}
			if same {
				return t, nil
			}
		}
	}
	return nil, nil
}

// holdsConstant tells whether view holds the constant that a literal of a type becomes within this transaction.
func holdsConstant(ctx context.Context, tx pgx.Tx, view, literal, typ string) (same bool, err error) {
	sp, err := tx.Begin(ctx)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, sp.Rollback(ctx)) }()
	_, err = sp.Exec(ctx, "CREATE TEMPORARY VIEW "+probeView+" AS SELECT "+literal+"::"+typ+" AS constant")
	if lasting(err) != nil {
		// No constant of this type.
		return false, nil
	}
	if err != nil {
		return false, err
	}
	err = sp.QueryRow(ctx, `
		WITH constants AS (
			SELECT r.ev_class, m[1] AS type, m[2] AS value
			FROM pg_rewrite r
				CROSS JOIN LATERAL regexp_matches(r.ev_action::text, '\{CONST :consttype (\d+) [^{}]*:constvalue (\d+ \[[^]]*\])', 'g') m
			WHERE r.ev_class IN ($1::text::regclass, $2::text::regclass))
		SELECT EXISTS (
			SELECT FROM constants a JOIN constants b USING (type, value)
			WHERE a.ev_class = $1::text::regclass AND b.ev_class = $2::text::regclass)`,
		temporary(view), temporary(probeView)).Scan(&same)
	return same, err
}

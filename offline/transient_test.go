package offline

import (
	"errors"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/headwaterhq/headwater/internal/fault"
)

// A disk that is full for a moment says nothing of a definition.
func TestOnlyLastingErrorsAreOfTheDefinition(t *testing.T) {
	src := flightsSource()
	src.ArrivalExpression = "date"
	for code, lasts := range map[string]bool{
		"42703": true, "22012": true, "21000": true, "54000": true, "0A000": true,
		"53100": false, "53200": false, "57P01": false, "58030": false, "40P01": false, "55P03": false, "08006": false, "XX000": false,
	} {
		err := fmt.Errorf("create a view: %w", &pgconn.PgError{Code: code, Message: "no"})
		if got := lasting(err) != nil; got != lasts {
			t.Errorf("%s: found lasting %t", code, got)
		}
		if got := fault.As(arrivalFault(src, err)) != nil; got != lasts {
			t.Errorf("%s: found a fault of the source %t, expected %t", code, got, lasts)
		}
	}
	if lasting(errors.New("no")) != nil || lasting(nil) != nil {
		t.Error("found an error of Postgres where there is none")
	}
}

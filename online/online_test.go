package online

import (
	"context"
	"strconv"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/testenv"
	"github.com/headwaterhq/headwater/read"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// columns makes columns named c0, c1 … of the given types.
func columns(types ...feature.Type) []feature.Column {
	made := make([]feature.Column, len(types))
	for i, t := range types {
		made[i] = feature.Column{Name: "c" + strconv.Itoa(i), Type: t}
	}
	return made
}

func view(id int64, name, entity string, features []feature.Column) *feature.ViewVersion {
	return &feature.ViewVersion{
		ID: id, Version: 1, View: feature.View{Name: name, Entity: entity, Features: features},
	}
}

func planOf(views ...*feature.ViewVersion) *read.Plan {
	p := &read.Plan{}
	for _, v := range views {
		p.Views = append(p.Views, read.View{Version: v, TTL: v.TTL})
	}
	return p
}

func pack(t testing.TB, v *feature.ViewVersion, h Header, values ...feature.Value) []byte {
	t.Helper()
	row, err := NewLayout(v.Stored()).Append(nil, h, values)
	if err != nil {
		t.Fatal(err)
	}
	return row
}

func mustWrite(t testing.TB, client redis.UniversalClient, items ...Item) Result {
	t.Helper()
	result, err := NewWriter(client, DefaultPrefix).Write(context.Background(), items)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// same is equality to the bit: unlike Value.Equal it tells NaNs and zeros apart.
func same(a, b feature.Value) bool { return a == b }

package access

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/testenv"
)

func TestServersShareSecrets(t *testing.T) {
	ctx := context.Background()
	pool := testenv.Postgres(t)
	servers := []*Secrets{NewSecrets(pool), NewSecrets(pool), NewSecrets(pool)}
	// All need the first version at once.
	found := make([]MaskSecret, len(servers))
	errs := make([]error, len(servers))
	var all sync.WaitGroup
	for i, s := range servers {
		all.Go(func() { found[i], errs[i] = s.Newest(ctx, "customers") })
	}
	all.Wait()
	for i := range servers {
		if errs[i] != nil || found[i] != found[0] || found[i].Version != 1 || len(found[i].secret) != 32 {
			t.Fatalf("found %s, %v, expected %s", found[i], errs[i], found[0])
		}
	}
	key, err := servers[0].Rotate(ctx, "customers", "ada")
	if err != nil || key.Version != 2 || key.Name != "customers" || key.CreatedBy != "ada" || key.CreatedAt.IsZero() {
		t.Fatalf("found %+v, %v", key, err)
	}
	second, err := servers[0].Newest(ctx, "customers")
	if err != nil || second.Version != 2 || second.secret == found[0].secret || servers[0].Generation() != 1 {
		t.Errorf("found %s, %v, generation %d", second, err, servers[0].Generation())
	}
	// Another server keeps to what it knows until it looks.
	if s, err := servers[1].Newest(ctx, "customers"); err != nil || s != found[0] || servers[1].Generation() != 0 {
		t.Errorf("found %s, %v", s, err)
	}
	for range 2 {
		if err := servers[1].Refresh(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if s, err := servers[1].Newest(ctx, "customers"); err != nil || s != second || servers[1].Generation() != 1 {
		t.Errorf("found %s, %v, generation %d", s, err, servers[1].Generation())
	}
	// What was hashed by the first is read again by it, also by a server that never knew it.
	late := NewSecrets(pool)
	if s, err := late.At(ctx, "customers", 1); err != nil || s != found[0] {
		t.Errorf("found %s, %v", s, err)
	}
	if s, err := late.Newest(ctx, "customers"); err != nil || s != second || late.Generation() != 0 {
		t.Errorf("found %s, %v", s, err)
	}
	_, err = late.At(ctx, "customers", 3)
	if f := fault.As(err); f == nil || f.Reason != fault.NotFound || !strings.HasPrefix(f.Message, `found no version 3 of the mask key "customers", by which this was hashed`) {
		t.Errorf("found %v", err)
	}
}

func TestRotationsAtOnceMakeAVersionEach(t *testing.T) {
	ctx := context.Background()
	pool := testenv.Postgres(t)
	s := NewSecrets(pool)
	if _, err := s.Newest(ctx, "customers"); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	errs := make([]error, 4)
	for i := range errs {
		all.Go(func() { _, errs[i] = NewSecrets(pool).Rotate(ctx, "customers", "ada") })
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
	keys, err := s.List(ctx)
	if err != nil || len(keys) != 5 || keys[4].Version != 5 || keys[0].CreatedBy != MaskKeyMaker {
		t.Errorf("found %+v, %v", keys, err)
	}
}

func TestAKeyIsNotMadeByRotation(t *testing.T) {
	ctx := context.Background()
	s := NewSecrets(testenv.Postgres(t))
	_, err := s.Rotate(ctx, "customers", "ada")
	if f := fault.As(err); f == nil || f.Reason != fault.NotFound ||
		f.Message != `found no mask key called "customers"; there is none yet, and one is made when a mask first hashes by it` {
		t.Errorf("found %v", err)
	}
	if _, err := s.Newest(ctx, "customers"); err != nil {
		t.Fatal(err)
	}
	_, err = s.Rotate(ctx, "custmers", "ada")
	if f := fault.As(err); f == nil || f.Guess != "customers" || !strings.Contains(f.Message, "there are customers,") {
		t.Errorf("found %v", err)
	}
}

package testenv_test

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func TestPostgresIsMigratedAndTheTestsOwn(t *testing.T) {
	for range 3 {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			ctx := context.Background()
			pool := testenv.Postgres(t)
			if err := database.CheckVersion(ctx, pool); err != nil {
				t.Fatal(err)
			}
			tag, err := pool.Exec(ctx, "INSERT INTO headwater.landing (source) VALUES ('flights')")
			if err != nil || tag.RowsAffected() != 1 {
				t.Fatalf("insert: %v, %v", tag, err)
			}
		})
	}
}

func TestEmptyPostgresIsEmpty(t *testing.T) {
	pool, err := database.Open(context.Background(), testenv.EmptyPostgresURL(t))
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	var schemas int
	err = pool.QueryRow(context.Background(),
		"SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'headwater%'").Scan(&schemas)
	if err != nil || schemas != 0 {
		t.Fatalf("%d schemas of ours, %v", schemas, err)
	}
}

func TestRedisIsEmptyAndTheTestsOwn(t *testing.T) {
	for range 20 {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			ctx := context.Background()
			client := testenv.Redis(t)
			set, err := client.SetNX(ctx, "key", "value", 0).Result()
			if err != nil || !set {
				t.Fatalf("the key was there before: %v", err)
			}
			if size := client.DBSize(ctx).Val(); size != 1 {
				t.Fatalf("%d keys, want 1", size)
			}
		})
	}
}

func TestFilesOfAFolderThatIsWrittenTo(t *testing.T) {
	folder := t.TempDir()
	kept := filepath.Join(folder, "within", "kept")
	if err := os.MkdirAll(filepath.Dir(kept), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(kept, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var writing sync.WaitGroup
	writing.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if err := os.WriteFile(filepath.Join(folder, "a.new"), nil, 0o600); err != nil {
				t.Error(err)
			}
			if err := os.Rename(filepath.Join(folder, "a.new"), filepath.Join(folder, "a")); err != nil {
				t.Error(err)
			}
		}
	})
	for range 1000 {
		if found := testenv.Files(t, folder)[kept]; found != "text" {
			t.Errorf("found %q, expected the text of a file that nobody changes", found)
		}
	}
	close(stop)
	writing.Wait()
}

package testenv

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// A claim outlives the process that made it by no more than this, if that process was killed.
	claimLife = 30 * time.Minute
	// How long a test waits for others to give up a logical database.
	claimPatience = 5 * time.Minute
)

// Redis is a client on an empty logical database of the test's own, emptied again at its end.
func Redis(t testing.TB) *redis.Client {
	t.Helper()
	options, err := redis.ParseURL(RedisURL(t))
	if err != nil {
		t.Fatalf("testenv: %v", err)
	}
	client := redis.NewClient(options)
	t.Cleanup(func() { client.Close() })
	return client
}

// RedisURL is the URL of an empty logical database of the test's own, emptied again at its end. It waits while all logical
// databases of the server are in use.
func RedisURL(t testing.TB) string {
	t.Helper()
	requireMain(t)
	ctx := context.Background()
	server := os.Getenv(RedisVariable)
	if server == "" {
		var err error
		if server, err = own.RedisURL(ctx); err != nil {
			t.Fatalf("testenv: %v", err)
		}
	}
	number, err := claim(ctx, server)
	if err != nil {
		t.Fatalf("testenv: a logical database of Redis: %v", err)
	}
	t.Cleanup(func() {
		if err := giveBack(ctx, server, number); err != nil {
			t.Errorf("testenv: give back logical database %d of Redis: %v", number, err)
		}
	})
	u, err := logicalDatabase(server, number)
	if err != nil {
		t.Fatalf("testenv: %v", err)
	}
	if err := flush(ctx, u); err != nil {
		t.Fatalf("testenv: empty logical database %d of Redis: %v", number, err)
	}
	return u
}

// claim finds a logical database other than 0 that nobody has. Database 0 holds the claims.
func claim(ctx context.Context, server string) (int, error) {
	client, err := claims(server)
	if err != nil {
		return 0, err
	}
	defer client.Close()
	settings, err := client.ConfigGet(ctx, "databases").Result()
	if err != nil {
		return 0, err
	}
	count, err := strconv.Atoi(settings["databases"])
	if err != nil {
		return 0, fmt.Errorf("CONFIG GET databases: %w", err)
	}
	for deadline := time.Now().Add(claimPatience); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		for number := 1; number < count; number++ {
			free, err := client.SetNX(ctx, claimKey(number), os.Getpid(), claimLife).Result()
			if err != nil {
				return 0, err
			}
			if free {
				return number, nil
			}
		}
	}
	return 0, fmt.Errorf("all %d were in use for %v; run fewer tests at once, or start Redis with `--databases 1024`",
		count-1, claimPatience)
}

func giveBack(ctx context.Context, server string, number int) error {
	u, err := logicalDatabase(server, number)
	if err != nil {
		return err
	}
	if err := flush(ctx, u); err != nil {
		return err
	}
	client, err := claims(server)
	if err != nil {
		return err
	}
	defer client.Close()
	return client.Del(ctx, claimKey(number)).Err()
}

func claims(server string) (*redis.Client, error) {
	u, err := logicalDatabase(server, 0)
	if err != nil {
		return nil, err
	}
	options, err := redis.ParseURL(u)
	if err != nil {
		return nil, err
	}
	return redis.NewClient(options), nil
}

func flush(ctx context.Context, url string) error {
	options, err := redis.ParseURL(url)
	if err != nil {
		return err
	}
	client := redis.NewClient(options)
	defer client.Close()
	return client.FlushDB(ctx).Err()
}

func logicalDatabase(server string, number int) (string, error) {
	u, err := url.Parse(server)
	if err != nil {
		// The error would show the password.
		return "", fmt.Errorf("%s is not a URL like redis://:PASSWORD@HOST:6379", RedisVariable)
	}
	u.Path = "/" + strconv.Itoa(number)
	return u.String(), nil
}

func claimKey(number int) string { return "headwater-test:database:" + strconv.Itoa(number) }

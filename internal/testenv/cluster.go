package testenv

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	clusterMasters = 3
	clusterSlots   = 16384
	// How long a cluster may take to come up.
	clusterPatience = 30 * time.Second
)

// RedisCluster is the addresses of a Redis Cluster of the test's own, three masters and no replicas, which is stopped at its
// end. The test is skipped when there is no redis-server in PATH.
func RedisCluster(t testing.TB) []string {
	t.Helper()
	program, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("no redis-server in PATH")
	}
	ctx, cancel := context.WithTimeout(context.Background(), clusterPatience)
	defer cancel()
	var addresses []string
	var buses []int
	for range clusterMasters {
		port, bus := freePort(t), freePort(t)
		cmd := exec.Command(program, "--bind", "127.0.0.1", "--port", strconv.Itoa(port), "--cluster-port", strconv.Itoa(bus),
			"--cluster-enabled", "yes", "--save", "", "--dir", t.TempDir())
		if err := cmd.Start(); err != nil {
			t.Fatalf("testenv: %v", err)
		}
		t.Cleanup(func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		})
		addresses, buses = append(addresses, "127.0.0.1:"+strconv.Itoa(port)), append(buses, bus)
	}
	nodes := make([]*redis.Client, clusterMasters)
	for i, address := range addresses {
		nodes[i] = redis.NewClient(&redis.Options{Addr: address})
		defer nodes[i].Close()
		await(ctx, t, func() error { return nodes[i].Ping(ctx).Err() })
		first, last := i*clusterSlots/clusterMasters, (i+1)*clusterSlots/clusterMasters-1
		for _, err := range []error{
			nodes[i].ClusterAddSlotsRange(ctx, first, last).Err(),
			// No two masters may have one, and those that have just been made have 0.
			nodes[i].Do(ctx, "CLUSTER", "SET-CONFIG-EPOCH", i+1).Err(),
		} {
			if err != nil {
				t.Fatalf("testenv: a Redis Cluster: %v", err)
			}
		}
	}
	for i, address := range addresses[1:] {
		host, port, _ := net.SplitHostPort(address)
		if err := nodes[0].Do(ctx, "CLUSTER", "MEET", host, port, buses[i+1]).Err(); err != nil {
			t.Fatalf("testenv: a Redis Cluster: %v", err)
		}
	}
	for _, node := range nodes {
		await(ctx, t, func() error {
			info, err := node.ClusterInfo(ctx).Result()
			if err != nil {
				return err
			}
			for _, line := range []string{
				"cluster_state:ok", fmt.Sprintf("cluster_slots_assigned:%d", clusterSlots), fmt.Sprintf("cluster_size:%d", clusterMasters),
			} {
				if !strings.Contains(info, line) {
					return fmt.Errorf("found no %q in\n%s", line, info)
				}
			}
			return nil
		})
	}
	return addresses
}

// await repeats try until it succeeds.
func await(ctx context.Context, t testing.TB, try func() error) {
	t.Helper()
	for {
		err := try()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("testenv: a Redis Cluster did not come up within %s: %v", clusterPatience, err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("testenv: %v", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

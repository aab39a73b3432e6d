package testenv

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	clusterMasters = 3
	clusterSlots   = 16384
	// How long a cluster may take to come up.
	clusterPatience = 2 * time.Minute
)

// RedisCluster is the addresses of a Redis Cluster of the test's own, three masters and no replicas, which is stopped at its
// end. The test is skipped when there is no redis-server in PATH.
func RedisCluster(t testing.TB) []string {
	t.Helper()
	return StartCluster(t, false).Addresses()
}

// Cluster is a Redis Cluster of a test's own.
type Cluster struct {
	// Masters are as the cluster began, and so is Replicas[i] that of Masters[i], if there are any.
	Masters, Replicas []*Node
}

// Node is a Redis server, of a cluster or alone.
type Node struct {
	Address string
	// Client speaks with this node alone.
	Client *redis.Client
	bus    int
	// program and args start the server, which is nil when it has ended.
	program string
	args    []string
	server  *exec.Cmd
}

// Kill ends the server with SIGKILL, if it has not ended.
func (n *Node) Kill() {
	if n.server == nil {
		return
	}
	_ = n.server.Process.Kill()
	_ = n.server.Wait()
	n.server = nil
}

// Start starts a server that was killed again, on what it has on disk.
func (n *Node) Start(t testing.TB) {
	t.Helper()
	n.server = exec.Command(n.program, n.args...)
	if err := n.server.Start(); err != nil {
		n.server = nil
		t.Fatalf("testenv: %v", err)
	}
}

// Addresses are those of the masters.
func (c *Cluster) Addresses() (all []string) {
	for _, n := range c.Masters {
		all = append(all, n.Address)
	}
	return all
}

// Pause has the server answer nothing until Resume: connections to it stay, and are taken.
func (n *Node) Pause(t testing.TB) { n.signal(t, syscall.SIGSTOP) }

// Resume has a paused server go on.
func (n *Node) Resume(t testing.TB) { n.signal(t, syscall.SIGCONT) }

func (n *Node) signal(t testing.TB, s syscall.Signal) {
	t.Helper()
	if err := n.server.Process.Signal(s); err != nil {
		t.Fatalf("testenv: %v", err)
	}
}

// StartCluster starts three masters, each with a replica where there are to be replicas, which are stopped at the end of the test.
// settings are further ones of each server. The test is skipped when there is no redis-server in PATH.
func StartCluster(t testing.TB, replicas bool, settings ...string) *Cluster {
	t.Helper()
	program, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("no redis-server in PATH")
	}
	ctx, cancel := context.WithTimeout(context.Background(), clusterPatience)
	defer cancel()
	c := &Cluster{}
	for range clusterMasters {
		c.Masters = append(c.Masters, startNode(ctx, t, program, true, settings))
		if replicas {
			c.Replicas = append(c.Replicas, startNode(ctx, t, program, true, settings))
		}
	}
	nodes := slices.Concat(c.Masters, c.Replicas)
	for i, node := range nodes {
		// No two masters may have one, and those that have just been made have 0.
		if err := node.Client.Do(ctx, "CLUSTER", "SET-CONFIG-EPOCH", i+1).Err(); err != nil {
			t.Fatalf("testenv: a Redis Cluster: %v", err)
		}
	}
	for i, node := range c.Masters {
		first, last := i*clusterSlots/clusterMasters, (i+1)*clusterSlots/clusterMasters-1
		if err := node.Client.ClusterAddSlotsRange(ctx, first, last).Err(); err != nil {
			t.Fatalf("testenv: a Redis Cluster: %v", err)
		}
	}
	for _, node := range nodes[1:] {
		host, port, _ := net.SplitHostPort(node.Address)
		if err := nodes[0].Client.Do(ctx, "CLUSTER", "MEET", host, port, node.bus).Err(); err != nil {
			t.Fatalf("testenv: a Redis Cluster: %v", err)
		}
	}
	for i, replica := range c.Replicas {
		id, err := c.Masters[i].Client.Do(ctx, "CLUSTER", "MYID").Text()
		if err != nil {
			t.Fatalf("testenv: a Redis Cluster: %v", err)
		}
		// It must have heard of its master.
		await(ctx, t, func() error { return replica.Client.ClusterReplicate(ctx, id).Err() })
		await(ctx, t, func() error { return says(replica.Client.Info(ctx, "replication"), "master_link_status:up") })
	}
	for _, node := range nodes {
		await(ctx, t, func() error {
			return says(node.Client.ClusterInfo(ctx), "cluster_state:ok", fmt.Sprintf("cluster_slots_assigned:%d", clusterSlots),
				fmt.Sprintf("cluster_size:%d", clusterMasters), fmt.Sprintf("cluster_known_nodes:%d", len(nodes)))
		})
	}
	return c
}

// startNode starts a server that answers. Ports that were free may be another's by then, who answers in its place: it is started again
// on others, until the one that answers is the one that was started.
func startNode(ctx context.Context, t testing.TB, program string, cluster bool, settings []string) *Node {
	t.Helper()
	for {
		n := newNode(t, program, cluster, settings)
		if n.answers(ctx) {
			return n
		}
		n.Client.Close()
		n.Kill()
		if ctx.Err() != nil {
			t.Fatalf("testenv: a Redis did not come up within %s on any port", clusterPatience)
		}
	}
}

// nodePatience is how long one server may take to answer, on a machine with much to do.
const nodePatience = 30 * time.Second

// answers waits until the server answers, and reports whether it is the one that was started.
func (n *Node) answers(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, nodePatience)
	defer cancel()
	own := fmt.Sprintf("process_id:%d\r\n", n.server.Process.Pid)
	for ctx.Err() == nil {
		if text, err := n.Client.Info(ctx, "server").Result(); err == nil {
			return strings.Contains(text, own)
		}
		select {
		case <-ctx.Done():
		case <-time.After(10 * time.Millisecond):
		}
	}
	return false
}

func newNode(t testing.TB, program string, cluster bool, settings []string) *Node {
	t.Helper()
	port, bus := freePort(t), freePort(t)
	n := &Node{Address: "127.0.0.1:" + strconv.Itoa(port), bus: bus, program: program}
	n.args = append([]string{
		"--bind", "127.0.0.1", "--port", strconv.Itoa(port), "--save", "", "--dir", t.TempDir(),
		// Otherwise a master waits 5 s for other replicas to come before it begins with the first.
		"--repl-diskless-sync-delay", "0",
	}, settings...)
	if cluster {
		n.args = append(n.args, "--cluster-enabled", "yes", "--cluster-port", strconv.Itoa(bus))
	}
	n.Start(t)
	n.Client = redis.NewClient(&redis.Options{Addr: n.Address})
	t.Cleanup(func() {
		n.Client.Close()
		n.Kill()
	})
	return n
}

// StartRedis starts a Redis of the test's own, without a password, that the test may kill and start again. It saves when it is told to.
// The test is skipped when there is no redis-server in PATH.
func StartRedis(t testing.TB, settings ...string) *Node {
	t.Helper()
	program, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("no redis-server in PATH")
	}
	ctx, cancel := context.WithTimeout(context.Background(), clusterPatience)
	defer cancel()
	return startNode(ctx, t, program, false, settings)
}

// says is an error when an answer does not have all of the parts.
func says(answer *redis.StringCmd, parts ...string) error {
	text, err := answer.Result()
	if err != nil {
		return err
	}
	for _, part := range parts {
		if !strings.Contains(text, part) {
			return fmt.Errorf("found no %q in\n%s", part, text)
		}
	}
	return nil
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
			t.Fatalf("testenv: a Redis or a Redis Cluster did not come up within %s: %v", clusterPatience, err)
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

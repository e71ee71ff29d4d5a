// Nodes forms a real Docker Swarm of several nodes on this machine, to try things on. It needs root.
//
//	nodes up [NODES [MANAGERS]]   three nodes with one manager, until it is interrupted
//	nodes down                    ends what "nodes up" formed, and what killed tests left behind
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"tinyforge/deploy/swarmtest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "nodes:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, words []string) error {
	usage := errors.New("usage: nodes up [NODES [MANAGERS]] | nodes down")
	if len(words) == 1 && words[0] == "down" {
		return down(ctx)
	}
	if len(words) == 0 || len(words) > 3 || words[0] != "up" {
		return usage
	}
	numbers := [2]int{}
	for i, word := range words[1:] {
		n, err := strconv.Atoi(word)
		if err != nil || n < 1 {
			return usage
		}
		numbers[i] = n
	}
	return up(ctx, swarmtest.Config{Nodes: numbers[0], Managers: numbers[1]})
}

func up(ctx context.Context, cfg swarmtest.Config) error {
	c, err := swarmtest.Up(ctx, cfg)
	if err != nil {
		return err
	}
	fmt.Print(describe(c))
	<-ctx.Done()
	return c.Down()
}

// describe tells a person how to reach a cluster and how to end it.
func describe(c *swarmtest.Cluster) string {
	var b strings.Builder
	for _, n := range c.Nodes {
		role := "worker"
		if n.Manager {
			role = "manager"
		}
		fmt.Fprintf(&b, "export DOCKER_HOST=%s   # %s %s, %s\n", n.Host, role, n.Name, n.IP)
	}
	fmt.Fprintf(&b, `
Tinyforge on them, for workloads with runtime: swarm, in a data folder of its own, with its sites at http://127.0.0.1:8080:

  tinyforge serve --data ./tinyforge-nodes --runtimes swarm --docker-host %[3]s --registry %[1]s --proxy-http 127.0.0.1:8080 --proxy-https off

The registry %[1]s is empty; the nodes pull from it and push to it, and reach this machine at %[2]s. By hand, use the endpoint
mode dnsrr and ports in host mode:

  docker service create --name web --replicas 3 --endpoint-mode dnsrr --publish mode=host,target=8080 %[1]s/NAME

Ctrl-C, or make nodesdown elsewhere, ends them and removes all that is theirs.
`, c.Registry, c.Gateway, c.Nodes[0].Host)
	return b.String()
}

// down ends clusters of this program that still run, and removes those of processes that are dead.
func down(ctx context.Context) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	owners, err := swarmtest.Owners()
	if err != nil {
		return err
	}
	var ours []int
	for _, pid := range owners {
		if exe, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)); strings.TrimSuffix(exe, " (deleted)") != program {
			fmt.Printf("process %d has nodes too: it is no \"nodes up\", so it is left alone\n", pid)
			continue
		}
		ours = append(ours, pid)
		if err := syscall.Kill(pid, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("end process %d: %w", pid, err)
		}
	}
	if err := errors.Join(awaitEnd(ctx, ours), swarmtest.Sweep()); err != nil {
		return err
	}
	for _, pid := range ours {
		fmt.Printf("ended the nodes of process %d\n", pid)
	}
	if len(ours) == 0 {
		fmt.Println("no \"nodes up\" ran; what tests that were killed left behind is removed")
	}
	return nil
}

// awaitEnd waits until none of the processes has nodes.
func awaitEnd(ctx context.Context, pids []int) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		owners, err := swarmtest.Owners()
		if err != nil || !slices.ContainsFunc(pids, func(pid int) bool { return slices.Contains(owners, pid) }) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("processes %v still have nodes: %w", pids, ctx.Err())
		case <-tick.C:
		}
	}
}

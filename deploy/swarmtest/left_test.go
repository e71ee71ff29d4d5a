//go:build chaos

package swarmtest_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"tinyforge/deploy/swarmtest"
)

// child makes this program form a cluster, say where its node's Docker is, and wait to be killed.
const child = "SWARMTEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(child) == "" {
		os.Exit(m.Run())
	}
	c, err := swarmtest.Up(context.Background(), swarmtest.Config{Nodes: 1})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(c.Nodes[0].Host)
	select {}
}

func TestStartEndsWhatAKilledProcessLeft(t *testing.T) {
	t.Parallel()
	_ = swarmtest.Start(t, 1) // also skips where none can run
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), child+"=1")
	out := must(cmd.StdoutPipe())(t)
	check(t, cmd.Start())
	host, err := bufio.NewReader(out).ReadString('\n')
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	socket, ok := strings.CutPrefix(strings.TrimSpace(host), "unix://")
	if err != nil || !ok {
		t.Fatalf("the other process says %q, %v", host, err)
	}
	conn, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatalf("what a killed process left does not run, so there is nothing to end: %v", err)
	}
	defer conn.Close()
	c := swarmtest.Start(t, 1)
	if c.Nodes[0].Host != "unix://"+socket { // else the new one has the place of the old one
		if _, err := net.Dial("unix", socket); err == nil {
			t.Errorf("%s still answers", socket)
		}
	}
	check(t, conn.SetReadDeadline(time.Now().Add(10*time.Second)))
	if _, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the dockerd of the killed process still runs: %v", err)
	}
}

func TestClusterOutlivesAManager(t *testing.T) {
	t.Parallel()
	c := swarmtest.StartWith(t, swarmtest.Config{Managers: 3, Heartbeat: time.Second})
	check(t, c.Kill(0))
	check(t, c.AwaitDown(t.Context(), 0))
	service := createService(t, c, must(c.PushSample(t.Context(), "web", "one"))(t))
	serves(t, c, service, c.Nodes[1])
	check(t, c.Restart(t.Context(), 0))
	check(t, c.AwaitReady(t.Context(), 0))
	serves(t, c, service, c.Nodes[0])
	check(t, c.Kill(2))
	check(t, c.Restart(t.Context(), 2)) // at once
}

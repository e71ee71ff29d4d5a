package swarmtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
)

// Node is a machine of the cluster.
type Node struct {
	Name    string // its host name
	IP      string // where other nodes, and this machine, reach it
	Host    string // of its Docker, as in DOCKER_HOST
	ID      string // in the Swarm
	Manager bool

	place   *place
	number  int // from 1
	folder  string
	dockerd *daemon // nil while it does not run
	dead    bool    // its power is cut
	cut     bool    // its link is
}

// daemon is a process that this one started.
type daemon struct {
	pid   int
	ended chan struct{}
}

func newNode(p *place, number int, manager bool) *Node {
	n := &Node{Name: p.namespace(number), IP: p.nodeAddress(number), Manager: manager, place: p, number: number}
	n.folder = filepath.Join(p.folder, n.Name)
	n.Host = "unix://" + n.file("docker.sock")
	return n
}

// Within are the words to put before a command that is to run on the node: in its network, and until its power is cut. They become
// that command.
func (n *Node) Within() []string {
	return []string{"nsenter", "--net=" + netnsFile(n.Name), "env", mark + "=" + n.folder}
}

func (n *Node) file(name string) string { return filepath.Join(n.folder, name) }

// boot gives the node its power: namespace, containerd, and dockerd, which it returns.
func (n *Node) boot(ctx context.Context) (*daemon, error) {
	if err := os.MkdirAll(n.file("run"), 0o700); err != nil {
		return nil, err
	}
	if err := n.place.addNamespace(ctx, n.number); err != nil {
		return nil, err
	}
	if err := n.configure(); err != nil {
		return nil, err
	}
	if _, err := n.start("containerd", "--log-level", "warn", "--config", n.file("containerd.toml"), "--root", n.file("containerd"),
		"--state", n.file("run/containerd"), "--address", n.file("run/containerd.sock")); err != nil {
		return nil, err
	}
	return n.startDocker(ctx)
}

// configure writes files of configuration, so that those of the machine's own Docker are not read.
func (n *Node) configure() error {
	containerd := "version = 2\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n"
	return errors.Join(os.WriteFile(n.file("containerd.toml"), []byte(containerd), 0o600), os.WriteFile(n.file("docker.json"), []byte("{}"), 0o600))
}

// startDocker starts dockerd and waits until it answers.
func (n *Node) startDocker(ctx context.Context) (*daemon, error) {
	var (
		local = n.place.private(0)
		pool  = fmt.Sprintf("base=%s.%d.0/20,size=24", local, 16*n.number)
	)
	d, err := n.start("dockerd",
		"--host", n.Host, "--containerd", n.file("run/containerd.sock"), "--pidfile", n.file("run/docker.pid"),
		"--data-root", n.file("data"), "--exec-root", n.file("run/docker"), "--config-file", n.file("docker.json"),
		"--bip", fmt.Sprintf("%s.%d.1/24", local, n.number), "--default-address-pool", pool,
		"--cgroup-parent", n.place.cgroup(n.number), "--exec-opt", "native.cgroupdriver=cgroupfs",
		"--insecure-registry", n.place.address(0)+"/24", "--log-level", "warn")
	if err != nil {
		return nil, err
	}
	return d, until(ctx, func() (bool, error) {
		if !d.runs() {
			return false, fmt.Errorf("start dockerd of %s: it ended: %s", n.Name, tail(n.file("dockerd.log")))
		}
		return n.Ask(ctx, "GET", "/_ping", nil, nil) == nil, nil
	})
}

// start starts a daemon in the node's namespaces. It outlives this process.
func (n *Node) start(program string, words ...string) (*daemon, error) {
	log, err := os.OpenFile(n.file(program+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	// nsenter and not "ip netns exec", which mounts another /sys, without cgroups. All of them exec: the pid is the daemon's.
	cmd := exec.Command("nsenter", append([]string{"--net=" + netnsFile(n.Name), "unshare", "--uts",
		"sh", "-c", `echo "$0" >/proc/sys/kernel/hostname && exec "$@"`, n.Name, program}, words...)...)
	cmd.Env = append(os.Environ(), mark+"="+n.folder)
	cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = log, log, &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s of %s: %w", program, n.Name, err)
	}
	d := &daemon{pid: cmd.Process.Pid, ended: make(chan struct{})}
	go func() { defer close(d.ended); _ = cmd.Wait() }()
	return d, os.WriteFile(n.file(program+".pid"), []byte(strconv.Itoa(d.pid)), 0o600)
}

func (d *daemon) runs() bool {
	select {
	case <-d.ended:
		return false
	default:
		return true
	}
}

// Kill cuts a node's power: dockerd, containerd and all containers end at once, and nothing but its disk is left.
func (c *Cluster) Kill(i int) error {
	n := c.Nodes[i]
	c.note(func() { n.dead, n.dockerd = true, nil })
	return errors.Join(
		endAll(n.folder, n.place.cgroup(n.number)), // node 1's is no prefix of another's: there are at most 9
		unmountBelow(n.folder),
		n.place.removeNamespace(n.number),
		removeCgroups(n.place.cgroup(n.number)),
		os.RemoveAll(n.file("run")),
		os.RemoveAll(n.file("docker.sock")),
	)
}

// Crash kills dockerd alone, as kill -9 does. Its containers go on serving.
func (c *Cluster) Crash(i int) error {
	n := c.Nodes[i]
	var d *daemon
	c.note(func() { d, n.dockerd = n.dockerd, nil })
	if d == nil {
		return fmt.Errorf("crash %s: its dockerd does not run", n.Name)
	}
	if err := syscall.Kill(d.pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("crash %s: %w", n.Name, err)
	}
	<-d.ended
	return nil
}

// Restart starts again what Kill or Crash ended, and returns when the node's Docker answers. AwaitReady tells when the Swarm
// has it back.
func (c *Cluster) Restart(ctx context.Context, i int) error {
	n := c.Nodes[i]
	var dead, runs bool
	c.note(func() { dead, runs = n.dead, n.dockerd != nil })
	if runs {
		return fmt.Errorf("restart %s: it runs", n.Name)
	}
	start := n.startDocker
	if dead {
		start = n.boot
	}
	d, err := start(ctx)
	if err != nil {
		return fmt.Errorf("restart %s: %w", n.Name, err)
	}
	c.note(func() { n.dockerd, n.dead, n.cut = d, false, n.cut && !dead })
	return nil
}

// Cut takes a node's link down: no other node, and nobody here, reaches it or its containers.
func (c *Cluster) Cut(ctx context.Context, i int) error { return c.plug(ctx, i, "down") }

// Mend takes the link up again.
func (c *Cluster) Mend(ctx context.Context, i int) error { return c.plug(ctx, i, "up") }

func (c *Cluster) plug(ctx context.Context, i int, state string) error {
	c.note(func() { c.Nodes[i].cut = state == "down" })
	return c.place.plug(ctx, c.Nodes[i].number, state)
}

func (c *Cluster) note(change func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change()
}

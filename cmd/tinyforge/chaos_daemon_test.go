//go:build chaos

package main

import (
	"crypto/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// daemon is a Docker of a test's own, on a small disk. It leaves the firewall and the bridge docker0 to the one that is there.
type daemon struct {
	*testing.T
	disk   *disk
	dir    string // of its socket and its state
	bridge string
	cmd    *exec.Cmd
}

// newDaemon starts one, and makes it the Docker of this process until the end of the test.
func newDaemon(t *testing.T) *daemon {
	t.Helper()
	sampleRepository(t) // for the tests after this one: its image is made once, in the Docker that is there
	d := &daemon{T: t, disk: newDisk(t, 1<<30), dir: t.TempDir(), bridge: "tf" + strings.ToLower(rand.Text()[:8])}
	t.Cleanup(d.end)
	for _, args := range [][]string{{"link", "add", d.bridge, "type", "bridge"}, {"addr", "add", "10.249.249.1/24", "dev", d.bridge}} {
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("make a bridge, which needs root: %v\n%s", err, out)
		}
	}
	t.Setenv("DOCKER_HOST", "unix://"+filepath.Join(d.dir, "docker.sock"))
	d.start()
	takesOver(t)
	return d
}

func (d *daemon) start() {
	d.Helper()
	log, err := os.OpenFile(filepath.Join(d.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		d.Fatal(err)
	}
	defer log.Close()
	d.cmd = exec.Command("dockerd", "--host", os.Getenv("DOCKER_HOST"), "--data-root", filepath.Join(d.disk.dir, "docker"),
		"--exec-root", filepath.Join(d.dir, "exec"), "--pidfile", filepath.Join(d.dir, "pid"), "--bridge", d.bridge, "--iptables=false", "--shutdown-timeout", "3")
	d.cmd.Stdout, d.cmd.Stderr = log, log
	if err := d.cmd.Start(); err != nil {
		d.Fatalf("start a Docker of our own: %v", err)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		if exec.Command("docker", "version").Run() == nil {
			return
		}
		if time.Now().After(deadline) {
			text, _ := os.ReadFile(log.Name())
			d.Fatalf("our own Docker does not answer\n%s", text)
		}
	}
}

// restart ends it by a signal and starts it again.
func (d *daemon) restart(signal syscall.Signal) {
	d.Helper()
	_ = d.cmd.Process.Signal(signal)
	_ = d.cmd.Wait()
	// Where nobody buries the dead, the next one takes it for alive.
	_ = os.Remove(filepath.Join(d.dir, "exec", "containerd", "containerd.pid"))
	time.Sleep(time.Second)
	d.start()
}

// end leaves nothing on the machine: what runs containers outlives a daemon that was killed, and their bridges outlive both.
func (d *daemon) end() {
	empty := exec.Command("sh", "-c", "docker ps --all --quiet | xargs --no-run-if-empty docker rm --force; docker network prune --force")
	empty.Env = append(os.Environ(), "DOCKER_HOST=unix://"+filepath.Join(d.dir, "docker.sock"))
	_ = empty.Run()
	if d.cmd != nil && d.cmd.Process != nil {
		_ = d.cmd.Process.Signal(syscall.SIGTERM)
		_ = d.cmd.Wait()
	}
	_ = exec.Command("pkill", "--signal", "KILL", "--full", "^[^ ]*containerd-shim.* "+d.dir).Run()
	_ = exec.Command("ip", "link", "delete", d.bridge).Run()
	namespaces, _ := filepath.Glob(filepath.Join(d.dir, "exec", "netns", "*"))
	for _, mounted := range namespaces {
		_ = syscall.Unmount(mounted, syscall.MNT_DETACH)
	}
}

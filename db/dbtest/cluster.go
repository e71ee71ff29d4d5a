package dbtest

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

const (
	superuser    = "tinyforge"
	startTimeout = 2 * time.Minute // initdb on a busy machine
)

//go:embed cluster.sh
var clusterScript string

// cluster is a PostgreSQL server on a port of the loopback interface, with its files in a temporary folder.
type cluster struct {
	dir   string
	port  int
	alive io.Closer // while this is open, the server runs
}

// startCluster starts one and waits until it answers. Another process may take the free port first, so it tries again.
func startCluster() (*cluster, error) {
	programs, err := Programs()
	if err != nil {
		return nil, err
	}
	var errs []error
	for range 3 {
		c, err := tryCluster(programs)
		if err == nil {
			return c, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

func tryCluster(programs string) (*cluster, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	log, err := os.CreateTemp("", "tinyforge-postgres-*.log")
	if err != nil {
		return nil, fmt.Errorf("make log: %w", err)
	}
	defer log.Close()
	defer os.Remove(log.Name()) // it lives on as long as the server writes to it
	dir, err := makeDir()
	if err != nil {
		return nil, err
	}

	cmd := exec.Command("/bin/sh", "-c", clusterScript, "cluster.sh", programs, dir, strconv.Itoa(port), superuser)
	cmd.Stdout, cmd.Stderr = log, log // not ours: "go test" would wait for whoever holds them
	cmd.Dir = dir
	cmd.SysProcAttr = Unprivileged()
	alive, err := cmd.StdinPipe()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make pipe: %w", err), os.Remove(dir))
	}
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start PostgreSQL: %w", err), os.Remove(dir))
	}
	c := &cluster{dir, port, alive}
	if err := c.wait(ended(cmd)); err != nil {
		_ = alive.Close()
		return nil, fmt.Errorf("start PostgreSQL: %w\n%s", err, lastLines(log.Name()))
	}
	return c, nil
}

// wait returns nil once the server answers.
func (c *cluster) wait(ended <-chan error) error {
	deadline := time.NewTimer(startTimeout)
	defer deadline.Stop()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		select {
		case err := <-ended:
			return fmt.Errorf("it ended at once: %w", err)
		case <-deadline.C:
			return fmt.Errorf("no answer within %v", startTimeout)
		case <-again.C:
			if c.answers() {
				return nil
			}
		}
	}
}

func (c *cluster) answers() bool {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(c.port)))
	if err != nil {
		return false
	}
	_ = conn.Close()
	return c.admin("SELECT 1") == nil
}

func ended(cmd *exec.Cmd) <-chan error {
	done := make(chan error, 1)
	go func() { done <- errors.Join(errors.New("see its log"), cmd.Wait()) }()
	return done
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find port: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// makeDir makes a folder that belongs to the user who runs the server.
func makeDir() (string, error) {
	dir, err := os.MkdirTemp("", "tinyforge-postgres-")
	if err != nil {
		return "", fmt.Errorf("make folder: %w", err)
	}
	if a := Unprivileged().Credential; a != nil {
		if err := os.Chown(dir, int(a.Uid), int(a.Gid)); err != nil {
			return "", errors.Join(fmt.Errorf("give folder away: %w", err), os.Remove(dir))
		}
	}
	return dir, nil
}

// Programs returns the folder of the newest PostgreSQL programs on this machine.
func Programs() (string, error) {
	if p, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(p), nil
	}
	folders, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil {
		return "", err
	}
	newest, version := "", -1
	for _, f := range folders {
		n, err := strconv.Atoi(filepath.Base(filepath.Dir(f)))
		if _, missing := os.Stat(filepath.Join(f, "initdb")); err == nil && missing == nil && n > version {
			newest, version = f, n
		}
	}
	if newest == "" {
		return "", errors.New("its programs are not installed: run scripts/setup test")
	}
	return newest, nil
}

func lastLines(file string) []byte {
	const most = 4 << 10
	text, err := os.ReadFile(file)
	if err != nil {
		return []byte(err.Error())
	}
	return bytes.TrimSpace(text[max(0, len(text)-most):])
}

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a program that was started, with all that it starts in turn: they are a process group.
type process struct {
	name string
	cmd  *exec.Cmd
	log  string // file
	done chan struct{}
}

// start runs a program whose output goes to a file in dir. It is killed when the bench ends, however that ends.
func start(dir, name string, env []string, command string, args ...string) (*process, error) {
	return launch(dir, name, env, exec.CommandContext(context.Background(), command, args...))
}

// launch is start for a command that may have a folder and a user of its own.
func launch(dir, name string, env []string, cmd *exec.Cmd) (*process, error) {
	p := &process{name: name, cmd: cmd, log: filepath.Join(dir, name+".log"), done: make(chan struct{})}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	defer log.Close()
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = log, log
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid, cmd.SysProcAttr.Pdeathsig = true, syscall.SIGKILL
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() { _ = cmd.Wait(); close(p.done) }()
	return p, nil
}

// answers waits until somebody listens at an address, or a socket's path.
func (p *process) answers(ctx context.Context, address string) error {
	network := "tcp"
	if filepath.IsAbs(address) {
		network = "unix"
	}
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		if c, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, network, address); err == nil {
			return c.Close()
		}
		select {
		case <-p.done:
			return fmt.Errorf("%s ended: %s", p.name, p.said())
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
	return fmt.Errorf("%s does not listen at %s: %s", p.name, address, p.said())
}

// said is the end of its output.
func (p *process) said() string {
	text, _ := os.ReadFile(p.log)
	return string(text[max(0, len(text)-2000):])
}

// kill ends it at once, with all that it has started, and waits for it.
func (p *process) kill() {
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.done
}

// stop asks it to end.
func (p *process) stop() {
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(15 * time.Second):
		p.kill()
	}
}

// cpu is the time that its processes have computed until now, in steps of 10 ms. What an ended child took is in it too.
func (p *process) cpu() (time.Duration, error) {
	var ticks int64
	err := p.each(func(pid string, stat []string) error {
		fields := []int{11, 12} // utime, stime, from after the name
		if pid == strconv.Itoa(p.cmd.Process.Pid) {
			fields = append(fields, 13, 14) // of its children that were waited for
		}
		for _, i := range fields {
			n, err := strconv.ParseInt(stat[i], 10, 64)
			if err != nil {
				return err
			}
			ticks += n
		}
		return nil
	})
	return time.Duration(ticks) * 10 * time.Millisecond, err
}

// memory is what its processes hold in bytes: pages that several share are counted once, shared out.
func (p *process) memory() (bytes int64, err error) {
	err = p.each(func(pid string, _ []string) error {
		text, _, _ := strings.Cut(fieldOf("/proc/"+pid+"/smaps_rollup", "Pss"), " ")
		n, err := strconv.ParseInt(text, 10, 64)
		bytes += n << 10
		return err
	})
	return bytes, err
}

// each calls f with the processes of the group, and its children that have left it as PostgreSQL's do, and what stands in their
// stat from the state on.
func (p *process) each(f func(pid string, stat []string) error) error {
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return err
	}
	found := false
	for _, file := range files {
		text, err := os.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue // it has ended
		} else if err != nil {
			return err
		}
		_, rest, _ := strings.Cut(string(text), ") ")
		stat := strings.Fields(rest)
		const parent, group = 1, 2
		if pid := strconv.Itoa(p.cmd.Process.Pid); len(stat) < 15 || stat[group] != pid && stat[parent] != pid {
			continue
		}
		found = true
		if err := f(filepath.Base(filepath.Dir(file)), stat); err != nil {
			return err
		}
	}
	if !found {
		return fmt.Errorf("%s has ended: %s", p.name, p.said())
	}
	return nil
}

// freeAddress is one on loopback at which nobody listens.
func freeAddress() (string, error) {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// closers are ended in the opposite order.
type closers []func()

func (c *closers) add(f func()) { *c = append(*c, f) }

func (c *closers) close() {
	for i := len(*c) - 1; i >= 0; i-- {
		(*c)[i]()
	}
	*c = nil
}

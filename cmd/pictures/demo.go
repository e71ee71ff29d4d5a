package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
)

// demo is the command of that name, which goes on after its story.
type demo struct {
	cmd   *exec.Cmd
	links chan string // what it prints of links, and then nothing more
}

func startDemo(ctx context.Context, dir string) (*demo, error) {
	binary := filepath.Join(dir, "demo")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", binary, "tinyforge/cmd/demo").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build demo: %w\n%s", err, out)
	}
	d := &demo{cmd: exec.CommandContext(context.WithoutCancel(ctx), binary), links: make(chan string, 1)}
	d.cmd.Env = append(os.Environ(), "KEEP=1")
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for us, who end it in order
	d.cmd.Stderr = os.Stderr
	out, err := d.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := d.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start demo: %w", err)
	}
	go func() {
		defer close(d.links)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			fmt.Println(lines.Text())
			if link := regexp.MustCompile(`http://\S+/setup\?token=\w+`).FindString(lines.Text()); link != "" {
				d.links <- link
			}
		}
	}()
	return d, nil
}

// link waits until the demo has told its story, and returns the link to sign in with.
func (d *demo) link(ctx context.Context) (string, error) {
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case link, going := <-d.links:
		if !going {
			return "", errors.New("the demo ended early: see what it says above")
		}
		return link, nil
	}
}

// stop has the demo take everything down.
func (d *demo) stop() error {
	_ = d.cmd.Process.Signal(os.Interrupt)
	for range d.links { // until it has said everything
	}
	if err := d.cmd.Wait(); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	return nil
}

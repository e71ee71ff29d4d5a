package main

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// asProcess is set in the environment of a test binary that is to be a tinyforge.
const asProcess = "TINYFORGE_TEST_MAIN"

// TestMain lets the test binary be the program that it tests, so that a process can be killed and started again.
func TestMain(m *testing.M) {
	if os.Getenv(asProcess) == "1" {
		main()
		return
	}
	// Much of the time is spent on waiting for limits to pass, the rest on what Docker can do at a time; -parallel still wins.
	if err := flag.Set("test.parallel", strconv.Itoa(max(3, runtime.NumCPU()*3/2))); err != nil {
		panic(err)
	}
	m.Run()
	removeSiteProgram()
	removeSampleImage()
}

// process is a real tinyforge.
type process struct {
	*testing.T
	cmd   *exec.Cmd
	log   processLog
	ended chan struct{} // closed after err and died are set
	err   error
	died  time.Time
}

// startProcess starts a tinyforge with these variables and arguments, and no other TINYFORGE_ variables.
func startProcess(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	return startWithin(t, nil, env, args...)
}

// startWithin is startProcess by way of a command that becomes the one that follows it.
func startWithin(t *testing.T, within, env []string, args ...string) *process {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	words := slices.Concat(within, []string{exe}, args)
	cmd := exec.Command(words[0], words[1:]...)
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, envPrefix) {
			cmd.Env = append(cmd.Env, variable)
		}
	}
	cmd.Env = append(append(cmd.Env, env...), asProcess+"=1")
	return runProcess(t, cmd)
}

// runProcess starts a command that becomes a tinyforge.
func runProcess(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{T: t, cmd: cmd, ended: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	p.cmd.WaitDelay = 5 * time.Second // children of a killed process may hold its output
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = unix.Waitid(unix.P_PID, p.cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil) // Wait may wait for children too
		p.died = time.Now()
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(p.kill)
	return p
}

// kill is kill -9.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// terminate asks the process to end, as a service manager does, and demands that it does so in time and without an error.
func (p *process) terminate(within time.Duration) {
	p.Helper()
	begun := time.Now()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.Fatal(err)
	}
	if err := p.wait(within); err != nil {
		p.Fatalf("it ended with %v\n%s", err, p.log.String())
	}
	p.Logf("ended %s after SIGTERM", time.Since(begun).Round(time.Millisecond))
}

// wait returns how the process ended.
func (p *process) wait(within time.Duration) error {
	p.Helper()
	select {
	case <-p.ended:
	case <-time.After(within):
		p.Fatalf("it did not end within %s\n%s", within, p.log.String())
	}
	return p.err
}

// processLog is what a process wrote, while it writes.
type processLog struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (l *processLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(b)
}

func (l *processLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}

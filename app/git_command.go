package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"time"
)

const (
	maxGitOutput = 32 << 20 // of ls-remote: about 400,000 refs
	maxGitErrors = 64 << 10 // the rest is dropped

	// deadProxy is where calls to all but the pinned remote end: nothing listens there. A server can send git elsewhere,
	// as with packfile-uris, which git follows without having asked for them.
	deadProxy = "http://127.0.0.1:1"
)

// gitCommand runs git with nothing of the machine's configuration.
type gitCommand struct {
	dir    string      // work tree
	home   string      // GIT_DIR and HOME
	config [][2]string // handed over by the environment: it may hold credentials
	limits processLimits
}

// gitFailure is a run of git that failed, with what it wrote, of which nothing may be shown.
type gitFailure struct {
	command string
	stderr  []byte
	err     error
}

func (f *gitFailure) Error() string { return fmt.Sprintf("git %s: %v", f.command, f.err) }
func (f *gitFailure) Unwrap() error { return f.err }

// run returns what git wrote to its standard output. At the end of ctx git and all its children are killed.
func (c gitCommand) run(ctx context.Context, args ...string) ([]byte, error) {
	stdout := &limitedBuffer{max: maxGitOutput}
	if err := c.stream(ctx, stdout, args...); err != nil {
		return nil, err
	}
	if stdout.overflowed {
		return nil, &gitFailure{command: args[0], err: errAnswerTooLarge}
	}
	return stdout.Bytes(), nil
}

// do is run for commands that write nothing of interest.
func (c gitCommand) do(ctx context.Context, args ...string) error {
	_, err := c.run(ctx, args...)
	return err
}

// stream is run for output that is looked at as it comes.
func (c gitCommand) stream(ctx context.Context, stdout io.Writer, args ...string) error {
	path, err := exec.LookPath("git")
	if err != nil {
		return errGitMissing
	}
	stderr := &limitedBuffer{max: maxGitErrors}
	cmd := c.limits.command(ctx, path, args...)
	cmd.Dir, cmd.Env = c.dir, c.environment()
	cmd.Stdout, cmd.Stderr = stdout, stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Run(); err != nil {
		return &gitFailure{command: args[0], stderr: stderr.Bytes(), err: err}
	}
	return nil
}

func (c gitCommand) environment() []string {
	env := []string{
		"PATH=" + os.Getenv("PATH"),
		"HOME=" + c.home, // curl looks for a .netrc there
		"XDG_CONFIG_HOME=" + c.home,
		"LC_ALL=C", // gitError reads messages
		"GIT_CONFIG_NOSYSTEM=1",
		"GIT_CONFIG_GLOBAL=" + os.DevNull,
		"GIT_ATTR_NOSYSTEM=1",
		"GIT_TERMINAL_PROMPT=0",
		"GIT_ALLOW_PROTOCOL=http:https",
		"GIT_LFS_SKIP_SMUDGE=1",
	}
	if c.dir == c.home {
		env = append(env, "GIT_CEILING_DIRECTORIES="+filepath.Dir(c.home))
	} else {
		env = append(env, "GIT_DIR="+c.home, "GIT_WORK_TREE="+c.dir)
	}
	// The authorities that our own HTTP client trusts.
	if file := os.Getenv("SSL_CERT_FILE"); file != "" {
		env = append(env, "GIT_SSL_CAINFO="+file)
	}
	if dir := os.Getenv("SSL_CERT_DIR"); dir != "" {
		env = append(env, "GIT_SSL_CAPATH="+dir)
	}
	return append(env, c.settings()...)
}

// settings hands the configuration over in the environment, where other users cannot read it.
func (c gitCommand) settings() []string {
	config := append([][2]string{
		{"protocol.version", "2"},
		{"core.hooksPath", os.DevNull},
		{"core.symlinks", "true"},
		{"core.autocrlf", "false"},
		{"core.fsmonitor", "false"},
		{"core.fsync", "none"}, // nothing of git outlives the command that asked for it
		{"credential.helper", ""},
		{"http.followRedirects", "false"}, // also keeps the alternates of a dumb server out
		{"http.proxy", deadProxy},
		{"http.lowSpeedLimit", "1000"}, // bytes a second: less than that for
		{"http.lowSpeedTime", "30"},    // seconds means that the server is stuck
		{"transfer.bundleURI", "false"},
		{"transfer.unpackLimit", "1"},       // one file, whose size is limited, and not one for each object
		{"core.bigFileThreshold", "32m"},    // larger objects are not held in memory
		{"pack.windowMemory", "32m"},        // for each thread
		{"core.deltaBaseCacheLimit", "32m"}, // for each thread
		{"submodule.recurse", "false"},
		{"gc.auto", "0"},
		{"maintenance.auto", "false"},
	}, c.config...)
	env := []string{"GIT_CONFIG_COUNT=" + strconv.Itoa(len(config))}
	for i, kv := range config {
		env = append(env, fmt.Sprintf("GIT_CONFIG_KEY_%d=%s", i, kv[0]), fmt.Sprintf("GIT_CONFIG_VALUE_%d=%s", i, kv[1]))
	}
	return env
}

// limitedBuffer keeps the first max bytes.
type limitedBuffer struct {
	bytes.Buffer
	max        int
	overflowed bool
}

func (b *limitedBuffer) Write(p []byte) (int, error) {
	keep := min(len(p), b.max-b.Len())
	b.overflowed = b.overflowed || keep < len(p)
	b.Buffer.Write(p[:keep])
	return len(p), nil
}

var (
	errGitMissing = fmt.Errorf("%w: it is not installed; install git where tinyforge runs", ErrNoGit)
	errGitTooOld  = fmt.Errorf("%w: it is older than 2.37; install a newer one where tinyforge runs", ErrNoGit)
	errNoShell    = fmt.Errorf("%w: %s is missing, with which its memory is limited", ErrNoGit, shell)
	gitVersion    = regexp.MustCompile(`^git version (\d+)\.(\d+)`)
)

// ready checks once that git is there and knows http.curloptResolve, without which the guard would not hold.
func (g *Git) ready(ctx context.Context) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.usable {
		return nil
	}
	out, err := gitCommand{dir: os.TempDir(), home: os.TempDir()}.run(ctx, "version")
	if errors.Is(err, ErrNoGit) {
		return err
	}
	if err != nil {
		return fmt.Errorf("%w: git version: %w", ErrNoGit, err)
	}
	if _, err := os.Stat(shell); err != nil {
		return errNoShell
	}
	m := gitVersion.FindSubmatch(out)
	if m == nil {
		return errGitTooOld
	}
	major, _ := strconv.Atoi(string(m[1]))
	minor, _ := strconv.Atoi(string(m[2]))
	if major < 2 || major == 2 && minor < 37 {
		return errGitTooOld
	}
	g.usable = true
	return nil
}

package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"tinyforge/app/forgetest"
)

// service is a tinyforge process.
type service struct {
	dir, binary   string
	workload      string // of this run alone: containers are named after it
	control, site string // URLs
	env           []string
	cmd           *exec.Cmd
	ended         chan error
}

func newService(ctx context.Context, dir string) (*service, error) {
	s := &service{dir: dir, binary: filepath.Join(dir, "tinyforge"), ended: make(chan error, 1),
		workload: "hello-" + strings.ToLower(rand.Text()[:6])}
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", s.binary, "tinyforge/cmd/tinyforge")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build tinyforge: %w\n%s", err, out)
	}
	addresses, err := freeAddresses(ctx, 2)
	if err != nil {
		return nil, err
	}
	s.control, s.site = "http://"+addresses[0], "http://"+addresses[1]
	s.env = []string{
		"TINYFORGE_DATA=" + filepath.Join(dir, "data"),
		"TINYFORGE_LISTEN=" + addresses[0],
		"TINYFORGE_PUBLIC_URL=" + s.control,
		"TINYFORGE_PROXY_HTTP=" + addresses[1],
		"TINYFORGE_PROXY_HTTPS=off",
	}
	return s, nil
}

// start runs tinyforge serve and waits until it is ready.
func (s *service) start(ctx context.Context) error {
	logFile, err := os.Create(filepath.Join(s.dir, "tinyforge.log"))
	if err != nil {
		return err
	}
	s.cmd = s.command(context.WithoutCancel(ctx), "serve")
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for the demo, which ends it in order
	s.cmd.Stdout, s.cmd.Stderr = logFile, logFile
	if err := s.cmd.Start(); err != nil {
		return fmt.Errorf("start tinyforge: %w", err)
	}
	go func() { s.ended <- s.cmd.Wait(); _ = logFile.Close() }()
	for {
		if answers(ctx, s.control+"/readyz") {
			return nil
		}
		select {
		case err := <-s.ended:
			return fmt.Errorf("tinyforge ended: %w\n%s", err, s.log())
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// stop ends the process as a service manager does and takes the site down.
func (s *service) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for s.prune(ctx) {
		pause(ctx, 200*time.Millisecond)
	}
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-s.ended:
		if err != nil {
			say("tinyforge ended: %v", err)
		}
	case <-ctx.Done():
		_ = s.cmd.Process.Kill()
	}
	s.removeImages(ctx)
}

// removeImages leaves the machine as the demo found it.
func (s *service) removeImages(ctx context.Context) {
	all, err := exec.CommandContext(ctx, "docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}", "tinyforge/"+s.workload).Output()
	if names := strings.Fields(string(all)); err == nil && len(names) > 0 {
		_ = exec.CommandContext(ctx, "docker", append([]string{"image", "rm"}, names...)...).Run()
	}
}

// prune deletes everything. It reports whether something is still being taken down.
func (s *service) prune(ctx context.Context) (more bool) {
	cmd := s.command(ctx, "apply", "--prune", "-")
	cmd.Stdin = strings.NewReader("forges: []\nworkloads: []\n")
	out, err := cmd.CombinedOutput()
	return err == nil && strings.Contains(string(out), "workload ")
}

// apply tells tinyforge about the forge and the workload, as a user keeps them in a file.
func (s *service) apply(ctx context.Context, forge *forgetest.Server, repository string) error {
	row := forge.Row("demo")
	key := filepath.Join(s.dir, "app.pem")
	if err := os.WriteFile(key, []byte(row.Credentials.PrivateKey), 0o600); err != nil {
		return err
	}
	forge.SetAppWebhook(s.control + "/webhooks/demo")
	file := fmt.Sprintf(`
forges:
  - name: demo
    kind: github
    url: %s
    api_url: %s
    app_id: %d
    private_key: file:%s
    webhook_secret: env:DEMO_WEBHOOK_SECRET
    networks: [loopback]
workloads:
  - name: %s
    forge: demo
    repository: %s
    source: dockerfile
    host: %s
    config:
      deploy_strategy: blue-green
      healthcheck: {path: /up, interval: 500ms, attempts: 8}
`, row.URL, row.APIURL, row.AppID, key, s.workload, repository, host)
	cmd := s.command(ctx, "apply", "-")
	cmd.Env = append(cmd.Env, "DEMO_WEBHOOK_SECRET="+row.Credentials.WebhookSecret)
	cmd.Stdin = strings.NewReader(file)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("apply: %w\n%s", err, out)
	}
	return nil
}

// signInLink is where the first administrator begins.
func (s *service) signInLink(ctx context.Context) (string, error) {
	out, err := s.command(ctx, "sign-in-link").CombinedOutput()
	_, link, found := strings.Cut(string(out), s.control)
	if err != nil || !found {
		return "", fmt.Errorf("sign-in-link: %w\n%s", err, out)
	}
	link, _, _ = strings.Cut(link, "\n")
	return s.control + link, nil
}

// command is a tinyforge with this service's options.
func (s *service) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, s.binary, args...)
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "TINYFORGE_") { // the demo shows the defaults, not this machine's options
			cmd.Env = append(cmd.Env, variable)
		}
	}
	cmd.Env = append(cmd.Env, s.env...)
	return cmd
}

func (s *service) environment() string { return strings.Join(s.env, " ") }

func (s *service) log() string {
	text, err := os.ReadFile(filepath.Join(s.dir, "tinyforge.log"))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// answers tells whether a GET is answered 200.
func answers(ctx context.Context, url string) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	request.Host = requestHost(url)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// requestHost is the site's host for anything but the control plane's own paths.
func requestHost(url string) string {
	if strings.HasSuffix(url, "/readyz") {
		return ""
	}
	return host
}

// freeAddresses returns loopback addresses that nobody listens on at the moment.
func freeAddresses(ctx context.Context, n int) (addresses []string, err error) {
	for range n {
		listener, listenErr := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
		if listenErr != nil {
			return nil, errors.Join(err, listenErr)
		}
		addresses = append(addresses, listener.Addr().String())
		defer func() { err = errors.Join(err, listener.Close()) }()
	}
	return addresses, nil
}

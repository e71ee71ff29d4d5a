package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"tinyforge/db"
)

// serving is a tinyforge serve.
type serving struct {
	*process
	data          string // folder
	control, site string // addresses
	ready         time.Duration
}

// serve starts one that has its data in a folder, and waits until it is ready: from exec to the first 200 of /readyz is noted.
// The caller ends it.
func (s *stage) serve(ctx context.Context, data string, options ...string) (*serving, error) {
	return s.serveWith(ctx, data, nil, options...)
}

// serveWith is serve with an environment too.
func (s *stage) serveWith(ctx context.Context, data string, env []string, options ...string) (*serving, error) {
	control, site, err := addresses()
	if err != nil {
		return nil, err
	}
	args := append([]string{"serve", "--data", data, "--listen", control, "--public-url", "http://" + control,
		"--proxy-http", site, "--proxy-https", "off"}, options...)
	v := &serving{data: data, control: control, site: site}
	begun := time.Now()
	if v.process, err = start(s.dir, "serve-"+filepath.Base(data), env, s.tinyforge, args...); err != nil {
		return nil, err
	}
	if err := waitReady(ctx, v.process, control); err != nil {
		v.kill()
		return nil, err
	}
	v.ready = time.Since(begun)
	return v, nil
}

// readyPatience is how long serve may take to be ready.
const readyPatience = 3 * time.Minute

// waitReady waits until a tinyforge serve answers at its address that it is ready.
func waitReady(ctx context.Context, p *process, control string) error {
	text := request("GET", "/readyz", control, nil)
	for deadline := time.Now().Add(readyPatience); time.Now().Before(deadline); {
		if c, err := (place{address: control}).dial(ctx); err == nil {
			a, err := c.exchange(text)
			c.close()
			if err == nil && a.status == http.StatusOK {
				return nil
			}
		}
		select {
		case <-p.done:
			return fmt.Errorf("%s ended: %s", p.name, p.said())
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Millisecond):
		}
	}
	return fmt.Errorf("%s is not ready after %s: %s", p.name, readyPatience, p.said())
}

// apply tells it about forges and workloads, as a user keeps them in a file, and returns what the command said.
func (s *stage) apply(ctx context.Context, v *serving, file string, options ...string) (string, error) {
	cmd := exec.CommandContext(ctx, s.tinyforge, append(append([]string{"apply", "--data", v.data}, options...), "-")...)
	cmd.Stdin = strings.NewReader(file)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("apply: %w\n%s", err, out)
	}
	return string(out), nil
}

// takeDown deletes all workloads, and waits until their containers are removed, or a minute is over.
func (s *stage) takeDown(v *serving) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // also after Ctrl-C
	defer cancel()
	for ctx.Err() == nil {
		out, err := s.apply(ctx, v, "forges: []\nworkloads: []\n", "--prune")
		if err != nil || !strings.Contains(out, "workload ") {
			return
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// store opens the database of a folder beside who serves from it.
func store(ctx context.Context, data string) (*db.DB, error) {
	text, err := os.ReadFile(filepath.Join(data, "key"))
	if err != nil {
		return nil, fmt.Errorf("read sealing key: %w", err)
	}
	keys, err := db.ParseKeyring(string(text))
	if err != nil {
		return nil, err
	}
	return db.Open(ctx, "sqlite://"+filepath.Join(data, "tinyforge.db"), keys)
}

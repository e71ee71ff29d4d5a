package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"tinyforge/app/forgetest"
)

// hookSite is the forge whose deliveries are sent, and what the receivers have in common.
type hookSite struct {
	forge      *forgetest.Server
	secret     string
	key        string               // file of the App's private key
	deliveries []forgetest.Delivery // one push of each repository, as the forge has sent it
	postgres   *postgres
	seeds      int // that were used
}

const (
	hookForge        = "bench" // the forge's name
	hookRepositories = 16
	hookCommits      = 8 // that a push has: this makes its body about 7 kB
	hookNetwork      = "tinyforge-bench-webhook"
)

func hookRepository(n int) string { return fmt.Sprintf("acme/site-%d", n) }

func newHookSite(ctx context.Context, s *stage) (h *hookSite, err error) {
	h = &hookSite{}
	if h.forge, err = forgetest.Start(forgetest.Options{Kind: forgetest.GitHub, Dir: filepath.Join(s.dir, "forge")}); err != nil {
		return nil, err
	}
	s.add(func() { _ = h.forge.Close() })
	credentials := h.forge.Row(hookForge).Credentials
	h.secret = credentials.WebhookSecret
	if h.key, err = s.write("app.pem", "%s", credentials.PrivateKey); err != nil {
		return nil, err
	}
	if err := h.push(ctx, filepath.Join(s.dir, "worktree")); err != nil {
		return nil, err
	}
	h.forge.Fault(func(r *http.Request) *forgetest.Fault { // no commit is had from now on
		if strings.Contains(r.URL.RawQuery, "git-upload-pack") {
			return &forgetest.Fault{Silent: true}
		}
		return nil
	})
	h.postgres, err = startPostgres(ctx, s)
	return h, err
}

// push pushes some commits to each repository, and keeps the deliveries that the forge makes of it. Nobody is there to take them.
func (h *hookSite) push(ctx context.Context, dir string) error {
	for n := range hookRepositories {
		if _, err := h.forge.CreateRepository(hookRepository(n), true); err != nil {
			return err
		}
	}
	nowhere, err := freeAddress()
	if err != nil {
		return err
	}
	h.forge.SetAppWebhook("http://" + nowhere)
	tree, err := h.forge.Clone(ctx, hookRepository(0), dir)
	if err != nil {
		return err
	}
	for n := range hookCommits + 1 {
		if err := tree.Write(fmt.Sprintf("pages/%d.md", n), fmt.Sprintf("# Page %d\n", n), 0); err != nil {
			return err
		}
		if _, err := tree.Commit(ctx, fmt.Sprintf("Add page %d\n\nIt tells what came after page %d, and why.", n, n-1)); err != nil {
			return err
		}
	}
	first := fmt.Sprintf("HEAD~%d:refs/heads/main", hookCommits)
	for n := range hookRepositories {
		for _, what := range []string{first, "HEAD:refs/heads/main"} {
			if _, err := tree.Git(ctx, "push", "--quiet", h.forge.PushURL(hookRepository(n)), what); err != nil {
				return err
			}
		}
	}
	all, err := h.forge.WaitDeliveries(ctx, 2*hookRepositories)
	if err != nil {
		return err
	}
	for i := 1; i < len(all); i += 2 { // in the order of the pushes
		h.deliveries = append(h.deliveries, all[i])
	}
	return nil
}

// startTinyforge runs tinyforge serve with a workload for each repository, which follows a branch. database is "" for SQLite in
// the data folder. serve ends with the stage.
func (h *hookSite) startTinyforge(ctx context.Context, s *stage, name, database, branch string) (*receiver, error) {
	address, web, err := addresses()
	if err != nil {
		return nil, err
	}
	data, err := os.MkdirTemp(s.dir, "serve-")
	if err != nil {
		return nil, err
	}
	r := &receiver{name: name, address: address, path: "/webhooks/" + hookForge, answers: http.StatusOK, database: database}
	env := []string{"TINYFORGE_DATA=" + data, "TINYFORGE_LISTEN=" + address, "TINYFORGE_PUBLIC_URL=http://" + address, "TINYFORGE_PROXY_HTTP=" + web,
		"TINYFORGE_PROXY_HTTPS=off", "TINYFORGE_DOCKER_NETWORK=" + hookNetwork, "TINYFORGE_WORKERS=1",
		"TINYFORGE_MIN_FREE=1MB"} // or a full disk would have it empty Docker's build cache
	if database != "" {
		env, r.also = append(env, "TINYFORGE_DATABASE="+database), h.postgres.process
	} else {
		r.database = "sqlite://" + filepath.Join(data, "tinyforge.db")
	}
	if r.process, err = start(s.dir, filepath.Base(data), env, s.tinyforge, "serve"); err != nil {
		return nil, err
	}
	s.add(r.kill)
	if err := waitReady(ctx, r.process, address); err != nil {
		return nil, err
	}
	apply := exec.CommandContext(ctx, s.tinyforge, "apply", "-")
	apply.Env = append(append(os.Environ(), env...), "BENCH_WEBHOOK_SECRET="+h.secret)
	apply.Stdin = strings.NewReader(h.manifest(branch))
	if out, err := apply.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("apply: %w\n%s", err, out)
	}
	return r, nil
}

// manifest is what is applied. The forge is told of no deployment: thousands a second would be a load of another kind.
func (h *hookSite) manifest(branch string) string {
	row := h.forge.Row(hookForge)
	var b bytes.Buffer
	fmt.Fprintf(&b, `forges:
  - name: %s
    kind: github
    url: %s
    api_url: %s
    app_id: %d
    private_key: file:%s
    webhook_secret: env:BENCH_WEBHOOK_SECRET
    networks: [loopback]
workloads:
`, row.Name, row.URL, row.APIURL, row.AppID, h.key)
	for n := range hookRepositories {
		fmt.Fprintf(&b, `  - name: site-%d
    forge: %s
    repository: %s
    source: dockerfile
    ref: %s
    config: {report_commit_status: false}
`, n, row.Name, hookRepository(n), branch)
	}
	return b.String()
}

package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"tinyforge/app/forgetest"
	"tinyforge/db"
)

// sites are two workloads of a tinyforge serve, one for each strategy, and a developer's clone of the repository of each.
type sites struct {
	*serving
	forge *forgetest.Server
	store *db.DB
	all   map[string]*pushedSite // by blueGreen and recreate
	end   func()
}

// pushedSite is one of them.
type pushedSite struct {
	repository, host string
	workload         int64
	tree             *forgetest.Worktree
	pushed           []pushed
}

// pushed is one that is live.
type pushed struct {
	sent, live time.Time // the delivery, the first answer
	dep        db.Deployment
}

const sitesFile = `
forges:
  - name: bench
    kind: github
    url: %s
    api_url: %s
    app_id: %d
    private_key: file:%s
    webhook_secret: file:%s
    networks: [loopback]
workloads:
%s`

const siteFile = `  - name: %s
    forge: bench
    repository: %s
    source: dockerfile
    host: %s
    config:
      deploy_strategy: %s
      healthcheck: {path: /up, interval: 100ms, attempts: 100}
`

// newSites starts a tinyforge serve with two workloads that have nothing yet. name begins the names of all that it makes in
// Docker. dockerHost is "" for the usual one. Their end is also that of the stage, at the latest.
func newSites(ctx context.Context, s *stage, forge *forgetest.Server, base, name, dockerHost string) (x *sites, err error) {
	x = &sites{forge: forge, all: map[string]*pushedSite{}}
	options := []string{"--docker-network", name}
	if dockerHost != "" {
		options = append(options, "--docker-host", dockerHost)
	}
	if x.serving, err = s.serve(ctx, filepath.Join(s.dir, name), options...); err != nil {
		return nil, err
	}
	ended := false
	x.end = func() {
		if ended {
			return
		}
		ended = true
		s.takeDown(x.serving)
		if x.store != nil {
			_ = x.store.Close()
		}
		x.stop()
	}
	s.add(x.end)
	forge.SetAppWebhook("http://" + x.control + "/webhooks/bench")
	workloads := ""
	for who, strategy := range map[string]db.Strategy{blueGreen: db.BlueGreen, recreate: db.Recreate} {
		p := &pushedSite{repository: "acme/" + name + "-" + string(strategy), host: string(strategy) + ".test"}
		if err := p.clone(ctx, s, forge, base); err != nil {
			return nil, err
		}
		x.all[who] = p
		workloads += fmt.Sprintf(siteFile, name+"-"+string(strategy), p.repository, p.host, strategy)
	}
	if err := x.tell(ctx, s, workloads); err != nil {
		return nil, err
	}
	if x.store, err = store(ctx, x.data); err != nil {
		return nil, err
	}
	for _, p := range x.all {
		w, err := x.store.WorkloadByName(ctx, strings.TrimPrefix(p.repository, "acme/"))
		if err != nil {
			return nil, err
		}
		p.workload = w.ID
	}
	return x, nil
}

// clone makes the repository, and a worktree with a Dockerfile that is not pushed yet.
func (p *pushedSite) clone(ctx context.Context, s *stage, forge *forgetest.Server, base string) error {
	if _, err := forge.CreateRepository(p.repository, true); err != nil {
		return err
	}
	tree, err := forge.Clone(ctx, p.repository, filepath.Join(s.dir, filepath.Base(p.repository)+"-tree"))
	if err != nil {
		return err
	}
	p.tree = tree
	return tree.Write("Dockerfile", fmt.Sprintf(sampleDockerfile, base), 0)
}

func (x *sites) tell(ctx context.Context, s *stage, workloads string) error {
	row := x.forge.Row("bench")
	key, err := s.write("app.pem", "%s", row.Credentials.PrivateKey)
	if err != nil {
		return err
	}
	secret, err := s.write("webhook-secret", "%s", row.Credentials.WebhookSecret)
	if err != nil {
		return err
	}
	_, err = s.apply(ctx, x.serving, fmt.Sprintf(sitesFile, row.URL, row.APIURL, row.AppID, key, secret, workloads))
	return err
}

// once pushes a version to one of them, and returns how long it took from the delivery to the first answer. What is left to do
// after that, draining and reaping, is waited for.
func (x *sites) once(who string) func(ctx context.Context, version int) (time.Duration, error) {
	p := x.all[who]
	return func(ctx context.Context, version int) (time.Duration, error) {
		if err := p.tree.Write("version", strconv.Itoa(version)+"\n", 0); err != nil {
			return 0, err
		}
		if _, err := p.tree.Commit(ctx, "version "+strconv.Itoa(version)); err != nil {
			return 0, err
		}
		if err := p.tree.Push(ctx, "HEAD:refs/heads/main"); err != nil {
			return 0, err
		}
		at, err := firstAnswer(ctx, x.site, p.host, version)
		if err != nil {
			return 0, fmt.Errorf("%w\n%s", err, x.said())
		}
		sent, err := x.sent(ctx, p.repository)
		if err != nil {
			return 0, err
		}
		dep, err := x.finished(ctx, p.workload)
		if err != nil {
			return 0, err
		}
		p.pushed = append(p.pushed, pushed{sent, at, dep})
		return at.Sub(sent), nil
	}
}

// sent is when the forge sent the last push of a repository.
func (x *sites) sent(ctx context.Context, repository string) (at time.Time, err error) {
	all, err := x.forge.Settle(ctx)
	if err != nil {
		return at, err
	}
	for _, d := range all {
		if d.Event != "push" || d.Repository != repository {
			continue
		}
		if at = d.At; d.Err != nil || d.Code/100 != 2 {
			return at, errors.Join(fmt.Errorf("a delivery was answered %d %s", d.Code, d.Answer), d.Err)
		}
	}
	if at.IsZero() {
		return at, fmt.Errorf("nothing was delivered for %s", repository)
	}
	return at, nil
}

// finished waits until the newest deployment of a workload has come to its end, which has to be a good one.
func (x *sites) finished(ctx context.Context, workload int64) (db.Deployment, error) {
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		all, err := x.store.DeploymentsOf(ctx, workload, 1)
		if err != nil {
			return db.Deployment{}, err
		}
		if len(all) == 0 || !all[0].Phase.Final() {
			continue
		}
		if all[0].Phase != db.PhaseLive {
			return db.Deployment{}, fmt.Errorf("deployment %d is %s: %s", all[0].ID, all[0].Phase, all[0].Error)
		}
		return all[0], nil
	}
	return db.Deployment{}, fmt.Errorf("workload %d does not come to rest in a minute", workload)
}

// phases is where the time goes. The first push is left out.
func (x *sites) phases() work {
	w := work{Name: "push to live, by phase", Text: "How long the deployments above were in each phase, by their rows. Queued is from the delivery to " +
		"the claim, with the webhook's answer. The site answers with the new version at the end of routing; draining, stopping in blue-green, and reaping are after that."}
	for _, who := range []string{blueGreen, recreate} {
		for _, p := range x.all[who].pushed[1:] {
			for _, t := range p.times() {
				w.add(who, string(t.phase), "ms", milliseconds(t.took))
			}
		}
	}
	return w
}

// phaseTime is how long a deployment was in a phase.
type phaseTime struct {
	phase db.Phase
	took  time.Duration
}

func (p pushed) times() (list []phaseTime) {
	phase, since := db.PhaseQueued, p.sent
	for _, e := range p.dep.Entered {
		list = append(list, phaseTime{phase, e.At.Sub(since)})
		phase, since = e.Phase, e.At
	}
	return list
}

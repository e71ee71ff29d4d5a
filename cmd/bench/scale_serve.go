package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"tinyforge/app/forgetest"
	"tinyforge/db"
	"tinyforge/deploy"
	"tinyforge/deploy/proxy"
	"tinyforge/deploy/shared"
)

// scaleSettles is how long serve has nothing to do before it is looked at what it holds.
const scaleSettles = 5 * time.Second

const scaleViews = 10 // of each page

// adopt makes who answers for Docker, and the proxy's folder, know what is live.
func (t *city) adopt(ctx context.Context, s *stage) error {
	t.engine.clear()
	err := t.with(ctx, func(ctx context.Context, store *db.DB) error {
		states, err := store.RuntimeStates(ctx)
		for _, state := range states {
			n, err := strconv.Atoi(strings.TrimPrefix(state.Release.Workload, "site-"))
			if err != nil {
				return err
			}
			t.engine.add(string(state.ReleaseID), state.WorkloadID, state.DeploymentID)
			t.lives[n] = deploy.Upstream{Name: string(state.ReleaseID), Addr: t.engine.address(string(state.ReleaseID)), Port: 8080}
		}
		if err == nil && t.kind != "SQLite" {
			err = t.fillTargets(ctx, store)
		}
		return err
	})
	if err != nil {
		return err
	}
	return t.fillRoutes(ctx, s)
}

// fillTargets makes all routes rows, as the first start on PostgreSQL does, once.
func (t *city) fillTargets(ctx context.Context, store *db.DB) error {
	router := shared.New(shared.Config{DB: store, Local: new(proxy.Table), Reserved: func() ([]string, error) { return nil, nil }})
	var all errgroup.Group
	all.SetLimit(scaleWorkers)
	for _, w := range t.byID {
		var n int
		if _, err := fmt.Sscanf(w.Name, "site-%d", &n); err != nil {
			return err
		}
		all.Go(func() error {
			for _, rt := range w.Routes() {
				if err := router.Upsert(ctx, rt, t.lives[n]); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return all.Wait()
}

// fillRoutes lets the proxy write one route down, and writes the others as that one.
func (t *city) fillRoutes(ctx context.Context, s *stage) error {
	if err := os.RemoveAll(t.folder()); err != nil {
		return err
	}
	p, err := t.startProxy(ctx, s)
	if err != nil {
		return err
	}
	first := t.lives[0]
	err = p.client.Upsert(ctx, route(hostOf(0)), first)
	p.stop()
	if err != nil {
		return err
	}
	text, err := os.ReadFile(filepath.Join(t.folder(), hostOf(0)))
	if err != nil {
		return err
	}
	for n, live := range t.lives {
		one := bytes.ReplaceAll(bytes.ReplaceAll(text, []byte(first.Name), []byte(live.Name)), []byte(first.Addr), []byte(live.Addr))
		for _, name := range hostsOf(n) {
			if err := os.WriteFile(filepath.Join(t.folder(), name), bytes.ReplaceAll(one, []byte(hostOf(0)), []byte(name)), 0o600); err != nil {
				return err
			}
		}
	}
	return nil
}

// startProxy runs the proxy alone, with the routes that serve's has.
func (t *city) startProxy(ctx context.Context, s *stage) (*proxied, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	p := &proxied{plain: address, dir: t.data}
	if err := p.startAnew(s); err != nil {
		return nil, err
	}
	p.client = proxy.NewClient(p.socket())
	if err := p.ready(ctx, address); err != nil {
		p.kill()
		return nil, err
	}
	return p, nil
}

// measureServe starts serve, looks at what it holds and at its pages, and sends it pushes.
func (t *city) measureServe(ctx context.Context, s *stage, w *scaleWorks) error {
	if err := t.adopt(ctx, s); err != nil {
		return err
	}
	env := []string{"TINYFORGE_DATABASE=" + t.address, "TINYFORGE_WORKERS=1", "TINYFORGE_MIN_FREE=1MB"}
	v, err := s.serveWith(ctx, t.data, env, "--docker-host", "unix://"+t.engine.socket)
	if err != nil {
		return err
	}
	defer v.end()
	w.upkeep.add(t.who(), "ready", "ms", milliseconds(v.ready))
	t.note("ready: %s", v.ready.Round(time.Millisecond))
	if err := deploy.Sleep(ctx, scaleSettles); err != nil {
		return err
	}
	rss, _, err := v.holds()
	if err != nil {
		return err
	}
	w.upkeep.add(t.who(), "RSS", "MB", rss)
	if err := t.measurePages(ctx, v, w.upkeep); err != nil {
		return err
	}
	return t.measurePushes(ctx, v, w.pushes)
}

// end kills it, as somebody who holds back a commit would keep it from ending in time; for a profile it has that time.
func (v *serving) end() {
	if profiled() {
		v.stop()
	} else {
		v.kill()
	}
}

func (t *city) measurePages(ctx context.Context, v *serving, w *work) error {
	cookie, err := t.signIn(ctx)
	if err != nil {
		return err
	}
	for _, page := range []struct{ name, path string }{
		{"list", "/workloads"}, {"a workload", fmt.Sprintf("/workloads/site-%06d", t.size/2)}, {"metrics", "/metrics"},
	} {
		var took []float64
		for n := range scaleViews + 1 {
			begun := time.Now()
			a, err := ask(ctx, v.control, request("GET", page.path, v.control, nil, "Cookie: session="+cookie, "Connection: close"))
			switch {
			case errors.Is(err, os.ErrDeadlineExceeded): // it counts as answered then
			case err != nil:
				return fmt.Errorf("GET %s: %w", page.path, err)
			case a.status != http.StatusOK:
				return fmt.Errorf("GET %s is answered %d", page.path, a.status)
			}
			if n > 0 {
				took = append(took, milliseconds(time.Since(begun)))
			}
		}
		w.add(t.who(), page.name, "ms", percentile(took, 50))
	}
	return nil
}

// signIn returns the session of somebody who may see all.
func (t *city) signIn(ctx context.Context) (token string, err error) {
	err = t.with(ctx, func(ctx context.Context, store *db.DB) error {
		u, err := store.UserByName(ctx, "bench")
		if errors.Is(err, db.ErrNotFound) {
			u = db.User{Name: "bench", Role: db.Administrator}
			err = store.SaveUser(ctx, &u)
		}
		if err == nil {
			token, err = store.StartSession(ctx, u.ID, "127.0.0.1", "bench")
		}
		return err
	})
	return token, err
}

// measurePushes sends signed pushes of all repositories in turn.
func (t *city) measurePushes(ctx context.Context, v *serving, w *work) error {
	list := make([]*scaleDelivery, scaleClients)
	for n := range list {
		var err error
		if list[n], err = t.delivery(n); err != nil {
			return err
		}
	}
	every := time.Duration(scaleClients) * time.Second / scalePushes
	sent, err := together(ctx, place{address: v.control}, scaleClients, scaleLasts, func(n int, c *client, until time.Time) *load {
		l, d := &load{}, list[n]
		due := time.Now().Add(every * time.Duration(n) / scaleClients)
		for turn := n; due.Before(until) && ctx.Err() == nil; turn, due = turn+scaleClients, due.Add(every) {
			time.Sleep(time.Until(due))
			d.of(turn % t.size)
			d.renew()
			a, err := c.exchange(d.text)
			if !l.expect(http.StatusAccepted, a, err, time.Since(due)) { // from when it was due: who is late for one is late for the next
				return l
			}
		}
		return l
	})
	if err == nil {
		err = sent.ok()
	}
	if err != nil {
		return err
	}
	t.pushed += sent.answers
	w.add(t.who(), "answered", "1/s", sent.perSecond())
	w.add(t.who(), "p50", "ms", percentile(sent.delays, 50))
	w.add(t.who(), "p99", "ms", percentile(sent.delays, 99))
	return nil
}

// scaleDelivery is a delivery that can be of any repository.
type scaleDelivery struct {
	*delivery
	numbers, names []int // where they are named
}

// delivery makes one for a client, of a push that the forge has sent.
func (t *city) delivery(n int) (*scaleDelivery, error) {
	sent := t.site.deliveries[n%len(t.site.deliveries)]
	id, name := scaleRepository(0)
	body, err := ofRepository(sent.Body, id, name)
	if err != nil {
		return nil, err
	}
	var seed [32]byte
	t.site.seeds++
	copy(seed[:], "scale "+strconv.Itoa(t.site.seeds))
	d, err := newDelivery(forgetest.Delivery{ID: sent.ID, Header: sent.Header, Body: body}, "/webhooks/"+hookForge, t.site.secret, seed)
	if err != nil {
		return nil, err
	}
	return &scaleDelivery{d, d.places(strconv.FormatInt(id, 10)), d.places(name)}, nil
}

// of makes it one of the n-th repository.
func (d *scaleDelivery) of(n int) {
	id, name := scaleRepository(n)
	for _, at := range d.numbers {
		copy(d.text[at:], strconv.FormatInt(id, 10))
	}
	for _, at := range d.names {
		copy(d.text[at:], name)
	}
}

// ofRepository makes the body of a push that of another repository.
func ofRepository(body []byte, id int64, fullName string) ([]byte, error) {
	var push map[string]any
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	if err := decoder.Decode(&push); err != nil {
		return nil, fmt.Errorf("read push: %w", err)
	}
	repository, ok := push["repository"].(map[string]any)
	if !ok {
		return nil, errors.New("read push: it names no repository")
	}
	repository["id"], repository["full_name"] = id, fullName
	return json.Marshal(push)
}

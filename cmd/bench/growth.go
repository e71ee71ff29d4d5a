package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// grown is a proxy with many routes, and how one of them is led to an upstream.
type grown struct {
	name string
	swap func(ctx context.Context, host, upstream string) error
	size int
}

const swapsOfRound = 40

// measureGrowth looks at what becomes slower when there is more of it.
func measureGrowth(ctx context.Context, o choice, s *stage, done func(work)) error {
	if err := measureSwaps(ctx, o, s, done); err != nil {
		return err
	}
	return measureStarts(ctx, o, s, done)
}

// measureSwaps leads routes from one upstream to another and back, in proxies with few and with many routes.
func measureSwaps(ctx context.Context, o choice, s *stage, done func(work)) error {
	var upstreams [2]string
	for i := range upstreams {
		b, err := startBackend(ctx, "", int64(i+1), nil)
		if err != nil {
			return err
		}
		s.add(b.kill)
		upstreams[i] = b.address
	}
	own := &work{Name: "route swap, by routes", Text: "A route is led to another upstream, by a call on the proxy's socket that returns when the change would outlive " +
		"the process and the machine. Median and 95th percentile of 40 swaps in a round. The folders of routes were filled before: each file is a copy, for another host, of one that the proxy wrote."}
	peer := &work{Name: "route swap, by routes, Caddy", Text: "The same by PATCH of the upstream in Caddy's admin API, which keeps nothing on disk here."}
	var list []grown
	for _, size := range []int{10, 1_000, 100_000} {
		g, err := growOurs(ctx, s, size, upstreams[0])
		if err != nil {
			return err
		}
		list = append(list, g)
	}
	own.Base = list[0].name
	own.Goals = []goal{{Who: list[1].name, Metric: "swap", To: own.Base, AtMost: 1.2}, {Who: list[2].name, Metric: "swap", To: own.Base, AtMost: 2}}
	for _, size := range []int{10, 1_000} {
		g, err := growCaddy(ctx, s, size, upstreams[0])
		if err != nil {
			return err
		}
		list = append(list, g)
	}
	peer.Base = list[3].name
	for round := range o.times(5) {
		for i := range list {
			n := (i + round) % len(list)
			w := own
			if n >= 3 {
				w = peer
			}
			if err := list[n].round(ctx, w, upstreams, round); err != nil {
				return fmt.Errorf("%s: %w", list[n].name, err)
			}
		}
	}
	done(*own)
	done(*peer)
	return nil
}

// round swaps the routes of hosts that are spread over all. Each swap changes something.
func (g grown) round(ctx context.Context, w *work, upstreams [2]string, round int) error {
	var took []float64
	hosts := min(g.size, swapsOfRound)
	for i := range swapsOfRound {
		n, before := i%hosts, round*swapsOfRound/hosts+i/hosts
		begun := time.Now()
		if err := g.swap(ctx, hostOf(n*(g.size/hosts)), upstreams[(before+1)%2]); err != nil {
			return err
		}
		took = append(took, milliseconds(time.Since(begun)))
	}
	w.add(g.name, "swap", "ms", percentile(took, 50))
	w.add(g.name, "swap p95", "ms", percentile(took, 95))
	return nil
}

// hostOf is the n-th site's.
func hostOf(n int) string { return fmt.Sprintf("site-%06d.test", n) }

func routesOf(size int) string { return thousands(size) + " routes" }

// thousands writes a number with commas.
func thousands(n int) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return thousands(n/1000) + fmt.Sprintf(",%03d", n%1000)
}

// growOurs starts a proxy, lets it write one route down, writes the others as that one, and starts it again.
func growOurs(ctx context.Context, s *stage, size int, upstream string) (grown, error) {
	p, err := startOurs(ctx, s, upstream)
	if err != nil {
		return grown{}, err
	}
	s.add(func() { p.end() })
	if err := p.client.Upsert(ctx, route(hostOf(0)), at("bench-1", upstream)); err != nil {
		return grown{}, err
	}
	p.stop()
	if err := fillRoutes(filepath.Join(p.dir, "routes"), size); err != nil {
		return grown{}, fmt.Errorf("fill the folder of routes: %w", err)
	}
	if p.process, err = start(s.dir, ours, nil, p.cmd.Path, p.cmd.Args[1:]...); err != nil {
		return grown{}, err
	}
	if err := p.ready(ctx, p.plain); err != nil {
		return grown{}, err
	}
	if n := len(p.client.Stats()); n < size { // and host's
		return grown{}, fmt.Errorf("the proxy has %d of %d routes: %s", n, size, p.said())
	}
	swap := func(ctx context.Context, host, upstream string) error {
		return p.client.Upsert(ctx, route(host), at("to-"+upstream, upstream))
	}
	return grown{ours + ", " + routesOf(size), swap, size}, nil
}

// fillRoutes copies the file of the first host for all others.
func fillRoutes(dir string, size int) error {
	text, err := os.ReadFile(filepath.Join(dir, hostOf(0)))
	if err != nil {
		return err
	}
	for n := range size {
		host := hostOf(n)
		if err := os.WriteFile(filepath.Join(dir, host), bytes.ReplaceAll(text, []byte(hostOf(0)), []byte(host)), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// growCaddy starts a Caddy with an API and so many routes, each with an id.
func growCaddy(ctx context.Context, s *stage, size int, upstream string) (grown, error) {
	plain, secure, err := addresses()
	if err != nil {
		return grown{}, err
	}
	admin, err := freeAddress()
	if err != nil {
		return grown{}, err
	}
	text, err := s.caddyConfig(plain, secure, upstream, admin)
	if err != nil {
		return grown{}, err
	}
	if text, err = withRoutes(text, size); err != nil {
		return grown{}, err
	}
	name := fmt.Sprintf("caddy-%d", size)
	config, err := s.write(name+".json", "%s", text)
	if err != nil {
		return grown{}, err
	}
	p, err := s.run(ctx, name, plain, secure, s.self, "peer", "caddy", config)
	if err != nil {
		return grown{}, err
	}
	s.add(p.end)
	swap := func(ctx context.Context, host, upstream string) error {
		return patchCaddy(ctx, "http://"+admin+"/id/"+host+"/handle/0/upstreams", upstream)
	}
	return grown{"caddy, PATCH, " + routesOf(size), swap, size}, p.answers(ctx, admin)
}

// withRoutes puts copies of its one route, for other hosts, into a configuration of Caddy.
func withRoutes(config []byte, size int) ([]byte, error) {
	var all map[string]any
	if err := json.Unmarshal(config, &all); err != nil {
		return nil, err
	}
	server := all["apps"].(map[string]any)["http"].(map[string]any)["servers"].(map[string]any)["plain"].(map[string]any)
	first, err := json.Marshal(server["routes"].([]any)[0])
	if err != nil {
		return nil, err
	}
	var routes []json.RawMessage
	for n := range size {
		one := strings.ReplaceAll(strings.ReplaceAll(string(first), `"`+host+`"`, `"`+hostOf(n)+`"`), `"@id":"site"`, `"@id":"`+hostOf(n)+`"`)
		routes = append(routes, json.RawMessage(one))
	}
	server["routes"] = routes
	return json.Marshal(all)
}

func patchCaddy(ctx context.Context, url, upstream string) error {
	body := fmt.Sprintf(`[{"dial":%q}]`, upstream)
	r, err := http.NewRequestWithContext(ctx, http.MethodPatch, url, strings.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s", url, answer.Status)
	}
	return nil
}

// measureStarts starts a serve with nothing and one with many workloads, in turn.
func measureStarts(ctx context.Context, o choice, s *stage, done func(work)) error {
	town, err := newTown(ctx, s, manyWorkloads)
	if err != nil {
		return err
	}
	w := &work{Name: "start of serve", Text: fmt.Sprintf("From exec to the first 200 of /readyz. %s "+
		"With Docker away, nothing listens where Docker should be.", town.text()), Base: "nothing deployed"}
	for _, who := range []string{town.name(), town.name() + ", Docker away"} {
		w.Goals = append(w.Goals, goal{Who: who, Metric: "ready", AtMost: 1000})
	}
	list := []struct{ who, data, docker string }{
		{w.Base, filepath.Join(s.dir, "empty"), town.engine.socket},
		{town.name(), town.data, town.engine.socket},
		{town.name() + ", Docker away", town.data, filepath.Join(s.dir, "nobody.sock")},
	}
	for round := range o.times(5) + 1 {
		for i := range list {
			l := list[(i+round)%len(list)]
			v, err := s.serve(ctx, l.data, "--docker-host", "unix://"+l.docker)
			if err != nil {
				return fmt.Errorf("%s: %w", l.who, err)
			}
			ready := v.ready
			v.stop()
			if round > 0 { // the first one migrates, and reads from the disk
				w.add(l.who, "ready", "ms", milliseconds(ready))
			}
		}
	}
	done(*w)
	return nil
}

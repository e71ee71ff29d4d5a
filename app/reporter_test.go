package app_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"tinyforge/app/forgetest"
	"tinyforge/db"
	"tinyforge/db/migratedtest"
)

func TestStatusesAreNeverOutOfOrder(t *testing.T) {
	t.Parallel()
	onEveryForge(t, func(t *testing.T, d *desk, kind forgetest.Kind, p *place) {
		other := p.addWorkload("other-"+string(kind), `{}`)
		arrived, goOn := make(chan struct{}, 10), make(chan struct{})
		p.forge.Fault(func(r *http.Request) *forgetest.Fault {
			if strings.Contains(r.URL.Path, "/statuses/") {
				arrived <- struct{}{}
				<-goOn
			}
			return nil
		})
		p.queue(p.first, p.workload)
		stop, stopOther := d.report(), d.report() // two, as in two processes
		wait(t, arrived)
		d.live(d.start())
		p.queue(p.first, other) // another reason to speak of the commit while somebody does
		d.live(d.start())
		if keys, err := d.db.DueReports(t.Context(), 10); err != nil || len(keys) != 0 {
			t.Errorf("%s: somebody else may speak of %v at the same time, %v", kind, keys, err)
		}
		close(goOn)
		for d.next().State != db.StatusSuccess {
		}
		stop()
		stopOther()
		states := strings.Fields(p.states(p.first))
		if states[0] != "pending" || states[len(states)-1] != "success" || len(states) > 3 {
			t.Errorf("%s: %v", kind, states)
		}
		if n, err := d.db.CountUnreported(t.Context()); err != nil || n != 0 {
			t.Errorf("%d unreported, %v", n, err)
		}
	})
}

func TestTwoWorkloadsShareOneStatus(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	p := d.place(forgetest.GitHub, "web")
	api := p.addWorkload("api", `{}`)
	ids := p.queue(p.first, p.workload, api)
	check := func(state, text string, decisive int64) {
		t.Helper()
		for len(d.told) > 0 {
			<-d.told
		}
		d.until(1)
		s := p.last(p.first)
		if s.State != state || s.Description != text || s.TargetURL != fmt.Sprintf("https://deploy.example.com/deployments/%d", decisive) {
			t.Errorf("%s, want %s: %+v", s.State, state, s)
		}
	}
	check("pending", "web: Waiting for its turn; api: Waiting for its turn", ids[0])
	web, second := d.start(), d.start()
	d.live(web)
	check("pending", "api: Being deployed: building; web: Live in 1 s", ids[1])
	d.fail(second, "Gate failed: it never got ready")
	check("failure", "api: Gate failed: it never got ready; web: Live in 1 s", ids[1])

	again := p.queue(p.first, api)
	check("pending", "api: Waiting for its turn; web: Live in 1 s", again[0])
	d.live(d.start())
	check("success", "web: Live in 1 s; api: Live in 1 s", ids[0])
}

func TestARedeployUpdatesTheStatus(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for _, kind := range kinds {
		p := d.place(kind, string(kind))
		for _, end := range []func(*db.Deployment){func(dep *db.Deployment) { d.fail(dep, "no") }, d.live} {
			p.queue(p.first, p.workload)
			d.until(1)
			end(d.start())
			d.until(1)
		}
		p.wantStates(p.first, "pending failure pending success")
		for _, s := range p.forge.Statuses(p.repo.FullName, p.first) {
			if s.Context != "tinyforge" {
				t.Errorf("%+v", s)
			}
		}
	}
}

func TestDescriptions(t *testing.T) {
	t.Parallel()
	long := "Gate failed: GET /ünïcödé answered 500: " + strings.Repeat("ä", 200)
	for name, tc := range map[string]struct {
		end  func(d *desk, p *place, dep *db.Deployment)
		want string
	}{
		"long":       {func(d *desk, _ *place, dep *db.Deployment) { d.fail(dep, long) }, string([]rune(long)[:139]) + "…"},
		"of 140":     {func(d *desk, _ *place, dep *db.Deployment) { d.fail(dep, strings.Repeat("ä", 140)) }, strings.Repeat("ä", 140)},
		"lines":      {func(d *desk, _ *place, dep *db.Deployment) { d.fail(dep, "one\ntwo\x1b[31m") }, "one"},
		"no text":    {func(d *desk, _ *place, dep *db.Deployment) { d.fail(dep, "") }, "Failed"},
		"live":       {func(d *desk, _ *place, dep *db.Deployment) { d.live(dep) }, "Live in 1 s"},
		"live later": {liveLater, "Live in 14 s"},
		"skipped": {func(d *desk, _ *place, dep *db.Deployment) {
			dep.Phase = db.PhaseSkipped
			must(d.t, d.db.Save(d.t.Context(), dep))
		}, "Live already"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			p := d.place(forgetest.GitHub, "site") // GitHub counts characters, and refuses
			p.queue(p.first, p.workload)
			tc.end(d, p, d.start())
			if got := d.until(1)[0]; got.err != nil || got.Description != tc.want || utf8.RuneCountInString(got.Description) > 140 {
				t.Errorf("%q, %v, want %q", got.Description, got.err, tc.want)
			}
		})
	}
}

// liveLater ends a deployment 14 seconds after its push.
func liveLater(d *desk, _ *place, dep *db.Deployment) {
	dep.Phase, dep.FinishedAt = db.PhaseLive, dep.CreatedAt.Add(14*time.Second)
	must(d.t, d.db.Save(d.t.Context(), dep))
}

func TestASupersededCommitNamesTheNewer(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for _, kind := range kinds {
		p := d.place(kind, string(kind))
		p.queue(p.first, p.workload)
		d.until(1)
		second := p.commit()
		p.queue(second, p.workload)
		d.until(2)
		p.wantStates(p.first, "pending failure")
		p.wantStates(second, "pending")
		if text, want := p.last(p.first).Description, "Superseded by "+second[:7]+" before its turn came"; text != want {
			t.Errorf("says %q, want %q", text, want)
		}
		d.live(d.start())
		d.until(1)
	}
}

// A reporter that is stopped while it speaks to a forge leaves what the next one needs, and the next one need not wait.
func TestARestartGoesOn(t *testing.T) {
	t.Parallel()
	onEveryForge(t, func(t *testing.T, d *desk, _ forgetest.Kind, p *place) {
		asked := make(chan struct{}, 10)
		p.forge.Fault(func(r *http.Request) *forgetest.Fault {
			if !strings.Contains(r.URL.Path, "/statuses/") {
				return nil
			}
			asked <- struct{}{}
			return &forgetest.Fault{Silent: true}
		})
		id := p.queue(p.first, p.workload)[0]
		stop := d.report()
		wait(t, asked)
		stop()
		if got := d.next(); !errors.Is(got.err, context.Canceled) {
			t.Errorf("%v", got.err)
		}
		if dep := d.deployment(id); dep.Reported != "" || dep.ReportAfter.After(time.Now()) {
			t.Errorf("row %+v", dep)
		}
		p.forge.Fault(nil)
		d.until(1)
		p.wantStates(p.first, "pending")
		d.live(d.start())
		d.until(1)
		p.wantStates(p.first, "pending success")
	})
}

func TestASilentForgeDelaysNoOther(t *testing.T) {
	t.Parallel()
	for dialect, address := range migratedtest.Databases(t) {
		t.Run(dialect, func(t *testing.T) {
			d := newDeskOn(t, address)
			silent := d.place(forgetest.Gitea, "silent")
			var open atomic.Int64
			most, full := int64(0), make(chan struct{}, 100)
			var mu sync.Mutex
			silent.forge.Fault(func(*http.Request) *forgetest.Fault {
				mu.Lock()
				defer mu.Unlock()
				if most = max(most, open.Add(1)); most == 4 {
					full <- struct{}{}
				}
				return &forgetest.Fault{Silent: true}
			})
			for n := range 40 {
				silent.queue(fmt.Sprintf("%040x", n+1), silent.addWorkload(fmt.Sprint("silent-", n), `{}`))
			}
			others := []*place{d.place(forgetest.Gitea, "gitea"), d.place(forgetest.GitHub, "github")}
			stop := d.report()
			wait(t, full)
			for _, p := range others { // what comes up now is told now
				p.queue(p.first, p.workload)
				if got := d.next(); got.repository != p.repo.FullName || got.err != nil {
					t.Errorf("told %+v", got)
				}
				p.wantStates(p.first, "pending")
			}
			mu.Lock()
			if most != 4 {
				t.Errorf("%d calls at a time to one forge, want 4", most)
			}
			mu.Unlock()
			stop()
			if n, err := d.db.CountUnreported(t.Context()); err != nil || n != 40 {
				t.Errorf("%d unreported, %v", n, err)
			}
		})
	}
}

func TestManyCommitsAreAllReported(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	p := d.place(forgetest.GitHub, "site")
	var commits []string
	for n := range 20 {
		commits = append(commits, p.commit())
		p.queue(commits[n], p.addWorkload(fmt.Sprint("w", n), `{}`))
	}
	d.until(len(commits))
	for _, sha := range commits {
		p.wantStates(sha, "pending")
	}
}

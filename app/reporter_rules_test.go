package app_test

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tinyforge/app"
	"tinyforge/app/forgetest"
	"tinyforge/db"
)

func TestS11_PendingSuccessAndFailureOnEveryForge(t *testing.T) {
	t.Parallel()
	onEveryForge(t, func(t *testing.T, d *desk, kind forgetest.Kind, p *place) {
		good := p.queue(p.first, p.workload)[0]
		d.until(1)
		p.wantStates(p.first, "pending")
		d.live(d.start())
		d.until(1)
		p.wantStates(p.first, "pending success")
		for _, s := range p.forge.Statuses(p.repo.FullName, p.first) {
			if s.Context != "tinyforge" || s.TargetURL != fmt.Sprintf("https://deploy.example.com/deployments/%d", good) {
				t.Errorf("%s: %+v", kind, s)
			}
		}
		if text := p.last(p.first).Description; !strings.HasPrefix(text, "Live in ") {
			t.Errorf("%s: says %q", kind, text)
		}

		second := p.commit()
		bad := p.queue(second, p.workload)[0]
		d.until(1)
		d.fail(d.start(), "Gate failed: GET /up answered 500 for 30 s; the previous release still serves")
		d.until(1)
		p.wantStates(second, "pending failure")
		if s := p.last(second); s.Description != "Gate failed: GET /up answered 500 for 30 s; the previous release still serves" ||
			s.TargetURL != fmt.Sprintf("https://deploy.example.com/deployments/%d", bad) {
			t.Errorf("%s: %+v", kind, s)
		}
		p.wantStates(p.first, "pending success")
	})
}

// A commit that is live is a success, also after another deployment of it was superseded by a later push.
func TestS11_WhatIsLiveStaysASuccess(t *testing.T) {
	t.Parallel()
	onEveryForge(t, func(t *testing.T, d *desk, kind forgetest.Kind, p *place) {
		live := p.queue(p.first, p.workload)[0]
		d.live(d.start())
		d.until(1)
		_, err := d.db.QueueRedeploy(t.Context(), live)
		must(t, err)
		d.until(1)
		p.wantStates(p.first, "success pending")

		second := p.commit()
		p.queue(second, p.workload)
		d.until(2)
		p.wantStates(p.first, "success pending success")
		if s := p.last(p.first); !strings.HasPrefix(s.Description, "Live in ") || s.TargetURL != fmt.Sprintf("https://deploy.example.com/deployments/%d", live) {
			t.Errorf("%s: %+v", kind, s)
		}
		p.wantStates(second, "pending")
		d.fail(d.start(), "it does not start")
		d.until(1)
		p.wantStates(second, "pending failure")
		p.wantStates(p.first, "success pending success")
	})
}

// The same forges, whose rows do not allow the loopback network where they are.
func TestS11_TheClientIsGuarded(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			p := d.place(kind, "site")
			p.row.Networks = nil
			must(t, d.db.SaveForge(t.Context(), &p.row))
			var asked atomic.Int64
			p.forge.Fault(func(*http.Request) *forgetest.Fault { asked.Add(1); return nil })
			id := p.queue(p.first, p.workload)[0]
			refused := d.until(1)[0]
			if _, ok := errors.AsType[*app.RefusedError](refused.err); !ok || asked.Load() != 0 {
				t.Errorf("%v after %d requests", refused.err, asked.Load())
			}
			if dep := d.deployment(id); dep.ReportAttempts != 1 || dep.Reported != "" {
				t.Errorf("row %+v", dep)
			}
		})
	}
}

func TestS12_OnlyTheCodeOfAnErrorIsKept(t *testing.T) {
	t.Parallel()
	faults := map[string]forgetest.Fault{
		"500":      {Status: 500, Reflect: true},
		"401":      {Status: 401, Reflect: true},
		"403":      {Status: 403, Reflect: true},
		"200":      {Status: 200, Reflect: true},
		"301":      {Status: 301, Reflect: true},
		"not JSON": {Status: 201, Body: "<", Reflect: true},
	}
	for _, kind := range kinds {
		for name, fault := range faults {
			t.Run(string(kind)+" "+name, func(t *testing.T) {
				t.Parallel()
				d := newDesk(t)
				p := d.place(kind, "site")
				var mu sync.Mutex
				secrets := map[string]bool{}
				p.forge.Fault(func(r *http.Request) *forgetest.Fault {
					_, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
					mu.Lock()
					secrets[token] = true
					mu.Unlock()
					if !strings.Contains(r.URL.Path, "/statuses/") {
						return nil
					}
					reflecting := fault
					if fault.Status == 301 {
						reflecting.Location = "/" + token
					}
					return &reflecting
				})
				p.queue(p.first, p.workload)
				if err := d.until(1)[0].err; err == nil {
					t.Error("no error")
				}
				must(t, d.db.Close()) // so that all of it is in the files
				kept := d.log.String() + files(t, d.dir)
				mu.Lock()
				defer mu.Unlock()
				if len(secrets) == 0 || secrets[""] {
					t.Fatalf("%d requests with a token", len(secrets))
				}
				for token := range secrets {
					if strings.Contains(kept, token) {
						t.Errorf("the token is in the log or in the database; log:\n%s", d.log)
					}
				}
				if !strings.Contains(kept, p.first) {
					t.Error("the log and the database were not read")
				}
			})
		}
	}
}

// files returns what is in a folder.
func files(t *testing.T, dir string) string {
	t.Helper()
	var all strings.Builder
	must(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		all.Write(text)
		return err
	}))
	return all.String()
}

// A forge that fails in any way delays its status. Meanwhile the deployment goes its way.
func TestS13_StatusesAreBestEffort(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		for name, fault := range map[string]*forgetest.Fault{
			"answers 500": {Status: 500}, "answers 429": {Status: 429}, "is silent": {Silent: true}, "is down": nil,
		} {
			t.Run(string(kind)+" "+name, func(t *testing.T) {
				t.Parallel()
				d := newDesk(t)
				p := d.place(kind, "site")
				asked := make(chan struct{}, 100)
				p.forge.Fault(func(*http.Request) *forgetest.Fault { asked <- struct{}{}; return fault })
				if fault == nil {
					must(t, p.forge.Close())
				}
				id := p.queue(p.first, p.workload)[0]
				stop := d.report()
				if fault != nil && fault.Silent {
					wait(t, asked) // the call hangs from here on
				} else if d.next().err == nil {
					t.Error("no error")
				}
				d.live(d.start())
				stop()
				dep := d.deployment(id)
				if dep.Phase != db.PhaseLive || dep.Error != "" || dep.Reported != "" || dep.ReportAttempts != 1 {
					t.Errorf("row %+v", dep)
				}
				if fault == nil {
					return
				}
				p.forge.Fault(nil)
				for len(d.told) > 0 {
					<-d.told
				}
				p.due(p.first)
				d.until(1)
				p.wantStates(p.first, "success")
			})
		}
	}
}

func wait[T any](t *testing.T, signal <-chan T) T {
	t.Helper()
	select {
	case v := <-signal:
		return v
	case <-time.After(patience):
		t.Fatal("nothing happens")
		panic("unreachable")
	}
}

func TestS13_StatusesArePerWorkload(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	p := d.place(forgetest.Gitea, "site")
	quiet := p.addWorkload("quiet", `{"report_commit_status":false}`)
	loud := p.addWorkload("loud", `{"report_commit_status":true}`)
	second := p.commit()

	ids := p.queue(p.first, quiet)
	both := p.queue(second, quiet, loud)
	d.fail(d.start(), "the quiet one failed") // it does not count for the second commit either
	if got := d.until(1)[0]; got.Commit != second || got.State != db.StatusPending || got.Description != "Waiting for its turn" {
		t.Errorf("told %+v", got)
	}
	p.wantStates(p.first, "")
	for _, id := range append(ids, both[0]) {
		if dep := d.deployment(id); dep.Reported != dep.Status || dep.ReportSent != "" {
			t.Errorf("row of what is not reported stays due, or says that it was: %+v", dep)
		}
	}
	if dep := d.deployment(both[1]); dep.ReportSent != db.StatusPending {
		t.Errorf("row of what is reported: %+v", dep)
	}
	if n, err := d.db.CountUnreported(t.Context()); err != nil || n != 0 {
		t.Errorf("%d unreported, %v", n, err)
	}
}

func TestS13_NothingIsSentForAnEmptySHA(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	p := d.place(forgetest.Gitea, "site")
	empty := p.queue("", p.workload)[0]
	other := p.addWorkload("other", `{}`)
	p.queue(p.first, other)
	if got := d.until(1)[0]; got.Commit != p.first { // it came later, so the empty one was looked at
		t.Errorf("told %+v", got)
	}
	if dep := d.deployment(empty); dep.Reported != db.StatusPending {
		t.Errorf("row stays due: %+v", dep)
	}
}

func TestS13_NothingIsSentForACommitThatIsLive(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	p := d.place(forgetest.GitHub, "site")
	p.queue(p.first, p.workload)
	d.live(d.start())
	d.until(1)
	if ids := p.queue(p.first, p.workload); len(ids) != 0 {
		t.Errorf("queued %v", ids)
	}
	second := p.commit()
	p.queue(second, p.workload)
	if got := d.until(1)[0]; got.Commit != second {
		t.Errorf("told %+v", got)
	}
	p.wantStates(p.first, "success")
}

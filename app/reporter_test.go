package app_test

import (
	"context"
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
	"unicode/utf8"

	"tinyforge/app"
	"tinyforge/app/forgetest"
	"tinyforge/db"
	"tinyforge/db/dbtest"
)

func TestS11_PendingSuccessAndFailureOnEveryForge(t *testing.T) {
	for dialect, address := range dbtest.Databases(t) {
		t.Run(dialect, func(t *testing.T) {
			d := newDeskOn(t, address)
			for _, kind := range kinds {
				p := d.place(kind, string(kind))
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
			}
		})
	}
}

// The same forges, whose rows do not allow the loopback network where they are.
func TestS11_TheClientIsGuarded(t *testing.T) {
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
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
	for _, kind := range kinds {
		for name, fault := range map[string]*forgetest.Fault{
			"answers 500": {Status: 500}, "answers 429": {Status: 429}, "is silent": {Silent: true}, "is down": nil,
		} {
			t.Run(string(kind)+" "+name, func(t *testing.T) {
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
	d := newDesk(t)
	p := d.place(forgetest.Gitea, "site")
	quiet := p.addWorkload("quiet", `{"report_commit_status":false}`)
	loud := p.addWorkload("loud", `{"report_commit_status":true}`)
	second := p.commit()

	ids := p.queue(p.first, quiet)
	p.queue(second, quiet, loud)
	d.fail(d.start(), "the quiet one failed") // it does not count for the second commit either
	if got := d.until(1)[0]; got.Commit != second || got.State != db.StatusPending || got.Description != "Waiting for its turn" {
		t.Errorf("told %+v", got)
	}
	p.wantStates(p.first, "")
	for _, id := range ids {
		if dep := d.deployment(id); dep.Reported != dep.Status {
			t.Errorf("row of what is not reported stays due: %+v", dep)
		}
	}
	if n, err := d.db.CountUnreported(t.Context()); err != nil || n != 0 {
		t.Errorf("%d unreported, %v", n, err)
	}
}

func TestS13_NothingIsSentForAnEmptySHA(t *testing.T) {
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

func TestStatusesAreNeverOutOfOrder(t *testing.T) {
	for dialect, address := range dbtest.Databases(t) {
		t.Run(dialect, func(t *testing.T) {
			d := newDeskOn(t, address)
			for _, kind := range kinds {
				p := d.place(kind, string(kind))
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
			}
		})
	}
}

func TestRetriesBackOff(t *testing.T) {
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			d := newDesk(t)
			p := d.place(kind, "site")
			p.forge.Fault(func(*http.Request) *forgetest.Fault { return &forgetest.Fault{Status: 500} })
			id := p.queue(p.first, p.workload)[0]
			for attempt := range 5 {
				before := time.Now()
				if answer, ok := errors.AsType[*app.StatusError](d.until(1)[0].err); !ok || answer.Code != 500 {
					t.Fatalf("answer %v", answer)
				}
				dep := d.deployment(id)
				// Each attempt is followed by due, which counts as one too.
				pause := 2 * time.Second << (2 * attempt)
				if least, most := before.Add(pause), time.Now().Add(pause); dep.ReportAfter.Before(least.Add(-time.Second)) || dep.ReportAfter.After(most) {
					t.Errorf("after %d failures the next attempt is in %v, want %v", 2*attempt+1, dep.ReportAfter.Sub(before), pause)
				}
				if dep.ReportAttempts != 2*attempt+1 || dep.Reported != "" {
					t.Errorf("row %+v", dep)
				}
				p.due(p.first)
			}
			p.forge.Fault(nil)
			d.live(d.start())
			d.until(1)
			p.wantStates(p.first, "success")
			if dep := d.deployment(id); dep.ReportAttempts != 0 || dep.Reported != db.StatusSuccess {
				t.Errorf("row %+v", dep)
			}
		})
	}
}

func TestTheSlowestPause(t *testing.T) {
	d := newDesk(t)
	p := d.place(forgetest.Gitea, "site")
	p.forge.Fault(func(*http.Request) *forgetest.Fault { return &forgetest.Fault{Status: 502} })
	id := p.queue(p.first, p.workload)[0]
	for range 100 {
		p.due(p.first)
	}
	d.until(1)
	if in := time.Until(d.deployment(id).ReportAfter); in > 10*time.Minute || in < 9*time.Minute {
		t.Errorf("the next attempt is in %v", in)
	}
	for range 100 {
		p.due(p.first)
	}
	d.until(1)
	if dep := d.deployment(id); dep.Reported != db.StatusPending || !strings.Contains(d.log.String(), "not tried again") {
		t.Errorf("tried for ever: %+v", dep)
	}
	p.forge.Fault(nil)
	d.live(d.start()) // what is new is told all the same
	d.until(1)
	p.wantStates(p.first, "success")
}

func TestPermanentAnswersEndTheAttempts(t *testing.T) {
	for _, kind := range kinds {
		for _, code := range []int{301, 307, 400, 401, 403, 404, 410, 422} {
			t.Run(fmt.Sprint(kind, " ", code), func(t *testing.T) {
				d := newDesk(t)
				p := d.place(kind, "site")
				p.forge.Fault(func(r *http.Request) *forgetest.Fault {
					if !strings.Contains(r.URL.Path, "/statuses/") {
						return nil
					}
					return &forgetest.Fault{Status: code, Location: "/elsewhere"}
				})
				id := p.queue(p.first, p.workload)[0]
				if answer, ok := errors.AsType[*app.StatusError](d.until(1)[0].err); !ok || answer.Code != code {
					t.Fatalf("answer %v", answer)
				}
				if dep := d.deployment(id); dep.Reported != db.StatusPending || dep.Phase != db.PhaseQueued || dep.ReportAttempts != 0 {
					t.Errorf("row %+v", dep)
				}
				if _, due, err := d.db.NextReport(t.Context()); due || err != nil {
					t.Errorf("the row is due, %v", err)
				}
				if !strings.Contains(d.log.String(), fmt.Sprintf("forge answered %d", code)) {
					t.Errorf("log:\n%s", d.log)
				}
				p.forge.Fault(nil)
				d.live(d.start())
				d.until(1)
				p.wantStates(p.first, "success")
			})
		}
	}
}

func TestAForgeSaysWhenToComeBack(t *testing.T) {
	for _, kind := range kinds {
		for _, code := range []int{429, 403, 503} {
			t.Run(fmt.Sprint(kind, " ", code), func(t *testing.T) {
				d := newDesk(t)
				p := d.place(kind, "site")
				p.forge.Fault(func(r *http.Request) *forgetest.Fault {
					if !strings.Contains(r.URL.Path, "/statuses/") {
						return nil
					}
					return &forgetest.Fault{Status: code, Header: http.Header{"Retry-After": {"1234"}}}
				})
				id := p.queue(p.first, p.workload)[0]
				d.until(1)
				dep := d.deployment(id)
				if in := time.Until(dep.ReportAfter); in > 1234*time.Second || in < 1200*time.Second || dep.Reported != "" {
					t.Errorf("the next attempt is in %v; row %+v", in, dep)
				}
			})
		}
	}
}

func TestTwoWorkloadsShareOneStatus(t *testing.T) {
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
	for dialect, address := range dbtest.Databases(t) {
		t.Run(dialect, func(t *testing.T) {
			d := newDeskOn(t, address)
			for _, kind := range kinds {
				p := d.place(kind, string(kind))
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
			}
		})
	}
}

func TestASilentForgeDelaysNoOther(t *testing.T) {
	for dialect, address := range dbtest.Databases(t) {
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

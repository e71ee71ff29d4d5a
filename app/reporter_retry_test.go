package app_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"tinyforge/app"
	"tinyforge/app/forgetest"
	"tinyforge/db"
)

func TestRetriesBackOff(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
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

// TestTheForgeIsBack: with the first status that a forge takes again, the others are told too, however long they were to wait.
func TestTheForgeIsBack(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	p, other := d.place(forgetest.Gitea, "site"), d.place(forgetest.Gitea, "other")
	second := p.commit()
	p.queue(p.first, p.workload)
	p.queue(second, p.workload)
	elsewhere := other.queue(other.first, other.workload)[0]
	later := time.Now().Add(time.Hour)
	must(t, d.db.DelayReport(t.Context(), db.CommitKey{RepositoryID: p.repo.ID, Commit: p.first}, later))
	must(t, d.db.DelayReport(t.Context(), db.CommitKey{RepositoryID: other.repo.ID, Commit: other.first}, later))
	p.due(second)
	d.until(2)
	if p.states(p.first) == "" || p.states(second) == "" {
		t.Errorf("the forge was told %q and %q", p.states(p.first), p.states(second))
	}
	if dep := d.deployment(elsewhere); dep.ReportAfter.Before(later.Add(-time.Second)) {
		t.Errorf("of another forge, which says nothing, it is told at %v", dep.ReportAfter)
	}
}

func TestTheSlowestPause(t *testing.T) {
	t.Parallel()
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
	t.Parallel()
	for _, kind := range kinds {
		for _, code := range []int{301, 307, 400, 401, 403, 404, 410, 422} {
			t.Run(fmt.Sprint(kind, " ", code), func(t *testing.T) {
				t.Parallel()
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
	t.Parallel()
	for _, kind := range kinds {
		for _, code := range []int{429, 403, 503} {
			t.Run(fmt.Sprint(kind, " ", code), func(t *testing.T) {
				t.Parallel()
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

// Two statuses of one commit at once are nobody's fault: the later one comes again.
func TestConflictsAreTriedAgain(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			p := d.place(kind, "site")
			p.forge.Fault(func(r *http.Request) *forgetest.Fault {
				if !strings.Contains(r.URL.Path, "/statuses/") {
					return nil
				}
				return &forgetest.Fault{Status: http.StatusConflict}
			})
			id := p.queue(p.first, p.workload)[0]
			d.until(1)
			if dep := d.deployment(id); dep.Reported != "" || dep.ReportAttempts != 1 {
				t.Errorf("row %+v", dep)
			}
			p.forge.Fault(nil)
			p.due(p.first)
			d.until(1)
			p.wantStates(p.first, "pending")
		})
	}
}

// A status that was set by a process which ended before it could note that is set again, and that is no failure on any forge.
func TestAStatusThatIsThereAlready(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			p := d.place(kind, "site")
			forge, err := d.forges.Open(t.Context(), p.row.ID)
			must(t, err)
			must(t, forge.SetStatus(t.Context(), p.repo, app.Status{Commit: p.first, State: db.StatusPending, Description: "Waiting for its turn"}))
			id := p.queue(p.first, p.workload)[0]
			if told := d.until(1)[0]; told.err != nil {
				t.Error(told.err)
			}
			if dep := d.deployment(id); dep.Reported != db.StatusPending || dep.ReportAttempts != 0 {
				t.Errorf("row %+v", dep)
			}
			d.live(d.start())
			d.until(1)
			if all := p.forge.Statuses("acme/site", p.first); all[len(all)-1].State != "success" {
				t.Errorf("there are %+v", all)
			}
		})
	}
}

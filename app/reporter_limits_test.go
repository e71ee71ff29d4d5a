package app_test

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tinyforge/app/forgetest"
	"tinyforge/db"
)

// limits are how forges say that they want nothing for an hour.
func limits(kind forgetest.Kind) map[string]forgetest.Fault {
	hour := time.Now().Add(time.Hour)
	all := map[string]forgetest.Fault{
		"seconds": {Status: 429, Header: http.Header{"Retry-After": {"3600"}}},
		"date":    {Status: 503, Header: http.Header{"Retry-After": {hour.UTC().Format(http.TimeFormat)}}},
	}
	if kind == forgetest.GitHub {
		all["primary"] = forgetest.Fault{Status: 403, Header: http.Header{
			"X-Ratelimit-Remaining": {"0"}, "X-Ratelimit-Reset": {strconv.FormatInt(hour.Unix(), 10)},
		}}
		all["secondary"] = forgetest.Fault{Status: 403, Header: http.Header{"Retry-After": {"3600"}},
			Body: `{"documentation_url":"https://docs.github.com/rest/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits"}`}
	}
	return all
}

// TestALimitIsHonoured: what is due beside the commits that met the limit waits too, and nothing else does.
func TestALimitIsHonoured(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		for name, fault := range limits(kind) {
			t.Run(fmt.Sprint(kind, " ", name), func(t *testing.T) {
				t.Parallel()
				d := newDesk(t)
				p := d.place(kind, "limited")
				var asked atomic.Int64
				p.forge.Fault(func(r *http.Request) *forgetest.Fault {
					if !strings.Contains(r.URL.Path, "/statuses/") {
						return nil
					}
					asked.Add(1)
					return &fault
				})
				const commits = 30
				for n := range commits {
					p.queue(fmt.Sprintf("%040x", n+1), p.addWorkload(fmt.Sprint("limited-", n), `{}`))
				}
				other := d.place(forgetest.Gitea, "other")
				for n := range commits { // of which it knows none, but it is asked
					other.queue(fmt.Sprintf("%040x", n+1), other.addWorkload(fmt.Sprint("other-", n), `{}`))
				}
				stop := d.report()
				for told := 0; told < commits; {
					if d.next().repository == other.repo.FullName {
						told++
					}
				}
				stop()
				if n := asked.Load(); n < 1 || n > 8 { // four at a time, of which the last ones may begin while the first are answered
					t.Errorf("the forge was asked %d times", n)
				}
				if n, err := d.db.CountUnreported(t.Context()); err != nil || n != 2*commits {
					t.Errorf("%d unreported, %v", n, err)
				}
			})
		}
	}
}

// TestALimitEnds: what waited is told when the time has come, without anything else that happens.
func TestALimitEnds(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	p := d.place(forgetest.Gitea, "limited")
	var limited atomic.Bool
	limited.Store(true)
	p.forge.Fault(func(r *http.Request) *forgetest.Fault {
		if strings.Contains(r.URL.Path, "/statuses/") && limited.Swap(false) {
			return &forgetest.Fault{Status: 429, Header: http.Header{"Retry-After": {"1"}}}
		}
		return nil
	})
	p.queue(p.first, p.workload)
	second := p.commit()
	p.queue(second, p.addWorkload("second", `{}`))
	d.report()
	for range 3 {
		d.next()
	}
	p.wantStates(p.first, "pending")
	p.wantStates(second, "pending")
}

// TestASuspensionEnds: what GitHub refused meanwhile is told when it lets us in again, on its word or on that of a listing.
func TestASuspensionEnds(t *testing.T) {
	t.Parallel()
	for name, unsuspend := range map[string]func(*place, db.Installation) error{
		"event": func(p *place, i db.Installation) error {
			return p.d.db.ApplyInstallationChange(t.Context(), db.InstallationChange{Installation: i})
		},
		"listing": func(p *place, i db.Installation) error { return p.d.db.SaveInstallation(t.Context(), &i) },
		"forge saved": func(p *place, _ db.Installation) error {
			row, err := p.d.db.Forge(t.Context(), p.row.ID)
			must(t, err)
			return p.d.db.ChangeForge(t.Context(), &row)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			p := d.place(forgetest.GitHub, "site")
			p.queue(p.first, p.workload)
			dep := d.start()
			d.until(1)
			p.wantStates(p.first, "pending")

			i, err := d.db.Installation(t.Context(), p.repo.InstallationID)
			must(t, err)
			must(t, p.forge.Suspend("acme"))
			i.Suspended = true
			must(t, d.db.SaveInstallation(t.Context(), &i))
			d.live(dep)
			d.until(1)
			if row := d.deployment(dep.ID); row.ReportError != "403" || row.Reported != row.Status {
				t.Errorf("refused: %+v", row)
			}

			must(t, p.forge.Unsuspend("acme"))
			i.Suspended = false
			must(t, unsuspend(p, i))
			d.until(1)
			p.wantStates(p.first, "pending success")
			if row := d.deployment(dep.ID); row.ReportError != "" || row.ReportSent != db.StatusSuccess {
				t.Errorf("told: %+v", row)
			}
			must(t, unsuspend(p, i))
			if n, err := d.db.CountUnreported(t.Context()); err != nil || n != 0 {
				t.Errorf("%d are due again, %v", n, err)
			}
		})
	}
}

// TestWhatWasBegunIsToldToItsEnd: a workload that stops to report, or goes, leaves no commit pending.
func TestWhatWasBegunIsToldToItsEnd(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*place) error{
		"reports no more": func(p *place) error {
			p.workload.Config = []byte(`{"report_commit_status":false}`)
			return p.d.db.SaveWorkload(t.Context(), &p.workload)
		},
		"is deleted": func(p *place) error { return p.d.db.DeleteWorkload(t.Context(), p.workload.ID, false) },
	} {
		for _, phase := range []db.Phase{db.PhaseQueued, db.PhaseStarting} {
			t.Run(name+" when "+string(phase), func(t *testing.T) {
				t.Parallel()
				d := newDesk(t)
				p := d.place(forgetest.GitLab, "site")
				id := p.queue(p.first, p.workload)[0]
				d.until(1)
				var dep *db.Deployment
				if phase != db.PhaseQueued {
					dep = d.start()
				}
				must(t, change(p))
				if dep == nil && name == "reports no more" {
					dep = d.start()
				}
				if dep != nil {
					d.fail(dep, "It broke.")
				}
				d.until(1)
				if last := p.last(p.first); last.State != "failure" {
					t.Errorf("left %+v", last)
				}
				if row := d.deployment(id); row.ReportSent != db.StatusFailure {
					t.Errorf("row %+v", row)
				}
				gone, err := d.db.PurgeWorkload(t.Context(), p.workload.ID)
				if err != nil || gone != (name == "is deleted") {
					t.Errorf("purged: %t, %v", gone, err)
				}
			})
		}
	}
}

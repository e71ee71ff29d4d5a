package db_test

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/uptrace/bun"

	"tinyforge/db"
)

// statements keeps what was sent to the database.
type statements struct{ list []string }

func (*statements) BeforeQuery(ctx context.Context, _ *bun.QueryEvent) context.Context { return ctx }

func (s *statements) AfterQuery(_ context.Context, e *bun.QueryEvent) {
	if word, _, _ := strings.Cut(e.Query, " "); strings.Contains("SELECT UPDATE DELETE", word) {
		s.list = append(s.list, e.Query)
	}
}

// whole finds a plan's line that reads all of a large table. Partial indexes hold only what is still to be done.
var whole = regexp.MustCompile(`(SCAN|Seq Scan on) "?(deployments?|other|next|later|log_lines?|deliver(y|ies))\b`)

var partial = regexp.MustCompile(`deployments_(unfinished|unreported|due|queued|in_progress)`)

func TestNoStatementReadsAWholeTable(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		dep := f.tenThousand()
		for name, call := range map[string]func(d *db.DB) error{
			"claim":        func(d *db.DB) error { _, err := d.Claim(t.Context(), "worker", over); return err },
			"break leases": func(d *db.DB) error { _, err := d.BreakLeases(t.Context()); return err },
			"in progress":  func(d *db.DB) error { _, err := d.InProgress(t.Context(), f.read(dep).WorkloadID); return err },
			"unsettled":    func(d *db.DB) error { _, err := d.Unsettled(t.Context()); return err },
			"due reports":  func(d *db.DB) error { _, err := d.DueReports(t.Context(), 10); return err },
			"next report":  func(d *db.DB) error { _, _, err := d.NextReport(t.Context()); return err },
			"of a commit":  func(d *db.DB) error { _, err := d.DeploymentsOfCommit(t.Context(), f.key("17")); return err },
			"mark reported": func(d *db.DB) error {
				return d.MarkReported(t.Context(), f.key("17"), []db.Deployment{f.read(dep)})
			},
			"delay report": func(d *db.DB) error { return d.DelayReport(t.Context(), f.key("17"), time.Now()) },
			"hasten reports": func(d *db.DB) error {
				return d.HastenReports(t.Context(), db.Way{ForgeID: f.forge.ID})
			},
			"log":        func(d *db.DB) error { _, err := d.Log(t.Context(), dep, 5000, 100); return err },
			"newest":     func(d *db.DB) error { _, err := d.DeploymentsOf(t.Context(), f.read(dep).WorkloadID, 20); return err },
			"retention":  func(d *db.DB) error { _, err := d.Retention(t.Context(), 3); return err },
			"prune logs": func(d *db.DB) error { _, err := d.PruneLogs(t.Context(), time.Now().Add(-time.Hour)); return err },
			"renew": func(d *db.DB) error {
				return ignoreLost(d.Renew(t.Context(), &db.Deployment{ID: dep, LeaseOwner: "none"}, lease))
			},
			"push": func(d *db.DB) error {
				del := f.delivery(main, "some", "other")
				_, err := d.Enqueue(t.Context(), &del, deploy(main, "other", f.workload))
				return err
			},
		} {
			t.Run(name, func(t *testing.T) {
				var sent statements
				if err := call(f.Spied(&sent)); err != nil && !strings.Contains(err.Error(), "not found") {
					t.Fatal(err)
				}
				if len(sent.list) == 0 {
					t.Fatal("no statement seen")
				}
				for _, query := range sent.list {
					plan := f.plan(t, query)
					for line := range strings.Lines(plan) {
						if whole.MatchString(line) && !partial.MatchString(line) {
							t.Errorf("reads a whole table: %s\n%s\n%s", strings.TrimSpace(line), query, plan)
						}
					}
				}
			})
		}
	})
}

// TestCountsReadNoRows: every phase is counted, and on SQLite by indexes that have no more than is counted.
func TestCountsReadNoRows(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		dep := f.tenThousand()
		want, err := f.CountDeployments(t.Context())
		f.check(err)
		if want[db.PhaseRetired] < 10_000 {
			t.Fatalf("counts are %v", want)
		}
		for n, phase := range []db.Phase{db.PhaseLive, db.PhaseFailed, db.PhaseSuperseded, db.PhaseSkipped, db.PhaseCancelled} {
			_, err := f.Bun().NewUpdate().Table("deployments").Set("phase = ?", phase).Where("id = ?", dep+int64(n)).Exec(t.Context())
			f.check(err)
			want[phase]++
			want[db.PhaseRetired]--
		}
		var sent statements
		got, err := f.Spied(&sent).CountDeployments(t.Context())
		f.check(err)
		if !maps.Equal(got, want) {
			t.Errorf("counts are %v, want %v", got, want)
		}
		if f.postgres() { // it reads so few rows as fast as their index
			return
		}
		for line := range strings.Lines(f.plan(t, sent.list[0])) {
			if whole.MatchString(line) && !strings.Contains(line, "COVERING INDEX deployments_finished") && !partial.MatchString(line) {
				t.Errorf("reads a whole table: %s", line)
			}
		}
	})
}

func ignoreLost(err error) error {
	if err != nil && strings.HasSuffix(err.Error(), db.ErrLeaseLost.Error()) {
		return nil
	}
	return err
}

// tenThousand fills the tables with a past and returns a deployment with a long log.
func (f *fixture) tenThousand() int64 {
	f.t.Helper()
	const rows, batch = 10_000, 1_000
	t := time.Now().UTC()
	insert := func(list any) {
		f.t.Helper()
		_, err := f.Bun().NewInsert().Model(list).Exec(f.t.Context())
		f.check(err)
	}
	var workloads []db.Workload
	for i := range 20 {
		workloads = append(workloads, f.newWorkload(fmt.Sprintf("w%d", i)))
	}
	var first int64
	for from := 0; from < rows; from += batch {
		deliveries, deployments, lines := make([]db.Delivery, batch), make([]db.Deployment, batch), make([]db.LogLine, batch)
		for i := range batch {
			n := from + i
			deliveries[i] = db.Delivery{ForgeID: f.forge.ID, ExternalID: fmt.Sprint("old", n), Event: "push", RepositoryID: f.repo.ID,
				Ref: fmt.Sprint("refs/heads/", n%100), Before: hash(fmt.Sprint(n - 100)), After: hash(fmt.Sprint(n)), Accepted: true}
			deployments[i] = db.Deployment{WorkloadID: workloads[n%len(workloads)].ID, RepositoryID: f.repo.ID, Ref: main, Commit: hash(fmt.Sprint(n)),
				Phase: db.PhaseRetired, Status: db.StatusSuccess, Reported: db.StatusSuccess, ReportAfter: t, CreatedAt: t, UpdatedAt: t}
		}
		insert(&deliveries)
		insert(&deployments)
		first = deployments[0].ID
		for i := range batch {
			lines[i] = db.LogLine{DeploymentID: deployments[i%10].ID, Phase: db.PhaseBuilding, At: t, Text: "hello"}
		}
		insert(&lines)
	}
	for i, w := range workloads {
		f.enqueue(f.delivery(fmt.Sprint("refs/tags/", i), "", fmt.Sprint("t", i)), deploy(main, fmt.Sprint("t", i), w)...)
	}
	if f.postgres() {
		f.exec("ANALYZE") // which the server does by itself, later
	}
	return first
}

// plan is how the database runs a statement.
func (f *fixture) plan(t *testing.T, query string) string {
	t.Helper()
	explain := "EXPLAIN QUERY PLAN "
	if f.postgres() {
		explain = "EXPLAIN "
	}
	rows, err := f.Bun().DB.QueryContext(t.Context(), explain+query)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	var plan strings.Builder
	for rows.Next() {
		var line string
		dest := []any{&line}
		if !f.postgres() {
			dest = []any{new(int), new(int), new(int), &line}
		}
		if err := rows.Scan(dest...); err != nil {
			t.Fatal(err)
		}
		plan.WriteString(line + "\n")
	}
	if err := rows.Err(); err != nil || plan.Len() == 0 {
		t.Fatalf("%s: no plan: %v", query, err)
	}
	return plan.String()
}

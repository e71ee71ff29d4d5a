package settings_test

import (
	"database/sql"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"tinyforge/db"
)

// large gives a shop 999 siblings, and all of them 100 deployments each, most of them done.
func large(t testing.TB, s *shop, live *db.Deployment) {
	pool, err := sql.Open("sqlite", strings.TrimPrefix(s.address, "sqlite://")+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = pool.Close() }()
	copies := "ref, message, author, cause, strategy, strategy_reason, error, tail, superseded_by, sealed, lease_owner, attempt, cancelled, " +
		"report_attempts, report_after, report_error, entered, served, refused, created_at, started_at, finished_at, updated_at"
	numbers := "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) "
	for _, statement := range []string{
		fmt.Sprintf(numbers, 999) + `INSERT INTO workloads (name, repository_id, source, ref_pattern, paths, host, enabled, sealed, volumes_too, created_at, updated_at)
			SELECT 'shop-' || i, repository_id, source, ref_pattern, paths, 'shop-' || i || '.example.com', enabled, sealed, volumes_too, created_at, updated_at FROM workloads, n`,
		fmt.Sprintf(numbers, 99) + `INSERT INTO deployments (workload_id, repository_id, commit_hash, phase, status, reported, ` + copies + `)
			SELECT w.id, d.repository_id, lower(hex(randomblob(20))), CASE i % 10 WHEN 3 THEN 'failed' WHEN 7 THEN 'superseded' ELSE 'retired' END, 'success', 'success', ` +
			"d." + strings.ReplaceAll(copies, ", ", ", d.") + fmt.Sprintf(` FROM n, workloads w, deployments d WHERE d.id = %d ORDER BY i, w.id`, live.ID),
		`INSERT INTO deployments (workload_id, repository_id, commit_hash, phase, status, reported, ` + copies + `)
			SELECT w.id, d.repository_id, lower(hex(randomblob(20))), 'live', 'success', 'success', ` +
			"d." + strings.ReplaceAll(copies, ", ", ", d.") + fmt.Sprintf(` FROM workloads w, deployments d WHERE d.id = %d AND w.id <> d.workload_id`, live.ID),
		fmt.Sprintf(`INSERT INTO runtime_states (workload_id, deployment_id, release_id, commit_hash, sealed, updated_at)
			SELECT d.workload_id, d.id, 'tf-' || d.id, d.commit_hash, s.sealed, s.updated_at FROM deployments d, runtime_states s WHERE d.phase = 'live' AND s.deployment_id = %d AND d.id <> %d`, live.ID, live.ID),
	} {
		if _, err := pool.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
}

// BenchmarkPages asks for pages with 1,000 workloads and 100,000 deployments, one of which has a log of 20,000 lines. ns/op is
// of one request; p95-ms is the 95th percentile.
func BenchmarkPages(b *testing.B) {
	s, _ := newRunningShop(b)
	first, live := s.live("A", "First"), s.live("B", "Корзина считает скидку")
	failed := s.failed("C", "Break it")
	var texts []string
	for i := range 20_000 {
		texts = append(texts, fmt.Sprintf("#%d [build 3/7] RUN go build ./... with some words of a usual length", i))
	}
	s.log(failed, texts...)
	large(b, s, live)
	visitor := s.owner()
	for _, path := range []string{"/workloads", "/workloads?q=shop-77", "/workloads?state=failed", "/workloads?page=7", "/workloads/shop", "/workloads/shop-500",
		"/workloads/shop-500/deployments", "/workloads/shop-500/deployments?state=failed&ref=main", "/workloads/shop-500/deployments?ref=none",
		s.path(live.ID), s.path(failed.ID), s.path(failed.ID) + "?from=9000", s.path(failed.ID) + "?q=19999", fmt.Sprintf("/workloads/shop/rollback?to=%d", first.ID),
		fmt.Sprintf("/deployments/%d", live.ID), "/workloads/shop/settings", "/workloads/new", "/workloads/shop/delete", "/forges", "/forges/1", "/start", "/settings",
		"/settings/users", "/settings/sessions", "/settings/retention", "/audit", "/about"} {
		b.Run(strings.ReplaceAll(path, "/", "|"), func(b *testing.B) {
			var took []time.Duration
			for b.Loop() {
				begun := time.Now()
				p := visitor.get(path)
				took = append(took, time.Since(begun))
				if p.StatusCode != http.StatusOK && p.StatusCode != http.StatusSeeOther {
					b.Fatalf("%s: %d", path, p.StatusCode)
				}
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)*95/100].Microseconds())/1000, "p95-ms")
		})
	}
}

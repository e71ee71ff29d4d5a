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
	copies := "delivery_id, ref, message, author, cause, strategy, strategy_reason, error, tail, superseded_by, sealed, lease_owner, attempt, cancelled, " +
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

// TestPagesAreFast: with 1,000 workloads and 100,000 deployments no page takes long. What is measured is with -v; the bound
// is one that a slow machine keeps.
func TestPagesAreFast(t *testing.T) {
	s, _ := newRunningShop(t)
	first, live := s.live("A", "First"), s.live("B", "Корзина считает скидку")
	failed := s.failed("C", "Break it")
	var texts []string
	for i := range 20_000 {
		texts = append(texts, fmt.Sprintf("#%d [build 3/7] RUN go build ./... with some words of a usual length", i))
	}
	s.log(failed, texts...)
	large(t, s, live)
	b := s.owner()
	for _, path := range []string{"/workloads", "/workloads?q=shop-77", "/workloads?state=failed", "/workloads?page=7", "/workloads/shop", "/workloads/shop-500",
		"/workloads/shop-500/deployments", "/workloads/shop-500/deployments?state=failed&ref=main", "/workloads/shop-500/deployments?ref=none",
		s.path(live.ID), s.path(failed.ID), s.path(failed.ID) + "?from=9000", s.path(failed.ID) + "?q=19999", fmt.Sprintf("/workloads/shop/rollback?to=%d", first.ID),
		fmt.Sprintf("/deployments/%d", live.ID)} {
		var took []time.Duration
		size := 0
		for range 21 {
			begun := time.Now()
			p := b.get(path)
			took = append(took, time.Since(begun))
			if size = len(p.body); p.StatusCode != http.StatusOK && p.StatusCode != http.StatusSeeOther {
				t.Fatalf("%s: %d", path, p.StatusCode)
			}
		}
		slices.Sort(took)
		t.Logf("%-60s median %6.1f ms, 95th percentile %6.1f ms, %d kB", path, ms(took[10]), ms(took[19]), size/1000)
		if took[10] > 500*time.Millisecond {
			t.Errorf("%s takes %s", path, took[10])
		}
	}
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

package settings_test

import (
	"database/sql"
	"io"
	"net/http"
	"strings"
	"testing"

	"tinyforge/db"
)

// TestAuditOfDeployments: what was done with a deployment leads to it.
func TestAuditOfDeployments(t *testing.T) {
	s := newShop(newWorld(t))
	b := s.owner()
	b.post("/workloads/shop/deploy").leads(t, s.path(1))
	b.get("/audit").is(t, http.StatusOK, `<a href="/deployments/1">shop</a>`)
	b.get("/deployments/1").leads(t, s.path(1))
}

// TestAuditExportIsWhole: a file that could not be read to its end is none.
func TestAuditExportIsWhole(t *testing.T) {
	w := newWorld(t)
	b := w.owner()
	must(t, w.db.Audit(t.Context(), db.AuditEntry{Actor: "ann", Action: "workload.first", Subject: "shop"}))
	pool, err := sql.Open("sqlite", strings.TrimPrefix(w.address, "sqlite://")+"?_pragma=busy_timeout(10000)")
	must(t, err)
	defer func() { _ = pool.Close() }()
	_, err = pool.ExecContext(t.Context(), `INSERT INTO audit_entries (at, actor, address, kind, action, subject, detail)
		WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 1500) SELECT '2026-01-02 03:04:05', 'ann', '', 'workload', 'workload.saved', 'shop', '' FROM n`)
	must(t, err)
	if p := b.get("/audit.csv?what=workload"); strings.Count(p.body, "\n") != 1502 {
		t.Errorf("%d lines", strings.Count(p.body, "\n"))
	}
	_, err = pool.ExecContext(t.Context(), "UPDATE audit_entries SET at = 'no time' WHERE action = 'workload.first'")
	must(t, err)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.server.URL+"/audit.csv?what=workload", nil)
	must(t, err)
	res, err := b.client.Do(req)
	must(t, err)
	defer func() { _ = res.Body.Close() }()
	if body, err := io.ReadAll(res.Body); err == nil {
		t.Errorf("%d lines look whole", strings.Count(string(body), "\n"))
	}
}

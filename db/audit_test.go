package db_test

import (
	"fmt"
	"testing"
	"time"

	"tinyforge/db"
)

func TestAudit(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		for i := range 5 {
			action := []string{"workload.saved", "workloads.other", "user.added"}[i%3]
			f.check(f.Audit(ctx, db.AuditEntry{Actor: "ann\x00", Action: action, Subject: fmt.Sprint(i), Detail: "name", Address: "192.0.2.1"}))
		}
		all, err := f.AuditEntries(ctx, "", 0, 3)
		f.check(err)
		if len(all) != 3 || all[0].Subject != "4" || all[0].Actor != "ann" || all[0].At.Location() != time.UTC || time.Since(all[0].At) > time.Minute {
			t.Fatalf("entries %+v", all)
		}
		rest, err := f.AuditEntries(ctx, "", all[2].ID, 3)
		f.check(err)
		if len(rest) != 2 || rest[0].Subject != "1" {
			t.Errorf("rest %+v", rest)
		}
		kind, err := f.AuditEntries(ctx, "workload", 0, 10)
		f.check(err)
		if len(kind) != 2 || kind[0].Subject != "3" || kind[0].Kind != "workload" {
			t.Errorf("of workloads %+v", kind)
		}
		f.exec("UPDATE audit_entries SET at = ? WHERE id < ?", time.Now().UTC().Add(-366*24*time.Hour), all[2].ID)
		f.check(f.PruneAudit(ctx))
		if n := f.count("audit_entries", "TRUE"); n != 3 {
			t.Errorf("%d are kept", n)
		}
	})
}

package db_test

import (
	"testing"
	"time"

	"github.com/uptrace/bun"

	"tinyforge/db"
)

func TestTimesAreUTC(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		began := time.Now().Add(-time.Minute)
		if f.postgres() { // a server somewhere else
			var name string
			f.check(f.Bun().QueryRowContext(t.Context(), "SELECT current_database()").Scan(&name))
			f.exec("ALTER DATABASE ? SET timezone = 'Asia/Tokyo'", bun.Ident(name))
		}
		f.DB = f.again()
		inst := db.Installation{ForgeID: f.forge.ID, ExternalID: 5}
		f.check(f.SaveInstallation(t.Context(), &inst))
		dep := f.live("", "A")
		f.check(f.AppendLog(t.Context(), db.LogLine{DeploymentID: dep.ID, At: time.Now(), Text: "hello"}))
		f.queued("A", "B")
		claimed := f.claim()
		f.check(f.SaveForge(t.Context(), &f.forge))
		f.check(f.SaveRepository(t.Context(), &f.repo))
		f.check(f.SaveWorkload(t.Context(), &f.workload))
		f.check(f.DeleteWorkload(t.Context(), f.newWorkload("other").ID, false))

		forge, err := f.Forge(t.Context(), f.forge.ID)
		f.check(err)
		repo, err := f.Repository(t.Context(), f.repo.ID)
		f.check(err)
		inst, err = f.Installation(t.Context(), inst.ID)
		f.check(err)
		workloads, err := f.Workloads(t.Context())
		f.check(err)
		stored, leased := f.read(dep.ID), f.read(claimed.ID)
		states, err := f.RuntimeStates(t.Context())
		f.check(err)
		lines, err := f.Log(t.Context(), dep.ID, 0, 1)
		f.check(err)
		due, _, err := f.NextReport(t.Context())
		f.check(err)

		for name, at := range map[string]time.Time{
			"Forge.CreatedAt": forge.CreatedAt, "Forge.UpdatedAt": forge.UpdatedAt, "saved Forge.CreatedAt": f.forge.CreatedAt,
			"Repository.CreatedAt": repo.CreatedAt, "Repository.UpdatedAt": repo.UpdatedAt, "saved Repository.CreatedAt": f.repo.CreatedAt,
			"Installation.CreatedAt": inst.CreatedAt, "Installation.UpdatedAt": inst.UpdatedAt,
			"Workload.CreatedAt": workloads[0].CreatedAt, "Workload.UpdatedAt": workloads[0].UpdatedAt,
			"Workload.DeletedAt": *workloads[0].DeletedAt, "saved Workload.CreatedAt": f.workload.CreatedAt,
			"Deployment.CreatedAt": stored.CreatedAt, "Deployment.StartedAt": stored.StartedAt, "Deployment.UpdatedAt": stored.UpdatedAt,
			"Deployment.FinishedAt": stored.FinishedAt, "Deployment.ReportAfter": stored.ReportAfter,
			"Deployment.LeaseUntil": leased.LeaseUntil, "claimed CreatedAt": claimed.CreatedAt, "claimed LeaseUntil": claimed.LeaseUntil,
			"RuntimeState.UpdatedAt": states[0].UpdatedAt, "LogLine.At": lines[0].At, "NextReport": due,
		} {
			if at.Location() != time.UTC {
				t.Errorf("%s is in %v", name, at.Location())
			}
			if at.Before(began) || at.After(time.Now().Add(2*lease)) {
				t.Errorf("%s is %v", name, at)
			}
		}
		if !leased.LeaseUntil.Equal(claimed.LeaseUntil) || !stored.FinishedAt.Equal(dep.FinishedAt) {
			t.Error("times change when they are stored")
		}
		if d := stored.Duration(); d < 0 || d > time.Minute {
			t.Errorf("took %v", d)
		}
	})
}

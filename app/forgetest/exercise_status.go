package forgetest

import (
	"errors"
	"net/http"
	"strings"

	"tinyforge/app"
	"tinyforge/db"
)

// statuses sets the statuses of a deployment.
func (e *exercise) statuses() {
	commit := e.first()
	pending := app.Status{
		Commit: commit, State: db.StatusPending, Description: "Building", TargetURL: "https://deploy.example.com/d/1",
	}
	e.must(e.forge.SetStatus(e.ctx, e.row(), pending))
	success := pending
	success.State, success.Description = db.StatusSuccess, "Live in 14 s"
	for range 2 {
		e.must(e.forge.SetStatus(e.ctx, e.row(), success))
	}
	e.checkStatuses(commit, pending, success)

	failed := app.Status{Commit: commit, State: db.StatusFailure, Description: "Größe <&> “quoted”"}
	e.must(e.forge.SetStatus(e.ctx, e.row(), failed))
	e.checkStatuses(commit, pending, success, failed)

	long := failed
	long.Description = strings.Repeat("ö", 300)
	e.must(e.forge.SetStatus(e.ctx, e.row(), long))
	all := e.s.Statuses(e.full, commit)
	if last := all[len(all)-1]; !strings.HasPrefix(last.Description, "öööö") {
		e.Errorf("a long description became %q", last.Description)
	}
	e.unknownCommits()
}

// checkStatuses checks what the forge has, repetitions aside.
func (e *exercise) checkStatuses(commit string, want ...app.Status) {
	e.Helper()
	var got []Status
	for _, st := range e.s.Statuses(e.full, commit) {
		if last := len(got) - 1; last >= 0 && got[last].State == st.State && got[last].Description == st.Description {
			continue
		}
		got = append(got, st)
	}
	if len(got) != len(want) {
		e.Fatalf("the forge has %+v, want %+v", got, want)
	}
	for i, st := range got {
		e.check("context", st.Context, app.StatusContext)
		e.check("state", st.State, string(want[i].State))
		e.check("description", st.Description, want[i].Description)
		e.check("target URL", st.TargetURL, want[i].TargetURL)
	}
}

// unknownCommits must not be answered with success.
func (e *exercise) unknownCommits() {
	e.Helper()
	for _, commit := range []string{zeroID, strings.Repeat("a", 40)} {
		err := e.forge.SetStatus(e.ctx, e.row(), app.Status{Commit: commit, State: db.StatusSuccess})
		if _, ok := errors.AsType[*app.StatusError](err); !ok {
			e.Errorf("status of unknown commit %s: %v, want a StatusError", commit, err)
		}
	}
	gone := e.row()
	gone.ExternalID, gone.FullName = gone.ExternalID+1000, "acme/nothing"
	err := e.forge.SetStatus(e.ctx, gone, app.Status{Commit: strings.Repeat("a", 40), State: db.StatusSuccess})
	if status, ok := errors.AsType[*app.StatusError](err); !ok || status.Code != http.StatusNotFound || !status.Permanent() {
		e.Errorf("status in an unknown repository: %v, want 404", err)
	}
}

// renamed sets a status under the former name, also when another repository has that by now: it goes by the repository's id.
func (e *exercise) renamed() {
	commit := e.first()
	former := e.row()
	e.full = "acme/renamed"
	e.must(e.s.Rename(former.FullName, e.full))
	e.must(e.forge.SetStatus(e.ctx, former, app.Status{Commit: commit, State: db.StatusSuccess, Description: "Live"}))
	if all := e.s.Statuses(e.full, commit); len(all) != 1 {
		e.Errorf("after a rename the forge has %+v", all)
	}
	_, err := e.s.CreateRepository(former.FullName, true)
	e.must(err)
	e.must(e.forge.SetStatus(e.ctx, former, app.Status{Commit: commit, State: db.StatusFailure, Description: "Failed"}))
	e.must(e.forge.SetStatus(e.ctx, e.row(), app.Status{Commit: commit, State: db.StatusSuccess, Description: "Live again"}))
	if all := e.s.Statuses(e.full, commit); len(all) != 3 {
		e.Errorf("beside another repository under the former name the forge has %+v", all)
	}
}

package settings

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"tinyforge/db"
	"tinyforge/templates"
)

// editedWorkload is the one that the address names, unless it is deleted.
func (v *visit) editedWorkload() (db.Workload, db.Repository, error) {
	name := v.r.PathValue("name")
	w, err := v.DB.WorkloadByName(v.r.Context(), name)
	if errors.Is(err, db.ErrNotFound) {
		return w, db.Repository{}, v.noWorkload(name)
	}
	if err != nil {
		return w, db.Repository{}, err
	}
	repo, err := v.DB.Repository(v.r.Context(), w.RepositoryID)
	return w, repo, err
}

// noWorkload is the answer where there is no workload of a name. It names those that may have been meant.
func (v *visit) noWorkload(name string) error {
	all, err := v.DB.Standings(v.r.Context())
	if err != nil {
		return err
	}
	var names []string
	for _, s := range all {
		names = append(names, s.Name)
	}
	return &answer{http.StatusNotFound, templates.Message{Key: "http.404_workload", Values: []any{"name", name}}, similarNames(name, names)}
}

func (v *visit) workloadSettings() error {
	w, repo, err := v.editedWorkload()
	if err != nil {
		return err
	}
	f := formOf(w, repo)
	if v.r.URL.Query().Get("view") == "json" {
		f.json = true
		f.Values.Set("view", "json")
		f.Values.Set("config", indented([]byte(f.Get("config_base"))))
	}
	return v.showWorkloadForm(http.StatusOK, f, nil)
}

// workloadEnv is where the variables are: a part of the settings.
func (v *visit) workloadEnv() error {
	w, _, err := v.editedWorkload()
	if err != nil {
		return err
	}
	http.Redirect(v.w, v.r, "/workloads/"+w.Name+"/settings#f-env", http.StatusFound)
	return nil
}

func (v *visit) saveWorkload() error {
	form, err := v.form()
	if err != nil {
		return err
	}
	saved, repo, err := v.editedWorkload()
	if err != nil {
		return err
	}
	f, w, done, err := v.sentWorkload(form, repo, saved)
	if done {
		return err
	}
	err = v.DB.ChangeWorkload(v.r.Context(), &w)
	switch {
	case errors.Is(err, db.ErrStale):
		return v.stale(f, w, repo)
	case errors.Is(err, db.ErrNotFound):
		return v.noWorkload(saved.Name)
	case errors.Is(err, db.ErrHostTaken):
		f.hostTaken(w, err)
		return v.wrongWorkload(f)
	case err != nil:
		return err
	}
	changes := differences(w, saved)
	fields, later := v.changed(changes)
	if err := v.audit("workload.saved", w.Name, strings.Join(fields, ", ")); err != nil {
		return err
	}
	said := templates.Message{Key: "flash.saved"}
	if form.Get("op") == "deploy" {
		return v.deployHead(w, repo, said)
	}
	if len(later) > 0 {
		_, err := v.DB.RuntimeState(v.r.Context(), w.ID)
		if err != nil && !errors.Is(err, db.ErrNotFound) {
			return err
		}
		if err == nil {
			said = templates.Message{Key: "flash.saved_need_deploy", Values: []any{"fields", v.List(later)}}
		}
	}
	return v.redirect("/workloads/"+w.Name+"/settings", said)
}

// changed are the fields that changed: their names, as they are written down, and the texts of those that take effect with
// the next deployment.
func (v *visit) changed(all []difference) (fields, later []string) {
	for _, d := range all {
		name := strings.TrimSuffix(strings.TrimPrefix(d.Label, "f."), ".label")
		text := v.say(d.Label)
		if d.Name != "" {
			name, text = d.Name, d.Name
		}
		if fields = append(fields, name); d.Deploy && !slices.Contains(later, text) {
			later = append(later, text)
		}
	}
	return fields, later
}

// stale answers a form that was saved in the meantime. What is saved already, by the same form or another, is not saved again,
// and not deployed again when it was since.
func (v *visit) stale(f *workloadForm, mine db.Workload, repo db.Repository) error {
	theirs, err := v.DB.Workload(v.r.Context(), mine.ID)
	if err != nil {
		return err
	}
	said := templates.Message{Key: "flash.saved"}
	switch different := differences(mine, theirs); {
	case len(different) > 0:
		return v.conflict(f, theirs, different)
	case f.Get("op") != "deploy":
		return v.redirect("/workloads/"+theirs.Name+"/settings", said)
	}
	newest, err := v.DB.DeploymentsOf(v.r.Context(), theirs.ID, 1)
	if err != nil {
		return err
	}
	if len(newest) > 0 && newest[0].CreatedAt.After(theirs.UpdatedAt) {
		return v.redirect(deploymentPath(theirs, newest[0].ID), said)
	}
	return v.deployHead(theirs, repo, said)
}

// conflict shows the form again, with what somebody else has saved in the meantime beside what is in it. Sent once more, it
// wins.
func (v *visit) conflict(f *workloadForm, theirs db.Workload, different []difference) error {
	f.saved = theirs
	f.Values.Set("version", version(theirs))
	setEnv(f.Form, f.rows, 3)
	f.Fail("version", "err.conflict", "when", v.Ago(theirs.UpdatedAt))
	return v.showWorkloadForm(http.StatusConflict, f, func(p *workloadFormPage) { p.Conflicts = different })
}

func (v *visit) pauseWorkload() error {
	return v.enableWorkload(false, "workload.paused", "flash.workload.paused")
}
func (v *visit) resumeWorkload() error {
	return v.enableWorkload(true, "workload.resumed", "flash.workload.resumed")
}

func (v *visit) enableWorkload(enabled bool, action, said string) error {
	w, _, err := v.editedWorkload()
	if err != nil {
		return err
	}
	if err := v.DB.EnableWorkload(v.r.Context(), w.ID, enabled); err != nil {
		return err
	}
	if err := v.audit(action, w.Name, ""); err != nil {
		return err
	}
	return v.redirect("/workloads/"+w.Name, templates.Message{Key: said})
}

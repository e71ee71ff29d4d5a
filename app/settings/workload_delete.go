package settings

import (
	"errors"
	"net/http"

	"tinyforge/db"
	"tinyforge/templates"
)

// deletePage is where somebody confirms that a workload is deleted.
type deletePage struct {
	Form     *templates.Form
	Workload db.Workload
	Hosts    []string
	Volumes  []string // of what is live; a stack's are not known by name
	Stack    bool
	Label    templates.Message // of the field for the name
	Runs     bool
}

func (v *visit) deleteWorkloadForm() error {
	w, _, err := v.editedWorkload()
	if err != nil {
		return err
	}
	return v.showDelete(w, filled("delete_volumes", "off"))
}

func (v *visit) showDelete(w db.Workload, form *templates.Form) error {
	page := deletePage{Form: form, Workload: w, Hosts: w.Hosts(), Label: templates.Message{Key: "f.name.label", Values: []any{"name", w.Name}}}
	live, err := v.DB.RuntimeState(v.r.Context(), w.ID)
	switch {
	case errors.Is(err, db.ErrNotFound):
	case err != nil:
		return err
	default:
		page.Runs, page.Stack = true, live.Release.Stack != nil
		for _, volume := range live.Release.Volumes {
			page.Volumes = append(page.Volumes, volume.Name)
		}
	}
	title := v.say("title.delete", "name", w.Name)
	f := frame{Title: title, Section: "workloads", Crumbs: []crumb{{v.say("nav.workloads"), "/workloads"}, {w.Name, "/workloads/" + w.Name},
		{v.say("nav.settings"), "/workloads/" + w.Name + "/settings"}, {Text: v.say("act.delete")}}}
	if form.Valid() {
		return v.render(http.StatusOK, "workload-form/delete", f, page)
	}
	return v.invalid("workload-form/delete", f, form, page)
}

func (v *visit) deleteWorkload() error {
	form, err := v.form()
	if err != nil {
		return err
	}
	w, _, err := v.editedWorkload()
	if err != nil {
		return err
	}
	if form.Get("name") != w.Name {
		form.Fail("name", "err.confirm_name", "name", w.Name)
	}
	if !form.Valid() {
		return v.showDelete(w, form)
	}
	volumes := form.Is("delete_volumes", "on")
	if err := v.DB.DeleteWorkload(v.r.Context(), w.ID, volumes); err != nil {
		return err
	}
	detail, said := "", "flash.workload_deleted"
	if volumes {
		detail, said = "volumes", "flash.workload_deleted_volumes"
	}
	if err := v.audit("workload.deleted", w.Name, detail); err != nil {
		return err
	}
	return v.redirect("/workloads", templates.Message{Key: said, Values: []any{"name", w.Name}})
}

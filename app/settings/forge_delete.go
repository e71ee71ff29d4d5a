package settings

import (
	"context"
	"errors"
	"net/http"

	"tinyforge/app"
	"tinyforge/db"
	"tinyforge/templates"
)

// deleteForgePage asks for the name of a forge that is to go, or says what needs it.
type deleteForgePage struct {
	Form      *templates.Form
	Forge     db.Forge
	Workloads []db.Workload // that use it: then it cannot go
	Leaving   bool          // what is being taken down still needs it
	Label     templates.Message
}

func (v *visit) deleteForgePage(form *templates.Form) (page deleteForgePage, err error) {
	page.Form = form
	if page.Forge, err = v.pathForge(); err != nil {
		return page, err
	}
	page.Label = templates.Message{Key: "f.name.label", Values: []any{"name", page.Forge.Name}}
	page.Workloads, err = v.DB.WorkloadsOn(v.r.Context(), page.Forge.ID)
	return page, err
}

func (v *visit) deleteForgeFrame(page deleteForgePage) frame {
	return v.forgeFrame(v.say("title.disconnect", "name", page.Forge.Name), crumb{page.Forge.Name, forgePath(page.Forge.ID)})
}

func (v *visit) deleteForgeForm() error {
	page, err := v.deleteForgePage(filled())
	if err != nil {
		return err
	}
	status := http.StatusOK
	if len(page.Workloads) > 0 {
		status = http.StatusConflict
	}
	return v.render(status, "forges/delete", v.deleteForgeFrame(page), page)
}

func (v *visit) deleteForge() error {
	form, err := v.form()
	if err != nil {
		return err
	}
	page, err := v.deleteForgePage(form)
	if err != nil {
		return err
	}
	if len(page.Workloads) > 0 {
		return v.render(http.StatusConflict, "forges/delete", v.deleteForgeFrame(page), page)
	}
	if form.Get("name") != page.Forge.Name {
		form.Fail("name", "err.confirm_name", "name", page.Forge.Name)
	}
	if !form.Valid() {
		return v.invalid("forges/delete", v.deleteForgeFrame(page), form, page)
	}
	v.dropHooks(page.Forge)
	err = v.DB.DeleteForge(v.r.Context(), page.Forge.ID)
	if errors.Is(err, db.ErrForgeInUse) {
		page.Leaving = true
		return v.render(http.StatusConflict, "forges/delete", v.deleteForgeFrame(page), page)
	}
	if err != nil {
		return err
	}
	if err := v.audit("forge.deleted", page.Forge.Name, page.Forge.Kind); err != nil {
		return err
	}
	return v.redirect("/forges", templates.Message{Key: "flash.forge_deleted", Values: []any{"forge", page.Forge.Name}})
}

// dropHooks removes the webhooks that we registered, as far as the forge lets us: without us they do no harm.
func (v *visit) dropHooks(row db.Forge) {
	ctx, cancel := context.WithTimeout(v.r.Context(), forgePatience/3)
	defer cancel()
	forge, err := v.Forges.OpenRow(row)
	if err != nil {
		return
	}
	hooker, ok := forge.(app.Hooker)
	if !ok {
		return
	}
	used, left, err := v.DB.HookedRepositories(ctx, row.ID)
	for _, repo := range append(used, left...) {
		if err = app.UnregisterHook(ctx, v.DB, hooker, repo.ID, ""); err != nil {
			break
		}
	}
	if err != nil {
		v.Log.WarnContext(ctx, "remove webhooks of a forge that goes", "forge", row.Name, "error", err)
	}
}

package settings

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"tinyforge/app"
	"tinyforge/db"
	"tinyforge/templates"
)

// forgeEdit is the form in which a forge is changed. Its name is a part of the webhooks' address and stays.
func (v *visit) forgeEdit() error {
	row, err := v.pathForge()
	if err != nil {
		return err
	}
	page := v.editPage(row, filled("base_url", row.URL, "networks", strings.Join(row.Networks, "\n"), "version", versionOf(row)))
	return v.render(http.StatusOK, "forges/edit", v.editFrame(row), page)
}

func versionOf(row db.Forge) string { return row.UpdatedAt.UTC().Format(time.RFC3339Nano) }

func (v *visit) editPage(row db.Forge, form *templates.Form) tokenPage {
	page := v.tokenPage(tokenKind(row), form)
	page.Forge, page.Version, page.Hook = &row, versionOf(row), app.HookURL(v.publicURL(), row.Name)
	return page
}

func (v *visit) editFrame(row db.Forge) frame {
	return v.forgeFrame(v.say("title.forge_edit"), crumb{row.Name, forgePath(row.ID)})
}

func (v *visit) saveForge() error {
	row, err := v.pathForge()
	if err != nil {
		return err
	}
	form, err := v.form()
	if err != nil {
		return err
	}
	page := v.editPage(row, form)
	changed := row
	changed.Networks = allowed(form, networkWords(form)...)
	probed := app.Probed{Kind: row.Kind, Account: row.Owner, TokenUntil: row.TokenUntil}
	if row.AppID == 0 {
		changed.URL = typedAddress(form, "base_url")
		if token := v.typedToken(&page); token != "" {
			changed.Credentials.Token = token
		} else if originOf(changed.URL) != originOf(row.URL) { // nobody said that it may go there
			form.Fail("token", "err.token_elsewhere", "host", hostAndPort(row.URL))
		}
		if probed, err = v.tryToken(&page, changed); err != nil {
			return err
		}
	}
	if form.Get("token") == "" && form.Get("token_draft") == "" {
		page.Draft = ""
	}
	stale := form.Get("version") != page.Version
	if stale && form.Valid() {
		form.Fail("networks", "err.conflict", "when", v.Ago(row.UpdatedAt))
		f := v.editFrame(row)
		f.Form = form
		return v.render(http.StatusConflict, "forges/edit", f, page)
	}
	if !form.Valid() || form.Get("op") == "check.forge" {
		return v.showEdit(row, page)
	}
	known(&changed, probed)
	return v.saveChanged(row, changed, page)
}

func (v *visit) saveChanged(row, changed db.Forge, page tokenPage) error {
	err := v.DB.ChangeForge(v.r.Context(), &changed)
	if errors.Is(err, db.ErrForgeChanged) {
		page.Form.Fail("networks", "err.conflict", "when", v.Ago(time.Now()))
		return v.showEdit(row, page)
	}
	if err != nil {
		return err
	}
	if err := v.audit("forge.saved", row.Name, strings.Join(forgeChanges(row, changed), ", ")); err != nil {
		return err
	}
	if err := v.sync(changed); err != nil {
		v.Log.WarnContext(v.r.Context(), "list repositories", "forge", row.Name, "error", err)
	}
	return v.redirect(forgePath(row.ID), templates.Message{Key: "flash.saved"})
}

// forgeChanges are the names of what was changed.
func forgeChanges(a, b db.Forge) (list []string) {
	if a.URL != b.URL {
		list = append(list, "url")
	}
	if a.Credentials.Token != b.Credentials.Token {
		list = append(list, "token")
	}
	if strings.Join(a.Networks, " ") != strings.Join(b.Networks, " ") {
		list = append(list, "networks")
	}
	return list
}

func (v *visit) showEdit(row db.Forge, page tokenPage) error {
	if page.Form.Error("token") != nil {
		page.Draft = ""
	}
	if page.Form.Valid() {
		return v.render(http.StatusOK, "forges/edit", v.editFrame(row), page)
	}
	return v.invalid("forges/edit", v.editFrame(row), page.Form, page)
}

// networkWords are the lines of the field networks. What is none is noted.
func networkWords(form *templates.Form) (words []string) {
	for i, line := range strings.Split(form.Get("networks"), "\n") {
		word := strings.TrimSpace(line)
		if word == "" {
			continue
		}
		if _, err := app.ParseNetworks([]string{word}); err != nil {
			form.Fail("networks", "err.network", "line", i+1)
		}
		words = append(words, word)
	}
	return words
}

// rotate gives the forge another webhook secret, or tells it the one that it could not be told. What is signed with the one
// before is taken until then, and for a day more: deliveries on their way, and repositories that cannot be told at once.
func (v *visit) rotate() error {
	row, err := v.pathForge()
	if err != nil {
		return err
	}
	forge, err := v.Forges.OpenRow(row)
	if err != nil {
		return err
	}
	action := "forge.told"
	if !row.Credentials.Untold {
		action = "forge.rotated"
		row.Credentials.Rotate(newSecret())
		err := v.DB.ChangeForge(v.r.Context(), &row)
		if errors.Is(err, db.ErrForgeChanged) {
			return refuse(http.StatusConflict, "err.forge_changed", "forge", row.Name)
		} else if err != nil {
			return err
		}
	}
	if err := v.audit(action, row.Name, ""); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(v.r.Context()), forgePatience)
	defer cancel()
	untold := v.tellSecret(ctx, row, forge)
	if untold == nil {
		untold = v.told(ctx, row)
	}
	_, _, unseen := v.Missed(ctx, row)
	said := templates.Message{Key: "flash.secret_rotated"}
	switch {
	case untold != nil:
		said = templates.Message{Key: "flash.secret_untold", Values: []any{"detail", detailOf(untold)}}
	case unseen != nil:
		said = templates.Message{Key: "flash.missed_failed", Values: []any{"detail", detailOf(unseen)}}
	}
	if err := errors.Join(untold, unseen); err != nil {
		v.Log.WarnContext(ctx, "rotate webhook secret", "forge", row.Name, "error", err)
	}
	return v.redirect(forgePath(row.ID), said)
}

// told notes that the forge has the row's secret, unless it has another one by now.
func (v *visit) told(ctx context.Context, row db.Forge) error {
	now, err := v.DB.Forge(ctx, row.ID)
	if err != nil || now.Credentials.WebhookSecret != row.Credentials.WebhookSecret {
		return err
	}
	now.Credentials.Told()
	return v.DB.ChangeForge(ctx, &now)
}

// tellSecret makes what sends webhooks sign with the row's secret. Forges never show a secret, so webhooks of repositories are
// made anew.
func (v *visit) tellSecret(ctx context.Context, row db.Forge, before app.Forge) error {
	url := app.HookURL(v.publicURL(), row.Name)
	if installer, ok := before.(app.Installer); ok {
		return installer.SetHook(ctx, url, row.Credentials.WebhookSecret)
	}
	forge, err := v.Forges.OpenRow(row)
	if err != nil {
		return err
	}
	hooker, ok := forge.(app.Hooker)
	if !ok {
		return nil
	}
	used, _, err := v.DB.HookedRepositories(ctx, row.ID)
	if err != nil {
		return err
	}
	var faults []error
	for _, repo := range used {
		err := v.DB.ForgetHookSecret(ctx, repo.ID)
		if err == nil {
			_, err = app.RegisterHook(ctx, v.DB, hooker, repo.ID, url)
		}
		faults = append(faults, err)
	}
	return errors.Join(faults...)
}

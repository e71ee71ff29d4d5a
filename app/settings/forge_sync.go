package settings

import (
	"context"
	"errors"
	"time"

	"tinyforge/app"
	"tinyforge/db"
	"tinyforge/templates"
)

// forgePatience is how long somebody waits for a forge to tell all that it has.
const forgePatience = 90 * time.Second

// sync lists what a forge lets us see and saves it. It goes on when the visitor leaves. What goes wrong is noted with the
// forge, whose repositories stay as they are known.
func (v *visit) sync(row db.Forge) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(v.r.Context()), forgePatience)
	defer cancel()
	return v.turns.take(row.ID, func() error {
		listing, err := v.list(ctx, row)
		if len(listing.Repositories) > 0 || err == nil {
			if err := v.DB.SaveListing(ctx, listing); err != nil {
				return err
			}
		}
		if err != nil {
			return errors.Join(err, v.DB.SetForgeFault(context.WithoutCancel(ctx), row.ID, err.Error()))
		}
		return nil
	})
}

// list asks a forge for all that it lets us see.
func (v *visit) list(ctx context.Context, row db.Forge) (l db.Listing, err error) {
	l = db.Listing{ForgeID: row.ID, Started: time.Now()}
	forge, err := v.Forges.OpenRow(row)
	if err != nil {
		return l, err
	}
	if installer, ok := forge.(app.Installer); ok {
		if l.Installations, err = installer.Installations(ctx); err != nil {
			return l, err
		}
	}
	var faults []error
	for found, err := range forge.Repositories(ctx) {
		if err != nil {
			faults = append(faults, err)
			continue
		}
		listed := db.ListedRepository{Repository: found.Repository}
		if found.Installation != nil {
			listed.Installation = found.Installation.ExternalID
		}
		l.Repositories = append(l.Repositories, listed)
	}
	l.Partial = len(faults) > 0
	return l, errors.Join(faults...)
}

// resync refreshes the repositories of a forge.
func (v *visit) resync() error {
	row, err := v.pathForge()
	if err != nil {
		return err
	}
	said := templates.Message{Key: "flash.resynced"}
	switch err := v.sync(row); {
	case errors.Is(err, errBusy):
		said = templates.Message{Key: "flash.resyncing"}
	case err != nil:
		v.Log.WarnContext(v.r.Context(), "list repositories", "forge", row.Name, "error", err)
		said = templates.Message{} // the page says what went wrong
	}
	if err := v.audit("forge.refreshed", row.Name, ""); err != nil {
		return err
	}
	return v.redirect(forgePath(row.ID), said)
}

// missed looks for pushes that were not delivered.
func (v *visit) missed() error {
	row, err := v.pathForge()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(v.r.Context()), forgePatience)
	defer cancel()
	found := 0
	err = v.turns.take(row.ID, func() (err error) {
		found, _, err = v.Missed(ctx, row)
		return err
	})
	said := templates.Message{Key: "flash.none_missed"}
	switch {
	case errors.Is(err, errBusy):
		said = templates.Message{Key: "flash.resyncing"}
	case err != nil:
		v.Log.WarnContext(ctx, "look for missed pushes", "forge", row.Name, "error", err)
		said = templates.Message{Key: "flash.missed_failed", Values: []any{"detail", app.FirstLine(err.Error())}}
	case found > 0:
		said = templates.Message{Key: "n.missed", Plural: true, Count: found}
	}
	if err := v.audit("forge.looked", row.Name, ""); err != nil {
		return err
	}
	return v.redirect(forgePath(row.ID)+"#deliveries", said)
}

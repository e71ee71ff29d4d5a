package forgetest

import (
	"errors"
	"slices"

	"tinyforge/app"
	"tinyforge/db"
)

// installations decodes what the forge tells about the App. Forges without Apps have nothing to tell.
func (e *exercise) installations() {
	e.listen()
	other, err := e.s.CreateRepository("acme/other", false)
	e.must(err)
	site := e.row()
	var id int64
	change := e.installation(func() error {
		var err error
		id, err = e.s.InstallApp("acme")
		return err
	})
	if change == nil {
		return
	}
	if change.Installation.ExternalID != id || change.Installation.Account != "acme" || change.Deleted || change.Installation.Suspended {
		e.Errorf("installed: %+v", change)
	}
	added := slices.IndexFunc(change.Added, func(r db.Repository) bool { return r.ExternalID == site.ExternalID })
	if len(change.Added) != 2 || added < 0 || change.Added[added].FullName != e.full || !change.Added[added].Private {
		e.Errorf("installed with %+v", change.Added)
	}
	change = e.installation(func() error { return e.s.RemoveRepository("acme/other") })
	if !slices.Equal(change.Removed, []int64{other.ID}) || len(change.Added) != 0 || change.Deleted {
		e.Errorf("removed: %+v", change)
	}
	change = e.installation(func() error { return e.s.AddRepository("acme/other") })
	if len(change.Added) != 1 || change.Added[0].ExternalID != other.ID || len(change.Removed) != 0 {
		e.Errorf("added: %+v", change)
	}
	if change = e.installation(func() error { return e.s.Suspend("acme") }); !change.Installation.Suspended || change.Deleted {
		e.Errorf("suspended: %+v", change)
	}
	if change = e.installation(func() error { return e.s.Unsuspend("acme") }); change.Installation.Suspended || change.Deleted {
		e.Errorf("unsuspended: %+v", change)
	}
	if change = e.installation(func() error { return e.s.UninstallApp("acme") }); !change.Deleted || change.Installation.ExternalID != id {
		e.Errorf("uninstalled: %+v", change)
	}
}

// installation returns the change that do makes the forge deliver, nil where the forge has no Apps.
func (e *exercise) installation(do func() error) *app.InstallationChange {
	e.Helper()
	supported := true
	sent := e.caused(func() {
		err := do()
		if supported = !errors.Is(err, errors.ErrUnsupported); supported {
			e.must(err)
		}
	})
	if !supported {
		return nil
	}
	p := e.one(sent)
	if p.Installation == nil || p.Event != sent[0].Event || p.Commit != "" {
		e.Fatalf("%s is decoded as %+v", sent[0].Event, p)
	}
	return p.Installation
}

package gitea

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"

	"tinyforge/app"
	"tinyforge/db"
)

var _ app.Registrar = (*Forge)(nil)

// RegistryAccount implements app.Registrar: the registry is at the forge's own address. The token needs the scope
// read:package there; the user's name does not matter.
func (f *Forge) RegistryAccount(_ context.Context, _ db.Repository, host string) (app.RegistryAccount, bool, error) {
	if !app.SameHost(f.web, host) {
		return app.RegistryAccount{}, false, nil
	}
	return app.RegistryAccount{Username: "tinyforge", Password: f.row.Credentials.Token}, true, nil
}

// packageEvent is what we read of a package event. Gitea sends it to the webhooks of organisations and users, with no
// repository, once for each tag. It tells no digest.
type packageEvent struct {
	Action     string          `json:"action"`
	Repository repositoryEntry `json:"repository"`
	Package    struct {
		Type    string `json:"type"`
		Name    string `json:"name"`
		Version string `json:"version"` // the tag or, of a manifest without one, the digest
		Owner   struct {
			Login string `json:"login"`
		} `json:"owner"`
	} `json:"package"`
}

func (f *Forge) decodePackage(text []byte, p *app.Push) (err error) {
	var e packageEvent
	if json.Unmarshal(text, &e) != nil {
		return fmt.Errorf("%w: the package event is not the JSON that it should be", app.ErrMalformed)
	}
	what := e.Package
	switch {
	case what.Type != "container":
		return fmt.Errorf("%w: a package of type %q is no container image", app.ErrIgnored, app.FirstLine(what.Type))
	case e.Action != "created":
		return fmt.Errorf("%w: a package that was %s deploys nothing", app.ErrIgnored, app.FirstLine(e.Action))
	case app.ValidDigest(what.Version):
		return fmt.Errorf("%w: a part of an image, without a tag", app.ErrIgnored)
	}
	if e.Repository.ID != 0 {
		if p.Repository, err = e.Repository.row(f.row.ID); err != nil {
			return err
		}
	}
	web, err := url.Parse(f.web)
	if err != nil {
		return fmt.Errorf("read the forge's address: %w", err)
	}
	image, tag, ok := app.ParseImage(web.Host + "/" + what.Owner.Login + "/" + what.Name + ":" + what.Version)
	if !ok || tag == "" {
		return fmt.Errorf("%w: a package event without an image's name and tag", app.ErrMalformed)
	}
	p.Package = &app.Package{Image: image, Tag: tag}
	return nil
}

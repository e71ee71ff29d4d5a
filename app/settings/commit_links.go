package settings

import (
	"errors"
	"net/url"
	"strings"

	"tinyforge/db"
)

// commitLinks makes addresses of commits at the forge of a repository. The zero value makes none.
type commitLinks struct{ base string }

func (v *visit) commitLinks(repo db.Repository) (commitLinks, error) {
	forge, err := v.DB.Forge(v.r.Context(), repo.ForgeID)
	if errors.Is(err, db.ErrNotFound) {
		return commitLinks{}, nil
	}
	if err != nil {
		return commitLinks{}, err
	}
	u, err := url.Parse(forge.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return commitLinks{}, nil
	}
	path := strings.TrimSuffix(u.Path, "/") + "/" + repo.FullName
	if forge.Kind == "gitlab" {
		path += "/-"
	}
	return commitLinks{(&url.URL{Scheme: u.Scheme, Host: u.Host, Path: path}).String()}, nil
}

// URL is where the forge shows a commit; "" where that is not known.
func (c commitLinks) URL(commit string) string {
	if c.base == "" || commit == "" {
		return ""
	}
	return c.base + "/commit/" + url.PathEscape(commit)
}

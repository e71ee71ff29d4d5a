package github

import "tinyforge/app"

// Identity implements app.Identifier. An App's own permissions say what it may read, so that no scope is asked for.
func (f *Forge) Identity() app.Identity {
	return app.Identity{
		AuthURL: f.web + "/login/oauth/authorize", TokenURL: f.web + "/login/oauth/access_token", UserURL: f.app.BaseURL.String() + "user",
		LoginsURL: f.app.BaseURL.String() + "users/",
	}
}

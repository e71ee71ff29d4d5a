package gitea

import "tinyforge/app"

// Identity implements app.Identifier.
func (f *Forge) Identity() app.Identity {
	return app.Identity{
		AuthURL: f.web + "/login/oauth/authorize", TokenURL: f.api + "/login/oauth/access_token", UserURL: f.api + "/api/v1/user",
		LoginsURL: f.api + "/api/v1/users/",
		Scopes:    []string{"read:user"},
	}
}

package app_test

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"tinyforge/app"
	"tinyforge/app/forgetest"
)

func TestIdentify(t *testing.T) {
	const callback = "https://deploy.example.com/sign-in/callback"
	for _, kind := range []forgetest.Kind{forgetest.GitHub, forgetest.Gitea} {
		t.Run(string(kind), func(t *testing.T) {
			d := newDesk(t)
			site := d.place(kind, "site")
			row := site.row
			if _, err := d.forges.SignInURL(row, callback, "state", "verifier"); !errors.Is(err, app.ErrNoSignIn) || !d.forges.MayIdentify(row) {
				t.Errorf("without an application: %v", err)
			}
			row.ID = 0 // opened anew each time
			row.Credentials.ClientID, row.Credentials.ClientSecret = site.forge.OAuthApp()
			code := func() string {
				at, err := d.forges.SignInURL(row, callback, "state&1", "the verifier")
				must(t, err)
				resp, err := http.DefaultTransport.RoundTrip(mustRequest(t, at))
				must(t, err)
				must(t, resp.Body.Close())
				back, err := url.Parse(resp.Header.Get("Location"))
				must(t, err)
				if !strings.HasPrefix(back.String(), callback) || back.Query().Get("state") != "state&1" {
					t.Errorf("it leads to %s", back)
				}
				return back.Query().Get("code")
			}
			site.forge.Visitor("Octo-Cat")
			first := code()
			account, err := d.forges.Identify(t.Context(), row, callback, first, "the verifier")
			if err != nil || account.Login != "Octo-Cat" || account.ID == "" {
				t.Errorf("got %+v, %v", account, err)
			}
			for what, try := range map[string]func() (app.Account, error){
				"code used": func() (app.Account, error) {
					return d.forges.Identify(t.Context(), row, callback, first, "the verifier")
				},
				"verifier": func() (app.Account, error) { return d.forges.Identify(t.Context(), row, callback, code(), "another") },
				"secret": func() (app.Account, error) {
					wrong := row
					wrong.Credentials.ClientSecret = "wrong-secret"
					return d.forges.Identify(t.Context(), wrong, callback, code(), "the verifier")
				},
			} {
				_, err := try()
				if answer, ok := errors.AsType[*app.StatusError](err); !ok || answer.Code != http.StatusBadRequest || strings.Contains(err.Error(), "wrong-secret") {
					t.Errorf("%s: %v", what, err)
				}
			}
			if same, err := d.forges.Account(t.Context(), site.row, "octo-cat"); err != nil || same.ID != account.ID {
				t.Errorf("the login is of %+v, %v; %s signed in", same, err, account.ID)
			}
			if none, err := d.forges.Account(t.Context(), site.row, forgetest.Nobody); err == nil || none.ID != "" {
				t.Errorf("nobody is %+v", none)
			}
			row.Networks = nil
			if _, err := d.forges.Identify(t.Context(), row, callback, code(), "the verifier"); !strings.Contains(err.Error(), "not a public address") {
				t.Errorf("guarded: %v", err)
			}
			must(t, d.forges.Allow([]string{"loopback"}))
			if _, err := d.forges.Identify(t.Context(), row, callback, code(), "the verifier"); err != nil {
				t.Errorf("allowed for all: %v", err)
			}
			if err := d.forges.Allow([]string{"lan"}); err == nil {
				t.Error("an unknown network is allowed")
			}
		})
	}
}

func mustRequest(t *testing.T, at string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, at, nil)
	must(t, err)
	return r
}

package gitlab_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"tinyforge/app"
	"tinyforge/app/forgetest"
)

func TestProbe(t *testing.T) {
	s, repo := start(t, forgetest.Options{})
	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	for name, tt := range map[string]struct {
		access forgetest.Access
		url    string
		step   app.ProbeStep // "" is none
		noHook string
	}{
		"all":       {access: forgetest.Access{Scopes: []string{"api"}}},
		"read only": {access: forgetest.Access{Scopes: []string{"read_api"}}, step: app.ProbeScopes},
		"developer": {access: forgetest.Access{Scopes: []string{"api"}, Right: forgetest.Write}, noHook: repo.FullName},
		"expired":   {access: forgetest.Access{Scopes: []string{"api"}, Until: "2020-01-31"}, step: app.ProbeToken},
		"elsewhere": {access: forgetest.Access{Scopes: []string{"api"}}, url: other.URL, step: app.ProbeKind},
	} {
		row := s.Row("forge")
		row.Credentials.Token = s.NewToken(tt.access)
		if tt.url != "" {
			row.URL, row.APIURL = tt.url, ""
		}
		forge, err := open(t, row)
		if err != nil {
			t.Fatal(err)
		}
		p, err := forge.(app.Prober).Probe(t.Context())
		fault, ok := errors.AsType[*app.ProbeError](err)
		switch {
		case err != nil && !ok:
			t.Errorf("%s: got %v", name, err)
		case tt.step == "" && err != nil, tt.step != "" && (err == nil || fault.Step != tt.step):
			t.Errorf("%s: got %v, want %q", name, err, tt.step)
		case tt.step == "" && (p.NoHook != tt.noHook || !p.Repositories || p.TokenUntil.IsZero()):
			t.Errorf("%s: got %+v", name, p)
		case name == "expired" && fault.Until.IsZero():
			t.Errorf("it is not told when: %+v", fault)
		}
	}
}

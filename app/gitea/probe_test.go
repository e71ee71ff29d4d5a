package gitea_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"tinyforge/app"
	"tinyforge/app/forgetest"
	"tinyforge/db"
)

func probe(t *testing.T, row db.Forge) (app.Probed, *app.ProbeError) {
	t.Helper()
	forge, err := open(t, row)
	if err != nil {
		t.Fatal(err)
	}
	p, err := forge.(app.Prober).Probe(t.Context())
	fault, ok := errors.AsType[*app.ProbeError](err)
	if err != nil && !ok {
		t.Fatalf("got %v", err)
	}
	return p, fault
}

// Each way in which a token does not suffice is told from the others, and nothing is changed on the forge.
func TestProbe(t *testing.T) {
	s, repo := start(t)
	for name, tt := range map[string]struct {
		access forgetest.Access
		step   app.ProbeStep // "" is none
		noHook string
		lacks  int
	}{
		"all":       {access: forgetest.Access{Scopes: []string{"write:repository", "read:user"}}},
		"no user":   {access: forgetest.Access{Scopes: []string{"write:repository"}}, lacks: 1},
		"read only": {access: forgetest.Access{Scopes: []string{"read:repository", "read:user"}}, step: app.ProbeScopes},
		"no scope":  {access: forgetest.Access{Scopes: []string{"read:issue"}}, step: app.ProbeScopes},
		"writer":    {access: forgetest.Access{Scopes: []string{"write:repository", "read:user"}, Right: forgetest.Write}, noHook: repo.FullName},
		"reader":    {access: forgetest.Access{Scopes: []string{"write:repository", "read:user"}, Right: forgetest.Read}, step: app.ProbeStatus},
	} {
		row := s.Row("forge")
		row.Credentials.Token = s.NewToken(tt.access)
		p, fault := probe(t, row)
		switch {
		case tt.step == "" && fault != nil, tt.step != "" && (fault == nil || fault.Step != tt.step):
			t.Errorf("%s: got %v, want %q", name, fault, tt.step)
		case tt.step == "" && (p.Kind != "gitea" || p.NoHook != tt.noHook || len(p.Lacks) != tt.lacks || !p.Repositories):
			t.Errorf("%s: got %+v", name, p)
		}
	}
	row := s.Row("forge")
	row.Credentials.Token = "wrong"
	if _, fault := probe(t, row); fault == nil || fault.Step != app.ProbeToken {
		t.Errorf("unknown token: %v", fault)
	}
	row = s.Row("forge")
	row.Networks = nil
	_, fault := probe(t, row)
	if refused, ok := errors.AsType[*app.RefusedError](fault); !ok || refused.Network() != "loopback" || fault.Step != app.ProbeAddress {
		t.Errorf("private address: %v", fault)
	}
	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	row = s.Row("forge")
	row.URL, row.APIURL = other.URL, ""
	if _, fault := probe(t, row); fault == nil || fault.Step != app.ProbeKind {
		t.Errorf("another server: %v", fault)
	}
	if hooks := s.Hooks(repo.FullName); len(hooks) != 0 {
		t.Errorf("there are %v", hooks)
	}
}

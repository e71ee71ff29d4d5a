package forgetest

import (
	"net/http"
	"strings"

	"tinyforge/app"
)

// RegistryHost is where the forge's container registry would be, as images name it. There is none.
func (s *Server) RegistryHost() string {
	host := strings.TrimPrefix(s.url, "http://")
	if _, enterprise := s.manners.(*gitHub); enterprise {
		return "containers." + host
	}
	return host
}

// registry gives the account for the forge's own registry, and to no other.
func (e *exercise) registry() {
	r, ok := e.forge.(app.Registrar)
	if !ok {
		return
	}
	row, own := e.row(), e.s.RegistryHost()
	for _, host := range []string{own, strings.ToUpper(own)} {
		account, ok, err := r.RegistryAccount(e.ctx, row, host)
		e.must(err)
		if !ok || account.Username == "" || account.Password == "" {
			e.Errorf("%s: no account, %t", host, ok)
		}
	}
	e.s.Fault(func(r *http.Request) *Fault {
		e.Errorf("asked for %s because of a foreign registry", r.URL.Path)
		return nil
	})
	name, _, _ := strings.Cut(own, ":")
	for _, host := range []string{
		"", "docker.io", "ghcr.io", "registry.example.com", name, name + ":1", "x." + own, own + ".example.com", "x" + own,
		"user@" + own, own + "/acme", own + "@registry.example.com", "registry.example.com#" + own, "registry.example.com?" + own,
	} {
		if account, ok, err := r.RegistryAccount(e.ctx, row, host); ok || err != nil || account != (app.RegistryAccount{}) {
			e.Errorf("%q gets an account: %t, %v", host, ok, err)
		}
	}
}

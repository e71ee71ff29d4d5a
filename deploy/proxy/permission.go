package proxy

import (
	"context"
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddytls"
	"github.com/caddyserver/certmagic"
)

// permission lets Caddy have certificates for the hosts of the route table, and for nothing else.
type permission struct {
	part
}

// CaddyModule implements caddy.Module.
func (m *permission) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "tls.permission.tinyforge",
		New: func() caddy.Module { return &permission{part: part{registry: m.registry}} },
	}
}

// CertificateAllowed implements caddytls.OnDemandPermission.
func (m *permission) CertificateAllowed(_ context.Context, name string) error {
	host := hostKey(name)
	if m.proxy.lookup(host) == nil || !m.proxy.secures(host) {
		return fmt.Errorf("certificate for %q: %w", name, caddytls.ErrPermissionDenied)
	}
	return nil
}

// secures tells whether a host of the table is served on HTTPS. The default CA is public: it gives no certificate for
// names like "app.localhost", which stay on HTTP therefore.
func (p *Proxy) secures(host string) bool {
	if p.https == nil {
		return false
	}
	return p.cfg.InternalCA || p.cfg.ACME.CA != "" || certmagic.SubjectQualifiesForPublicCert(host)
}

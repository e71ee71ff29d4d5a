package proxy

import (
	"encoding/json"
	"io"
	"net/netip"
	"time"
)

// Config is how a Proxy listens and gets its certificates.
type Config struct {
	HTTP  string // address to listen on, ":80"; port 0 lets the system choose; "" for none
	HTTPS string // address to listen on, ":443"; "" for none

	DataDir string  // where certificates and their keys are kept
	Storage Storage // keeps them for several proxies instead; DataDir has a copy of the internal CA's root then. nil for none
	Routes  string  // folder in which the routes outlive the process; "" keeps them in memory alone

	ACME       ACME
	InternalCA bool // sign certificates by ourselves; the root is DataDir/pki/authorities/local/root.crt

	TrustedProxies []netip.Prefix // whose X-Forwarded-* header fields are believed

	AccessLog io.Writer // gets a line of JSON for each request; nil for none

	HoldFor   time.Duration // how long a request waits on a held route; 0 means 30 s
	HoldLimit int           // how many requests wait on one held route; 0 means 1000. All of them hold at most 256 MiB
	Grace     time.Duration // how long requests may go on after Run's ctx is done; 0 means 10 s

	limits limits // the zero value means defaultLimits
}

// limits are how long a listener waits for those who ask.
type limits struct {
	readHeader time.Duration
	readIdle   time.Duration // between two reads of one upload; upgraded connections are not bound by it
	idle       time.Duration // between two requests
}

func defaultLimits() limits {
	return limits{readHeader: 15 * time.Second, readIdle: 2 * time.Minute, idle: 3 * time.Minute}
}

// ACME is where certificates come from unless InternalCA is set.
type ACME struct {
	Email string // for notices of the CA; optional
	CA    string // the URL of its directory; "" means Let's Encrypt
}

const (
	defaultHoldFor   = 30 * time.Second
	defaultHoldLimit = 1000
	defaultGrace     = 10 * time.Second
	freshGrace       = time.Second // how long the first requests of connections are waited for before the end begins

	maxHeaderBytes = 32 << 10

	// A connection to an upstream is kept for less time than the usual servers keep theirs (gunicorn 2 s, Node and
	// uvicorn 5 s): a request that goes into a connection while the other side closes it is lost.
	upstreamIdle     = 1500 * time.Millisecond
	upstreamIdleMost = 256

	// For so long a request is offered again to an upstream that cannot be dialed.
	redialFor   = time.Second
	redialEvery = 50 * time.Millisecond
)

type object = map[string]any

// caddyJSON makes Caddy's config. It is loaded once and never changed: routes are not in it.
func (p *Proxy) caddyJSON(id string) ([]byte, error) {
	servers := object{}
	apps := object{"http": p.httpApp(servers)}
	if p.http != nil {
		servers["http"] = p.server(id, schemeHTTP)
	}
	if p.https != nil {
		s := p.server(id, schemeHTTPS)
		s["tls_connection_policies"] = []object{{}}
		servers["https"] = s
		apps["tls"] = p.tlsApp(id)
	}
	if p.https != nil && p.cfg.InternalCA {
		apps["pki"] = object{"certificate_authorities": object{"local": object{"install_trust": false}}}
	}
	return json.Marshal(object{
		"admin":   object{"disabled": true, "config": object{"persist": false}},
		"logging": object{"logs": object{"default": logging(id)}},
		"storage": p.storageConfig(id),
		"apps":    apps,
	})
}

func (p *Proxy) httpApp(servers object) object {
	app := object{"servers": servers}
	if p.http != nil {
		app["http_port"] = portOf(p.http)
	}
	if p.https != nil {
		app["https_port"] = portOf(p.https)
	}
	return app
}

func (p *Proxy) server(id, scheme string) object {
	s := object{
		"listen":              []string{p.listenAddress(id, scheme)},
		"protocols":           []string{"h1", "h2"},
		"automatic_https":     object{"disable": true},
		"read_header_timeout": p.cfg.limits.readHeader,
		"idle_timeout":        p.cfg.limits.idle,
		"read_idle_timeout":   p.cfg.limits.readIdle,
		"max_header_bytes":    maxHeaderBytes,
		"routes":              []object{{"handle": []object{{"handler": "tinyforge", "proxy": id}}}},
	}
	if len(p.cfg.TrustedProxies) > 0 {
		s["trusted_proxies"] = object{"source": "static", "ranges": p.cfg.TrustedProxies}
		s["trusted_proxies_strict"] = 1
	}
	return s
}

func (p *Proxy) tlsApp(id string) object {
	return object{
		// Caddy's own cleaning writes an id of the machine to the home folder; ours is in storage.go.
		"disable_storage_clean": true,
		"automation": object{
			"policies":  []object{{"on_demand": true, "issuers": []object{p.issuer()}}},
			"on_demand": object{"permission": object{"module": "tinyforge", "proxy": id}},
		},
	}
}

func (p *Proxy) issuer() object {
	if p.cfg.InternalCA {
		return object{"module": "internal"}
	}
	challenges := object{"tls-alpn": object{"alternate_port": portOf(p.https)}, "http": object{"disabled": true}}
	if p.http != nil {
		challenges["http"] = object{"alternate_port": portOf(p.http)}
	}
	return object{"module": "acme", "email": p.cfg.ACME.Email, "ca": p.cfg.ACME.CA, "challenges": challenges}
}

// logging sends everything to our core. The writer is the one that Caddy starts with, since it would announce a change
// there, and silent.
func logging(id string) object {
	return object{
		"writer": object{"output": "stderr"},
		"level":  "FATAL",
		"core":   object{"module": "tinyforge", "proxy": id},
	}
}

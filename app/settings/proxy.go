package settings

import "net/http"

// proxyPage shows what serves the sites. It is chosen when the process is started, so the page says how.
type proxyPage struct {
	Proxy    *Proxy
	Commands []proxyCommand
}

// proxyCommand starts Tinyforge with a proxy of a kind.
type proxyCommand struct{ Kind, Text string }

func (v *visit) proxy() error {
	page := proxyPage{Commands: []proxyCommand{
		{"built_in", "tinyforge serve --router builtin --proxy-http :80 --proxy-https :443 --acme-email you@example.com"},
		{"apart", "tinyforge proxy --acme-email you@example.com\ntinyforge serve --router proxy"},
		{"npm", "tinyforge serve --router npm --npm-url http://127.0.0.1:81 --npm-proxy 127.0.0.1:80 --npm-identity you@example.com"},
	}}
	if v.Health != nil {
		p := v.Health.Proxy(v.r.Context())
		page.Proxy = &p
	}
	return v.render(http.StatusOK, "settings/proxy", v.settingsFrame("people.proxy"), page)
}

package settings

import "net/http"

// proxyPage shows what serves the sites. It is chosen when the process is started, so the page says how.
type proxyPage struct{ Proxy *Proxy }

func (v *visit) proxy() error {
	var page proxyPage
	if v.Health != nil {
		p := v.Health.Proxy(v.r.Context())
		page.Proxy = &p
	}
	return v.render(http.StatusOK, "settings/proxy", v.settingsFrame("people.proxy"), page)
}

package settings

import "net"

// siteLink is a host that is served here, and where it is found.
type siteLink struct{ Host, URL string }

// sites are the links to hosts. A visitor who calls Tinyforge by a name of this machine is on it.
func (v *visit) sites(hosts ...string) (list []siteLink) {
	name, _, err := net.SplitHostPort(v.r.Host)
	if err != nil {
		name = v.r.Host
	}
	here := loopback(name)
	for _, host := range hosts {
		link := siteLink{host, "//" + host}
		if v.Site != nil {
			link.URL = v.Site(host, here)
		}
		list = append(list, link)
	}
	return list
}

package main

import (
	"net"
	"net/netip"
)

// siteAddress says where people find a host that the proxy serves, here on this machine or elsewhere. A proxy that listens on
// loopback alone is behind another one for those elsewhere.
func siteAddress(c config) func(host string, here bool) string {
	scheme, listen, usual := "https", c.ProxyHTTPS, "443"
	if listen == "" {
		scheme, listen, usual = "http", c.ProxyHTTP, "80"
	}
	address, port, err := net.SplitHostPort(listen)
	if err != nil || port == usual || port == "0" || c.Router != "builtin" {
		return nil
	}
	ip, err := netip.ParseAddr(address)
	behind := err == nil && ip.IsLoopback()
	return func(host string, here bool) string {
		if behind && !here {
			return "//" + host
		}
		return scheme + "://" + net.JoinHostPort(host, port)
	}
}

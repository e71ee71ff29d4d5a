package main

import (
	"net"
	"net/netip"
)

// siteAddress says where people find a host that the proxy serves, here on this machine or elsewhere. A proxy that listens on
// loopback alone is behind another one for those elsewhere.
func siteAddress(proxy server) func(host string, here bool) string {
	return func(host string, here bool) string {
		http, https := proxy.Serves()
		scheme, listen, usual := "https", https, "443"
		if listen == "" {
			scheme, listen, usual = "http", http, "80"
		}
		address, port, err := net.SplitHostPort(listen)
		if err != nil || port == usual || port == "0" {
			return "//" + host
		}
		if ip, err := netip.ParseAddr(address); err == nil && ip.IsLoopback() && !here {
			return "//" + host
		}
		return scheme + "://" + net.JoinHostPort(host, port)
	}
}

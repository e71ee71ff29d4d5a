package main

import "testing"

func TestSiteAddress(t *testing.T) {
	for _, tt := range []struct {
		http, https, router string
		here                bool
		want                string
	}{
		{":80", ":443", "builtin", true, ""},
		{"127.0.0.1:8080", "", "builtin", true, "http://a.example.com:8080"},
		{"127.0.0.1:8080", "", "builtin", false, "//a.example.com"},
		{":80", ":8443", "builtin", false, "https://a.example.com:8443"},
		{"127.0.0.1:8080", "", "npm", true, ""},
	} {
		site := siteAddress(config{ProxyHTTP: tt.http, ProxyHTTPS: tt.https, Router: tt.router})
		got := ""
		if site != nil {
			got = site("a.example.com", tt.here)
		}
		if got != tt.want {
			t.Errorf("%+v: %q", tt, got)
		}
	}
}

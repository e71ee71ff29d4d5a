package main

import "testing"

// serving is a proxy at these addresses.
type serving struct{ http, https string }

func (s serving) Serves() (http, https string) { return s.http, s.https }

func TestSiteAddress(t *testing.T) {
	for _, tt := range []struct {
		http, https string
		here        bool
		want        string
	}{
		{":80", ":443", true, "//a.example.com"},
		{"127.0.0.1:8080", "", true, "http://a.example.com:8080"},
		{"127.0.0.1:8080", "", false, "//a.example.com"},
		{":80", ":8443", false, "https://a.example.com:8443"},
		{"", "", true, "//a.example.com"},
	} {
		if got := siteAddress(serving{tt.http, tt.https})("a.example.com", tt.here); got != tt.want {
			t.Errorf("%+v: %q", tt, got)
		}
	}
}

package main

import (
	"fmt"
	"testing"
)

func TestTrustedProxies(t *testing.T) {
	for text, want := range map[string]string{
		"127.0.0.0/8,::1":                    "[127.0.0.0/8 ::1/128]",
		"10.0.0.7, 172.18.0.0/16 fd00::/8":   "[10.0.0.7/32 172.18.0.0/16 fd00::/8]",
		"::ffff:10.0.0.7":                    "[10.0.0.7/32]",
		"":                                   "[]",
		"npm":                                "none",
		"10.0.0.0/33":                        "none",
		"10.0.0.1,172.18.0.0/16;192.0.2.1/8": "none",
	} {
		c := config{TrustedProxies: text}
		list, err := c.trusted()
		got := fmt.Sprint(list)
		if err != nil {
			got = "none"
		}
		if got != want || err == nil && list == nil {
			t.Errorf("%q is read as %s, want %s (%v)", text, got, want, err)
		}
	}
}

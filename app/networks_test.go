package app

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func TestParseNetworks(t *testing.T) {
	got, err := ParseNetworks([]string{"loopback", "private", "100.64.0.1/10", " fd00::/8 "})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "100.64.0.0/10", "fd00::/8"} {
		if !slices.Contains(got, netip.MustParsePrefix(want)) {
			t.Errorf("%s is missing in %v", want, got)
		}
	}
}

func TestParseNetworksNamesEveryFaultAndWhatIsAllowed(t *testing.T) {
	_, err := ParseNetworks([]string{"lan", "private", "10.0.0.1", "::ffff:10.0.0.0/104", ""})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{`"lan"`, `"10.0.0.1"`, `"::ffff:10.0.0.0/104"`, `""`, `"loopback"`, `"private"`, `"10.0.0.0/8"`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error lacks %s: %v", want, err)
		}
	}
	if got, err := ParseNetworks(nil); err != nil || len(got) != 0 {
		t.Errorf("no networks: %v, %v", got, err)
	}
}

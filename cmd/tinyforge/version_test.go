package main

import (
	"runtime/debug"
	"testing"
)

func TestVersion(t *testing.T) {
	checkout := func(changed string) []debug.BuildSetting {
		return []debug.BuildSetting{{Key: "vcs.revision", Value: "8babda9222e60d4509dd52eaf7bec95b126df3eb"},
			{Key: "vcs.time", Value: "2026-11-26T14:08:01Z"}, {Key: "vcs.modified", Value: changed}}
	}
	for _, k := range []struct {
		module   string
		settings []debug.BuildSetting
		want     string
	}{
		{"(devel)", nil, "devel"},
		{"", nil, "devel"},
		{"(devel)", checkout("false"), "devel 8babda9 2026-11-26"},
		{"v0.0.0-20261126140801-8babda9222e6", checkout("false"), "devel 8babda9 2026-11-26"},
		{"v0.0.0-20261126140801-8babda9222e6+dirty", checkout("true"), "devel 8babda9+dirty 2026-11-26"},
		{"v1.2.0", checkout("false"), "v1.2.0"},
		{"v1.2.0", nil, "v1.2.0"},
	} {
		if got := versionOf(debug.BuildInfo{Main: debug.Module{Version: k.module}, Settings: k.settings}); got != k.want {
			t.Errorf("%q with %v is %q, want %q", k.module, k.settings, got, k.want)
		}
	}
}

package main

import (
	"cmp"
	"runtime/debug"
	"strings"
)

// version is what the program calls itself in its log and in a backup.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "tinyforge (unknown version)"
	}
	return "tinyforge " + versionOf(*info) + " " + info.GoVersion
}

// shortVersion is the version for the pages.
func shortVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "?"
	}
	return versionOf(*info)
}

// versionOf is the release that was built, or, of a checkout between releases, "devel 1a2b3c4 2026-11-26": its commit and the day
// of that, with "+dirty" where files were changed since. It is "devel" where the checkout is not known.
func versionOf(info debug.BuildInfo) string {
	vcs := map[string]string{}
	for _, s := range info.Settings {
		vcs[s.Key] = s.Value
	}
	commit := vcs["vcs.revision"]
	name := strings.Trim(info.Main.Version, "()")
	if commit == "" || name != "devel" && name != "" && !strings.Contains(name, commit[:min(12, len(commit))]) {
		return cmp.Or(name, "devel")
	}
	text := "devel " + commit[:min(7, len(commit))]
	if vcs["vcs.modified"] == "true" {
		text += "+dirty"
	}
	day, _, _ := strings.Cut(vcs["vcs.time"], "T")
	return strings.TrimSpace(text + " " + day)
}

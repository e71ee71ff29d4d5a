package webhooks

import (
	"strings"
	"testing"

	"tinyforge/app"
	"tinyforge/db"
)

func TestFollows(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		pattern, ref string
		want         bool
	}{
		{"", "refs/heads/main", true},
		{"", "refs/heads/dev", false},
		{"", "refs/tags/main", false},
		{"main", "refs/heads/main", true},
		{"main", "refs/heads/mainline", false},
		{"main", "refs/heads/feature/main", false},
		{"main", "refs/tags/main", false},
		{"release/*", "refs/heads/release/1.0", true},
		{"release/*", "refs/heads/release/1.0/fix", false},
		{"release/**", "refs/heads/release/1.0/fix", true},
		{"*", "refs/heads/dev", true},
		{"*", "refs/heads/feature/dev", false},
		{"**", "refs/heads/feature/dev", true},
		{"**", "refs/tags/v1", false},
		{"{main,staging}", "refs/heads/staging", true},
		{"{main,staging}", "refs/heads/dev", false},
		{"tags/v*", "refs/tags/v1.2.3", true},
		{"tags/v*", "refs/tags/1.2.3", false},
		{"tags/v*", "refs/heads/v1", false},
		{"tags/v*", "refs/heads/tags/v1", false},
		{"tags/**", "refs/tags/api/v1", true},
		{"refs/heads/main", "refs/heads/main", true},
		{"refs/heads/main", "refs/tags/main", false},
		{"refs/tags/v[0-9]*", "refs/tags/v2", true},
		{"refs/tags/v[0-9]*", "refs/tags/vx", false},
		{"refs/**", "refs/tags/v2", true},
		{"refs/heads/tags/*", "refs/heads/tags/v1", true},
		{"[", "refs/heads/[", false},
	} {
		w := db.Workload{RefPattern: tc.pattern}
		if got := app.Follows(w, db.Repository{DefaultBranch: "main"}, tc.ref); got != tc.want {
			t.Errorf("%q follows %s: %v, want %v", tc.pattern, tc.ref, got, tc.want)
		}
	}
}

func TestFollowsNothingWithoutADefaultBranch(t *testing.T) {
	t.Parallel()
	for _, ref := range []string{"refs/heads/main", "refs/heads/", "refs/heads/master"} {
		if app.Follows(db.Workload{}, db.Repository{}, ref) {
			t.Errorf("follows %s although the default branch is not known", ref)
		}
	}
}

func TestTouches(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		patterns, files string // separated by spaces
		want            bool
	}{
		{"", "docs/a.md", true},
		{"", "", true},
		{"web/**", "web/app.js", true},
		{"web/**", "web/deep/er/app.js", true},
		{"web/**", "api/main.go", false},
		{"web/**", "api/main.go web/app.js", true},
		{"web/**", "", false},
		{"web/*", "web/deep/app.js", false},
		{"*.md", "README.md", true},
		{"*.md", "docs/a.md", false},
		{"**/*.md", "docs/a.md", true},
		{"**/*.md", "README.md", true},
		{"web/** api/**", "api/main.go", true},
		{"!docs/**", "docs/a.md", false},
		{"!docs/**", "docs/a.md main.go", true},
		{"!docs/** !*.md", "docs/a.md README.md", false},
		{"web/** !web/test/**", "web/test/a.js", false},
		{"web/** !web/test/**", "web/test/a.js web/app.js", true},
		{"!web/test/** web/**", "web/test/a.js", false},
		{"web/** !**", "web/app.js", false},
	} {
		if got := touches(strings.Fields(tc.patterns), strings.Fields(tc.files)); got != tc.want {
			t.Errorf("%q touches %q: %v, want %v", tc.patterns, tc.files, got, tc.want)
		}
	}
}

func TestMatch(t *testing.T) {
	t.Parallel()
	web := db.Workload{ID: 1, Name: "web", Enabled: true, Paths: []string{"web/**"}}
	api := db.Workload{ID: 2, Name: "api", Enabled: true, Paths: []string{"api/**", "!api/docs/**"}}
	all := db.Workload{ID: 3, Name: "all", Enabled: true}
	tags := db.Workload{ID: 4, Name: "tags", Enabled: true, RefPattern: "tags/v*"}
	off := db.Workload{ID: 5, Name: "off"}
	repo := db.Repository{FullName: "acme/site", DefaultBranch: "main"}
	main := func(files ...string) app.Push {
		return app.Push{Ref: "refs/heads/main", Commit: "c", Files: files, FilesComplete: true}
	}
	untrusted := main("docs/a.md")
	untrusted.FilesComplete = false

	for name, tc := range map[string]struct {
		push      app.Push
		workloads []db.Workload
		moved     string
		reason    string
	}{
		"everything":            {main("web/a", "api/b"), []db.Workload{web, api, all}, "web api all", ""},
		"one of two":            {main("web/a"), []db.Workload{web, api}, "web", ""},
		"the other":             {main("api/b"), []db.Workload{web, api}, "api", ""},
		"only what is excluded": {main("api/docs/x"), []db.Workload{web, api}, "", "push to main: changes no file that workload api looks at"},
		"untrusted list":        {untrusted, []db.Workload{web, api}, "web api", ""},
		"no list":               {app.Push{Ref: "refs/heads/main", Commit: "c"}, []db.Workload{web}, "web", ""},
		"tag":                   {app.Push{Ref: "refs/tags/v1", Commit: "c"}, []db.Workload{web, tags}, "tags", ""},
		"no workload":           {main("a"), nil, "", "no workload uses acme/site"},
		"nobody follows":        {app.Push{Ref: "refs/heads/dev", Commit: "c"}, []db.Workload{web, tags}, "", "push to dev: no workload follows it"},
		"disabled":              {main("a"), []db.Workload{off, tags}, "", "push to main: workload off is disabled"},
		"disabled and another":  {main("a"), []db.Workload{off, all}, "all", ""},
		"deleted branch":        {app.Push{Ref: "refs/heads/main", Deleted: true}, []db.Workload{all}, "", "main was deleted: nothing is deployed"},
		"deleted tag":           {app.Push{Ref: "refs/tags/v1", Deleted: true}, []db.Workload{tags}, "", "tags/v1 was deleted: nothing is deployed"},
		"no commit":             {app.Push{Ref: "refs/heads/main"}, []db.Workload{all}, "", "push to main names no commit"},
	} {
		moved, reason := match(tc.push, repo, tc.workloads)
		var names []string
		for _, w := range moved {
			names = append(names, w.Name)
		}
		if got := strings.Join(names, " "); got != tc.moved || reason != tc.reason {
			t.Errorf("%s: moved %q, reason %q, want %q, %q", name, got, reason, tc.moved, tc.reason)
		}
	}
}

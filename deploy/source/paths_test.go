package source

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"tinyforge/deploy"
)

func TestPathsOfAConfigStayInside(t *testing.T) {
	s := NewDockerfile(&builds{})
	for _, path := range []string{"/", "/etc/passwd", "..", "../x", "a/../../x", "a/..//../..", `a\b`, `..\x`, "a\x00b", "a\nb"} {
		quoted, _ := json.Marshal(path)
		for _, key := range []string{"context", "dockerfile"} {
			wantFaults(t, s.Validate(json.RawMessage(`{"`+key+`":`+string(quoted)+`}`)), Fault{key, tagTexts["repopath"]})
		}
	}
	for _, path := range []string{"", ".", "a", "a/b", "./a", "a/../b", "..a", "a..b/c", "ä ö"} {
		quoted, _ := json.Marshal(path)
		if err := s.Validate(json.RawMessage(`{"context":` + string(quoted) + `,"dockerfile":` + string(quoted) + `}`)); err != nil {
			t.Errorf("%q: %v", path, err)
		}
	}
}

// repository makes a checkout that holds what a hostile commit could hold, beside a file that no build may read.
func repository(t *testing.T) string {
	t.Helper()
	top := t.TempDir()
	dir := filepath.Join(top, "checkout")
	for _, folder := range []string{"checkout/app/deep", "outside"} {
		if err := os.MkdirAll(filepath.Join(top, folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"checkout/Dockerfile", "checkout/app/Dockerfile", "outside/Dockerfile", "secret"} {
		if err := os.WriteFile(filepath.Join(top, file), []byte("FROM scratch\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for link, target := range map[string]string{
		"up":                "..",
		"up-file":           "../secret",
		"absolute":          filepath.Join(top, "outside"),
		"absolute-in":       filepath.Join(dir, "app"),
		"gone":              "../nothing-here",
		"loop":              "loop",
		"chain":             "app/deep/back-out",
		"app/deep/back-out": "../../../secret",
		"in":                "app",
		"app/deep/in":       "../Dockerfile",
		"around":            "../checkout/app",
	} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestPathsOfACheckoutStayInside(t *testing.T) {
	dir := repository(t)
	tests := []struct {
		path   string
		folder bool
		want   string // "" means a failure
		text   string
	}{
		{".", true, ".", ""},
		{"app", true, "app", ""},
		{"in", true, "app", ""},
		{"in/deep/..", true, "app", ""},
		{"Dockerfile", false, "Dockerfile", ""},
		{"in/Dockerfile", false, "app/Dockerfile", ""},
		{"in/deep/in", false, "app/Dockerfile", ""},

		{"app", false, "", `key: "app" is not a file`},
		{"Dockerfile", true, "", `key: "Dockerfile" is not a folder`},
		{"nothing", false, "", `key: "nothing" is not in the repository at this commit`},
		{"Dockerfile/x", false, "", "must be inside the repository"},
		{"up", true, "", "must be inside the repository"},
		{"up/outside", true, "", "must be inside the repository"},
		{"up/outside/Dockerfile", false, "", "must be inside the repository"},
		{"up/checkout/app", true, "", "must be inside the repository"},
		{"up-file", false, "", "must be inside the repository"},
		{"absolute", true, "", "must be inside the repository"},
		{"absolute/Dockerfile", false, "", "must be inside the repository"},
		{"absolute-in", true, "", "must be inside the repository"},
		{"around", true, "", "must be inside the repository"},
		{"gone", false, "", "must be inside the repository"},
		{"loop", false, "", "must be inside the repository"},
		{"chain", false, "", "must be inside the repository"},
		{"../secret", false, "", "must be inside the repository"},
		{"/etc/passwd", false, "", "must be inside the repository"},
	}
	for _, tt := range tests {
		t.Run(tt.path, func(t *testing.T) {
			got, err := resolve(dir, "key", tt.path, tt.folder)
			if tt.want == "" {
				wantFailure(t, err, tt.text)
			} else if err != nil || got != tt.want {
				t.Errorf("got %q, %v, want %q", got, err, tt.want)
			}
		})
	}
}

func TestResolveWithoutCheckoutIsNotTheUsersFault(t *testing.T) {
	_, err := resolve(filepath.Join(t.TempDir(), "absent"), "context", ".", true)
	if _, ok := errors.AsType[*deploy.Failure](err); err == nil || ok {
		t.Errorf("got %v, want an error that is no *deploy.Failure", err)
	}
}

package settings

import (
	"fmt"
	"strings"
	"testing"
)

const secretConfig = `{
  "image": "registry.example.com/a:1",
  "env": {
    "A": "s3cret-1",
    "B": "s3cret 2, with a comma",
    "C": "s3cret \"3\""
  },
  "registry": {
    "username": "u",
    "password": "s3cret-4"
  },
  "build_secrets": {"T": "s3cret-5", "U": "s3cret-6"},
  "registries": {
    "docker.io": {"username": "u", "password": "s3cret-7"}
  },
  "port": 80
}`

// TestBrokenJSONIsMasked: whatever character is missing from a secret or around it, or one too many, the secret is not shown.
func TestBrokenJSONIsMasked(t *testing.T) {
	broken, at := 0, 0
	check := func(what, text string) {
		if _, err := readJSON(text); err == nil {
			return
		}
		broken++
		if masked, _ := maskBroken(text); strings.Contains(masked, "s3cret") {
			t.Errorf("%s:\n%s", what, masked)
		}
	}
	for line := range strings.Lines(secretConfig) {
		begin := at
		at += len(line)
		if !strings.Contains(line, "s3cret") || strings.Contains(line, "{") {
			continue
		}
		for i := begin + strings.Index(line, ": ") + 1; i < at; i++ {
			check(fmt.Sprintf("without %q at %d", secretConfig[i], i), secretConfig[:i]+secretConfig[i+1:])
			for _, more := range []string{`"`, ",", ":", "{", "x", "\n"} {
				check(fmt.Sprintf("with %q at %d", more, i), secretConfig[:i]+more+secretConfig[i:])
			}
		}
	}
	if broken < 200 {
		t.Errorf("%d texts are broken", broken)
	}
}

// TestWhatIsMaskedIsHeld: nothing that was typed is lost, and nothing else is changed.
func TestWhatIsMaskedIsHeld(t *testing.T) {
	want, held, err := maskConfig(secretConfig)
	if err != nil {
		t.Fatal(err)
	}
	masked, again := maskBroken(secretConfig + ",")
	if masked != want+"," || len(again) != len(held) {
		t.Errorf("masked %s", masked)
	}
	for path, value := range held {
		if string(again[path]) != string(value) {
			t.Errorf("%s is held as %s, want %s", path, again[path], value)
		}
	}
	for _, text := range []string{"", `"`, "{", "}", "]", `{"password`, `{"a": [1, {`, "\\", `"\`} {
		if masked, _ := maskBroken(text); len(masked) < len(text) {
			t.Errorf("%q becomes %q", text, masked)
		}
	}
}

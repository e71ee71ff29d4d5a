package shorten_test

import (
	"strings"
	"testing"

	"tinyforge/deploy/shorten"
)

func TestTo(t *testing.T) {
	for text, want := range map[string]string{"": "", "abc": "abc", "äöü": "äöü", "äöüx": "äö…", strings.Repeat("x", 1000): "xx…"} {
		if got := shorten.To(text, 3); got != want {
			t.Errorf("%q is cut to %q, want %q", text, got, want)
		}
	}
	if got := shorten.Typed(strings.Repeat("x", 81)); got != strings.Repeat("x", 79)+"…" {
		t.Errorf("got %q", got)
	}
}

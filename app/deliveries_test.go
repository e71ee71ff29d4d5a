package app

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"testing"
)

func TestVerifyHMAC(t *testing.T) {
	// GitHub documentation, "Validating webhook deliveries".
	const secret, text = "It's a Secret to Everybody", "Hello, World!"
	const signature = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
	for name, tc := range map[string]struct {
		secret, text, signature string
		want                    bool
	}{
		"published":       {secret, text, signature, true},
		"upper case":      {secret, text, strings.ToUpper(signature), true},
		"other text":      {secret, text + " ", signature, false},
		"other secret":    {secret + " ", text, signature, false},
		"cut":             {secret, text, signature[:62], false},
		"longer":          {secret, text, signature + "00", false},
		"empty signature": {secret, text, "", false},
		"no hexadecimal":  {secret, text, strings.Repeat("zz", 32), false},
		"empty secret":    {"", text, emptyKeyMAC(text), false},
	} {
		if got := VerifyHMAC(tc.secret, []byte(tc.text), tc.signature); got != tc.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// emptyKeyMAC is what a forge without a secret could sign with.
func emptyKeyMAC(text string) string {
	mac := hmac.New(sha256.New, nil)
	mac.Write([]byte(text))
	return hex.EncodeToString(mac.Sum(nil))
}

func TestRepositorySecret(t *testing.T) {
	// printf 'repository 4711' | openssl dgst -sha256 -hmac 'a secret'
	const want = "733595acd08bb6f5682665d23609c1e7b2d832d810fc4d309260bb73ff7f0cdf"
	if got := RepositorySecret("a secret", 4711); got != want {
		t.Errorf("got %s", got)
	}
	if got := RepositorySecret("", 4711); got != "" {
		t.Errorf("of no secret: %s", got)
	}
}

func TestForm(t *testing.T) {
	for contentType, want := range map[string]bool{
		"application/x-www-form-urlencoded":                true,
		"application/x-www-form-urlencoded; charset=utf-8": true,
		"application/json":                                 false,
		"":                                                 false,
		";;":                                               false,
	} {
		if got := IsForm(http.Header{"Content-Type": {contentType}}); got != want {
			t.Errorf("%q: %v", contentType, got)
		}
	}
	if got, err := FormPayload([]byte("payload=%7B%22a%22%3A+1%26%7D")); err != nil || string(got) != `{"a": 1&}` {
		t.Errorf("got %q, %v", got, err)
	}
	for _, body := range []string{
		"", "a=b", "payload=%zz", `{"a":1}`, "a=b&payload=%7B%7D", "payload=%7B%7D&a=b", "payload=%7B%7D&payload=%7B%7D", "payload=%7B%7D&",
		"&payload=%7B%7D", " payload=%7B%7D", `{"message":"x&payload=%7B%7D&"}`,
	} {
		if got, err := FormPayload([]byte(body)); err == nil {
			t.Errorf("%q: got %q", body, got)
		}
	}
}

func TestHashesRefsAndNames(t *testing.T) {
	for s, want := range map[string]bool{
		strings.Repeat("a", 40): true, strings.Repeat("0", 64): true,
		strings.Repeat("a", 41): false, strings.Repeat("A", 40): false, strings.Repeat("g", 40): false, "": false, "-": false,
	} {
		if ValidHash(s) != want {
			t.Errorf("hash %q", s)
		}
	}
	for s, want := range map[string]bool{
		strings.Repeat("0", 40): true, strings.Repeat("0", 64): true, strings.Repeat("0", 39) + "1": false, "": false, "0": false,
	} {
		if ZeroHash(s) != want {
			t.Errorf("zero %q", s)
		}
	}
	for s, want := range map[string]bool{
		"refs/heads/main": true, "refs/heads/feature/ü": true, "refs/tags/v1": true,
		"refs/heads/": false, "refs/tags/": false, "main": false, "": false, "refs/pull/1/head": false, "refs/heads/a\nb": false,
	} {
		if ValidRef(s) != want {
			t.Errorf("ref %q", s)
		}
	}
	for s, want := range map[string]bool{
		"acme/site": true, "a-b/c.d_e": true, "acme/.github": true,
		"acme": false, "acme/": false, "/site": false, "a/b/c": false, "../site": false, "acme/..": false, "acme/.": false,
		"acme/a b": false, "acme/a?b": false, "acme/a%2e": false, "acme/ä": false, "": false,
	} {
		if _, _, ok := SplitName(s); ok != want {
			t.Errorf("name %q", s)
		}
	}
	for s, want := range map[string]bool{
		"acme/site": true, "acme/tools/site": true, "a/b/c/d/e": true, "a-b/c_d/e.f": true,
		"acme": false, "": false, "/": false, "acme//site": false, "/acme/site": false, "acme/site/": false, "acme/../site": false,
		"acme/./site": false, "acme/tools/..": false, "acme/a b/site": false, "acme/a%2e/site": false, "acme/ä/site": false, "acme/a?b/c": false,
	} {
		if NestedName(s) != want {
			t.Errorf("nested name %q", s)
		}
	}
}

func TestFirstLineAndPaths(t *testing.T) {
	for message, want := range map[string]string{"one\n\ntwo": "one", "one\r\ntwo": "one", "\n one": "one", "": "", "a\x00b\x1b[31mc": "ab[31mc",
		strings.Repeat("ü", 300): strings.Repeat("ü", 249) + "…"} {
		if got := FirstLine(message); got != want {
			t.Errorf("%q: %q", message, got)
		}
	}
	if got := Paths([]string{"b", "a"}, nil, []string{"a"}); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("got %v", got)
	}
}

package app

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// VerifyHMAC tells whether signature, in hexadecimal, is the HMAC-SHA256 of text under secret. The comparison takes
// constant time. An empty secret never verifies: a forge without one signs with it, or sends an empty signature.
func VerifyHMAC(secret string, text []byte, signature string) bool {
	got, err := hex.DecodeString(signature)
	if err != nil || secret == "" || len(got) != sha256.Size {
		return false
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(text)
	return hmac.Equal(got, mac.Sum(nil))
}

// RepositorySecret is what a webhook of one repository signs with, derived from the forge's secret: whoever may look at that
// webhook can sign for no other repository. It is hexadecimal, and "" when the forge has no secret.
func RepositorySecret(forgeSecret string, externalID int64) string {
	if forgeSecret == "" {
		return ""
	}
	mac := hmac.New(sha256.New, []byte(forgeSecret))
	_, _ = fmt.Fprintf(mac, "repository %d", externalID)
	return hex.EncodeToString(mac.Sum(nil))
}

// IsForm tells whether a delivery's body is a form with the JSON in its field payload.
func IsForm(h http.Header) bool {
	kind, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return err == nil && kind == "application/x-www-form-urlencoded"
}

// FormPayload returns the field payload of a form that has no other. A Content-Type is not signed: were the field looked for
// further on, text that somebody put into a signed JSON could be read as another delivery.
func FormPayload(body []byte) ([]byte, error) {
	value, found := bytes.CutPrefix(body, []byte("payload="))
	if !found || bytes.ContainsRune(value, '&') {
		return nil, errors.New("the form is not the one field payload")
	}
	text, err := url.QueryUnescape(string(value))
	if err != nil {
		return nil, errors.New("the form's field payload is not encoded correctly")
	}
	return []byte(text), nil
}

// ValidHash tells whether s is a full hash of git: 40 or 64 hexadecimal digits, in lower case.
func ValidHash(s string) bool {
	return (len(s) == 40 || len(s) == 64) && strings.Trim(s, "0123456789abcdef") == ""
}

// ZeroHash tells whether s is what stands for "no commit".
func ZeroHash(s string) bool { return ValidHash(s) && strings.Trim(s, "0") == "" }

// ValidRef tells whether s is the full name of a branch or a tag.
func ValidRef(s string) bool {
	name, branch := strings.CutPrefix(s, "refs/heads/")
	if !branch {
		var tag bool
		if name, tag = strings.CutPrefix(s, "refs/tags/"); !tag {
			return false
		}
	}
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// SplitName splits a repository's full name into the two path segments it consists of. It reports false for names that
// would be anything else in a URL.
func SplitName(full string) (owner, name string, ok bool) {
	owner, name, ok = strings.Cut(full, "/")
	return owner, name, ok && validSegment(owner) && validSegment(name)
}

// NestedName tells whether full is a repository's full name on a forge where groups may lie within groups: two or more of
// the path segments that SplitName splits a name into.
func NestedName(full string) bool {
	segments := strings.Split(full, "/")
	return len(segments) > 1 && !slices.ContainsFunc(segments, func(s string) bool { return !validSegment(s) })
}

func validSegment(s string) bool {
	if s == "" || s == "." || s == ".." {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.", r))
	})
}

// FirstLine returns the first line of a text that people wrote, such as a commit message, fit for one line of a page or
// a log: without control characters and surrounding space, and of at most 250 characters.
func FirstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	line = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, line)
	return strings.TrimSpace(Shorten(line, 250))
}

// Shorten cuts a text to at most limit characters, the last of which is then an ellipsis.
func Shorten(text string, limit int) string {
	if utf8.RuneCountInString(text) <= limit {
		return text
	}
	return string([]rune(text)[:limit-1]) + "…"
}

// Paths returns the distinct paths of several lists, sorted.
func Paths(lists ...[]string) []string {
	all := slices.Concat(lists...)
	slices.Sort(all)
	return slices.Compact(all)
}

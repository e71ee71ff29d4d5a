package npm

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode"

	"tinyforge/deploy"
)

// refusal is an answer of Nginx Proxy Manager that is not a success.
type refusal struct {
	status  int
	message string // its own words, cleaned
}

// Error is fit for users: Nginx Proxy Manager is theirs.
func (e *refusal) Error() string {
	text := fmt.Sprintf("Nginx Proxy Manager answered %d", e.status)
	if e.message != "" && e.status < http.StatusInternalServerError { // "Internal Error" says nothing
		text += ": " + e.message
	}
	return text
}

// statusOf returns the status of a refusal; 0 for any other error.
func statusOf(err error) int {
	var r *refusal
	if errors.As(err, &r) {
		return r.status
	}
	return 0
}

func newRefusal(status int, body []byte) *refusal {
	var said struct {
		Error struct {
			Message string `json:"message"`
		} `json:"error"`
	}
	_ = json.Unmarshal(body, &said)
	return &refusal{status: status, message: clean(said.Error.Message)}
}

// staleToken tells whether an answer may mean that our token is no longer good, for which Nginx Proxy Manager has many
// words: an expired one is 400, a missing one 404 with the request's path or 403, one that it cannot verify 500.
func (e *refusal) staleToken(method string) bool {
	switch e.status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return true
	case http.StatusBadRequest:
		return strings.HasPrefix(e.message, "Token has expired")
	case http.StatusNotFound:
		return strings.HasPrefix(e.message, "Not Found - /")
	case http.StatusInternalServerError:
		return method == http.MethodGet
	}
	return false
}

// inUse tells whether a creation was refused because another host has the name.
func inUse(err error) bool {
	var r *refusal
	return errors.As(err, &r) && r.status == http.StatusBadRequest && strings.Contains(r.message, "is already in use")
}

const cleanMost = 200

// clean returns the first line of a text in printable characters, cut.
func clean(text string) string {
	text, _, _ = strings.Cut(strings.TrimSpace(text), "\n")
	text = strings.TrimSpace(strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) {
			return ' '
		}
		return c
	}, strings.ToValidUTF8(text, "")))
	if letters := []rune(text); len(letters) > cleanMost {
		text = string(letters[:cleanMost]) + "..."
	}
	return text
}

// failure makes an error's own text what the user reads, unless it is no text for users.
func failure(what string, err error) error {
	var known *deploy.Failure
	if errors.As(err, &known) {
		return &deploy.Failure{Text: what + ": " + known.Text, Err: known.Err}
	}
	var r *refusal
	if errors.As(err, &r) {
		return &deploy.Failure{Text: what + ": " + r.Error()}
	}
	return fmt.Errorf("%s: %w", what, err)
}

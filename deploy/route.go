package deploy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/crypto/bcrypt"

	"tinyforge/db"
)

// mostCost bounds what one comparison with a bcrypt hash may take: about a second.
const mostCost = 14

// CheckRoute tells what of a route no router can do because it makes no sense, in words that say what to do instead.
// Check of every Router tells that too.
func CheckRoute(rt db.Route) error {
	if rt.RedirectTo != "" && strings.EqualFold(rt.RedirectTo, rt.Host) {
		return fmt.Errorf("%s would be redirected to itself: take it out of the redirects", rt.Host)
	}
	for _, prefix := range rt.Paths {
		if problem := CheckPrefix(prefix); problem != "" {
			return fmt.Errorf("the path prefix %q %s", prefix, problem)
		}
	}
	switch {
	case rt.StripPrefix && len(rt.Paths) == 0:
		return errors.New("there is no path prefix that could be taken off: name one, or do not ask for that")
	case rt.MaxBody < 0:
		return errors.New("the largest body must not be below 0: leave it out to allow any")
	case rt.Timeout < 0:
		return errors.New("the time-out must not be below 0: leave it out to wait for any time")
	}
	return checkBasicAuth(rt.BasicAuth)
}

// CheckPrefix tells what is wrong with a path prefix, and what to do; "" means nothing.
func CheckPrefix(s string) string {
	odd := func(c rune) bool {
		return unicode.IsSpace(c) || unicode.IsControl(c) || strings.ContainsRune(`%?#;*\`, c)
	}
	segments := strings.Split(strings.TrimPrefix(s, "/"), "/")
	switch {
	case !strings.HasPrefix(s, "/"):
		return `must begin with "/", such as "/app"`
	case s == "/":
		return "is all paths: leave it out, and all are served"
	case slices.ContainsFunc(segments[:len(segments)-1], isEmpty), slices.ContainsFunc(segments, isDots):
		return `must not have "//", "." or ".." in it: write the path as it is asked for, such as "/app"`
	case strings.HasSuffix(s, "/"):
		return fmt.Sprintf(`must not end with "/": %q stands for itself and all below it`, strings.TrimRight(s, "/"))
	case strings.ContainsFunc(s, odd):
		return `must be a plain path, such as "/app", without spaces and without any of %?#;*\`
	}
	return ""
}

func isEmpty(segment string) bool { return segment == "" }

func checkBasicAuth(users []db.BasicAuth) error {
	names := map[string]bool{}
	for _, u := range users {
		if problem := CheckUsername(u.Username); problem != "" {
			return fmt.Errorf("the user name %q %s", u.Username, problem)
		}
		if names[u.Username] {
			return fmt.Errorf("the user name %q is given twice: leave one of them out", u.Username)
		}
		names[u.Username] = true
		if cost, err := bcrypt.Cost([]byte(u.Hash)); err != nil || cost > mostCost {
			return fmt.Errorf("the password of %q is not kept as a bcrypt hash of a cost of at most %d: set it again", u.Username, mostCost)
		}
	}
	return nil
}

// CheckUsername tells what is wrong with a user name for basic authentication, and what to do; "" means nothing.
func CheckUsername(s string) string {
	switch {
	case s == "":
		return "is empty"
	case strings.Contains(s, ":"):
		return `must not have ":" in it: browsers put it between the name and the password`
	case strings.ContainsFunc(s, unicode.IsControl):
		return "must be one line of text"
	}
	return ""
}

// MostPassword is how many bytes of a password count: bcrypt looks at no more.
const MostPassword = 72

package settings

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"tinyforge/templates"
)

// form reads what was posted, or what was typed before the session and kept: that is never valid.
func (v *visit) form() (*templates.Form, error) {
	values, err := v.posted()
	if err != nil || !values.Has("resumed") {
		return &templates.Form{Values: values}, err
	}
	was, err := v.openResumed(values.Get("resumed"))
	if err != nil {
		return nil, err
	}
	v.resumed = true
	return &templates.Form{Values: was.Values, Resumed: true}, nil
}

// posted reads what was posted. Values are trimmed of nothing; line ends are made "\n".
func (v *visit) posted() (url.Values, error) {
	err := v.r.ParseForm()
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, err
	case err != nil:
		return nil, refuse(http.StatusBadRequest, "http.400")
	}
	values := url.Values{}
	for name, list := range v.r.PostForm {
		for _, s := range list {
			values.Add(name, strings.ToValidUTF8(strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\x00", ""), "\uFFFD"))
		}
	}
	return values, nil
}

// filled is a form as it is before anybody typed.
func filled(pairs ...string) *templates.Form {
	values := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		values.Set(pairs[i], pairs[i+1])
	}
	return &templates.Form{Values: values}
}

// localPath tells whether a place to go on to is a page of ours.
func localPath(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Scheme == "" && u.Host == "" && u.User == nil && strings.HasPrefix(s, "/") &&
		!strings.HasPrefix(s, "//") && !strings.ContainsAny(s, "\\\r\n\t")
}

package forgetest

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"tinyforge/app"
)

// signatures refuses what is not signed with the secret, and says apart what is signed but useless. Where a forge signs
// nothing and sends a secret instead, that cannot tell whether a body is the forge's.
func (e *exercise) signatures() {
	e.listen()
	e.write("index.html", "<h1>one</h1>\n")
	e.commit("Add site")
	sent := e.pushed("main")
	e.one(sent)
	d := sent[0]

	for name, change := range map[string]func(h http.Header, body []byte) (http.Header, []byte){
		"body altered": func(h http.Header, body []byte) (http.Header, []byte) {
			return h, bytes.Replace(body, []byte("refs/heads/main"), []byte("refs/heads/evil"), 1)
		},
		"body truncated":     func(h http.Header, body []byte) (http.Header, []byte) { return h, body[:len(body)-1] },
		"body empty":         func(h http.Header, _ []byte) (http.Header, []byte) { return h, nil },
		"headers absent":     func(_ http.Header, body []byte) (http.Header, []byte) { return http.Header{}, body },
		"signature absent":   signature(func(string) []string { return nil }),
		"signature empty":    signature(func(string) []string { return []string{""} }),
		"signature nothing":  signature(func(v string) []string { return []string{v[:strings.IndexAny(v, "=,")+1]} }),
		"signature altered":  signature(func(v string) []string { return []string{flip(v)} }),
		"signature cut":      signature(func(v string) []string { return []string{v[:len(v)-2]} }),
		"signature no hex":   signature(func(v string) []string { return []string{strings.Repeat("z", len(v))} }),
		"signed by somebody": e.otherSecret,
	} {
		if name == "body altered" && !signs(d.Header) {
			continue
		}
		e.Run(name, func(t *testing.T) {
			h, body := change(d.Header.Clone(), bytes.Clone(d.Body))
			if p, err := e.forge.Push(h, body); !errors.Is(err, app.ErrSignature) {
				t.Errorf("decoded as %+v with error %v, want ErrSignature", p, err)
			}
		})
	}
	e.signedButUseless()
}

// signs tells whether a delivery has a signature.
func signs(h http.Header) bool {
	for name := range h {
		if strings.Contains(name, "Signature") {
			return true
		}
	}
	return false
}

// signature changes all headers that prove something.
func signature(change func(string) []string) func(http.Header, []byte) (http.Header, []byte) {
	return func(h http.Header, body []byte) (http.Header, []byte) {
		for name := range h {
			if !strings.Contains(name, "Signature") && name != "X-Gitlab-Token" {
				continue
			}
			if values := change(h.Get(name)); values == nil {
				h.Del(name)
			} else {
				h[name] = values
			}
		}
		return h, body
	}
}

func flip(s string) string {
	last := byte('0')
	if s[len(s)-1] == last {
		last = '1'
	}
	return s[:len(s)-1] + string(last)
}

// otherSecret signs the same body as another forge of the same kind.
func (e *exercise) otherSecret(_ http.Header, body []byte) (http.Header, []byte) {
	other, err := Start(e.options)
	e.must(err)
	h := other.Sign("push", body)
	e.must(other.Close())
	return h, body
}

// signedButUseless is signed, but no push: an error, whichever, unless it says itself that it is JSON or something else.
func (e *exercise) signedButUseless() {
	for name, c := range map[string]struct {
		event, body string
		want        error
	}{
		"not JSON":       {"push", "surprise", app.ErrMalformed},
		"half a JSON":    {"push", `{"ref":"refs/heads/main"`, app.ErrMalformed},
		"wrong type":     {"push", `{"ref":7}`, app.ErrMalformed},
		"a list":         {"push", `[]`, app.ErrMalformed},
		"other event":    {"star", `{"action":"created"}`, app.ErrIgnored},
		"an issue":       {"issues", `{"action":"opened"}`, app.ErrIgnored},
		"event not said": {"", `{}`, nil},
		"nothing in it":  {"push", `{}`, nil},
		"ref is no ref":  {"push", useless("main", strings.Repeat("a", 40), aRepository), nil},
		"after no hash":  {"push", useless("refs/heads/main", "--upload-pack=evil", aRepository), nil},
		"no repository":  {"push", useless("refs/heads/main", strings.Repeat("a", 40), "null"), nil},
	} {
		e.Run(name, func(t *testing.T) {
			p, err := e.forge.Push(e.s.Sign(c.event, []byte(c.body)), []byte(c.body))
			if err == nil || errors.Is(err, app.ErrSignature) || c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("decoded as %+v with error %v, want %v", p, err, c.want)
			}
		})
	}
}

const aRepository = `{"id":1,"full_name":"a/b","path_with_namespace":"a/b"}`

// useless is a push event in the words of all forges.
func useless(ref, after, repository string) string {
	return fmt.Sprintf(`{"object_kind":"push","ref":%q,"before":%q,"after":%q,"repository":%s,"project":%s}`, ref, zeroID, after, repository, repository)
}

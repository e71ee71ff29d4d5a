package github

import (
	"net/url"
	"strings"
	"testing"
)

// A Content-Type is not signed. Somebody who gets text into a signed body, for example into a commit's message, must not have
// that read as a form by sending the delivery again under another one.
func TestPushOfJSONThatHoldsAForm(t *testing.T) {
	inner := strings.ReplaceAll(string(readFile(t, "testdata/push.branch.json")), "acme/site", "evil/site")
	field := "payload=" + url.QueryEscape(inner)
	outer := string(readFile(t, "testdata/push.branch.json"))
	for name, body := range map[string]string{
		"in a message":   strings.Replace(outer, "Greet", "Greet &"+field+"&", 1),
		"in front":       "&" + field + "&" + outer,
		"behind another": "a=" + outer + "&" + field,
		"beside another": field + "&a=" + outer,
		"twice":          field + "&" + field,
	} {
		if !strings.Contains(body, field) {
			t.Fatalf("%s: the body holds no form", name)
		}
		h := signedHeader("push", "application/x-www-form-urlencoded", []byte(body))
		if got := describe(testForge(secret).Push(h, []byte(body))); got != "malformed" {
			t.Errorf("%s: %s", name, got)
		}
	}
}

package npm

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestSnippetComesAndGoes and leaves what a person wrote.
func TestSnippetComesAndGoes(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "client_max_body_size 1m;\n", "a;\n\nb;\n"} {
		one := withSnippet(text, "question", "answer")
		if got := withoutSnippet(one); got != text {
			t.Errorf("%q comes back as %q", text, got)
		}
		if again := withSnippet(one, "question", "answer"); again != one {
			t.Errorf("put in again it is\n%s", again)
		}
		other := withSnippet(one, "other", "answer")
		if strings.Contains(other, "question") || strings.Count(other, snippetBegin) != 1 {
			t.Errorf("replaced it is\n%s", other)
		}
		if ownRoot.MatchString(one) {
			t.Error("it reads as a location / of its own")
		}
	}
	moved := withSnippet("", "q", "a") + "below;\n" // a person wrote below it
	if got := withoutSnippet(moved); got != "below;\n" {
		t.Errorf("what is below is %q", got)
	}
	if half := "a;\n" + snippetBegin + "\nb;"; withoutSnippet(half) != half {
		t.Error("a snippet without an end takes what is behind it along")
	}
}

func TestSecretsAreApart(t *testing.T) {
	t.Parallel()
	key := []byte("0123456789abcdef")
	seen := map[string]bool{}
	for workload := range int64(3) {
		question, answer := secretsOf(key, workload)
		again, _ := secretsOf(key, workload)
		if seen[question], seen[answer] = true, true; len(question) < 32 || again != question {
			t.Errorf("%q, then %q", question, again)
		}
	}
	if len(seen) != 6 {
		t.Errorf("%d secrets", len(seen))
	}
}

func TestTargets(t *testing.T) {
	t.Parallel()
	for _, to := range []target{{"http", "tf-web-1", 80}, {"https", "10.0.0.1", 8443}, {"http", "[::1]", 1}} {
		if got, ok := parseSaid(to.said()); !ok || got != to {
			t.Errorf("%+v is read as %+v", to, got)
		}
		if got := to.respelled(to); to.Host != "10.0.0.1" && to.Host != "[::1]" && (got == to || !got.same(to) || got.respelled(got) != to) {
			t.Errorf("%+v respelled is %+v", to, got)
		}
	}
	for _, text := range []string{"", "http://", "tf-web-1:80", "http://tf-web-1", "http://:80", "http://a:b"} {
		if got, ok := parseSaid(text); ok {
			t.Errorf("%q is read as %+v", text, got)
		}
	}
}

// TestMarks: older versions answer booleans as numbers, and meta belongs to many.
func TestMarks(t *testing.T) {
	t.Parallel()
	var row proxyHost
	text := `{"id":1,"enabled":1,"domain_names":["WWW.example.com"],"meta":{"note":[1],"nginx_online":true,"nginx_err":null,
		"tinyforge":{"instance":"a","workload":2,"host":"www.example.com"}},"locations":null}`
	if err := json.Unmarshal([]byte(text), &row); err != nil || !bool(row.Enabled) || !row.has("www.example.com") || row.took() != nil {
		t.Errorf("the row is %+v, %v", row, err)
	}
	if m := row.mark(); m == nil || m.Workload != 2 {
		t.Errorf("the mark is %+v", m)
	}
	sent, _ := json.Marshal(row.metaWith(nil))
	if string(sent) != `{"note":[1]}` {
		t.Errorf("without the mark it is %s", sent)
	}
	for _, meta := range []string{`null`, `[]`, `{}`, `{"tinyforge":1}`, `{"tinyforge":{}}`} {
		row.Meta = json.RawMessage(meta)
		if row.mark() != nil {
			t.Errorf("%s is a mark", meta)
		}
	}
}

// TestWordsOfNPM are its own: one line, no control characters, not endless.
func TestWordsOfNPM(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                "",
		"one\ntwo":                        "one",
		"\n\x1b[31mred\x00\n":             "[31mred",
		"bad \xff byte":                   "bad  byte",
		strings.Repeat("я", cleanMost+50): strings.Repeat("я", cleanMost) + "...",
	} {
		if got := clean(text); got != want {
			t.Errorf("%q becomes %q", text, got)
		}
	}
}

package settings

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

func TestParseEnv(t *testing.T) {
	for text, want := range map[string][]pasted{
		"A=1\r\nB = two words \r\n":        {{"A", "1"}, {"B", "two words"}},
		"\uFEFFexport A=1\n# B=2\n\nC=a#b": {{"A", "1"}, {"C", "a#b"}},
		"A=1 # one\nB='x # y' # z":         {{"A", "1"}, {"B", "x # y"}},
		"A=\"line 1\nline 2\"\nB=2":        {{"A", "line 1\nline 2"}, {"B", "2"}},
		`A="q\"\n\\t\x$B"`:                 {{"A", "q\"\n\\t\\x$B"}},
		`A='it\n$B'`:                       {{"A", `it\n$B`}},
		"URL=http://h/?a=b==":              {{"URL", "http://h/?a=b=="}},
		"A=1\nB=2\nA=3":                    {{"B", "2"}, {"A", "3"}},
		"A=\n":                             {{"A", ""}},
		"A= # one\nB=\t#two\nC=#fff":       {{"A", ""}, {"B", ""}, {"C", "#fff"}},
		`J={"a": "b #c"} `:                 {{"J", `{"a": "b #c"}`}},
		`J={"a": 1} # {`:                   {{"J", `{"a": 1}`}},
		"A=\"line 1  \n line 2\" \nB=2":    {{"A", "line 1  \n line 2"}, {"B", "2"}},
		"ИМЯ=1\nnothing\nA=1":              {{"A", "1"}},
		"MY_KEY=\"open\nB=2":               {{"B", "2"}},
	} {
		got, wrong, left := parseEnv(text)
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
		if strings.Contains(text, "nothing") && fmt.Sprint(wrong) != "[{err.env_line [line 1] false 0  } {err.env_line [line 2] false 0  }]" ||
			strings.Contains(text, "open") && (len(wrong) != 1 || wrong[0].Key != "err.env_quote" || left != "MY_KEY=\n") {
			t.Errorf("%q: wrong are %v", text, wrong)
		}
	}
}

// TestEnvTextRoundTrip: what is shown as text is read as what it was.
func TestEnvTextRoundTrip(t *testing.T) {
	rows := []envRow{{Name: "A", Value: " x "}, {Name: "B", Value: "a\nb\t\"c\" \\n '#"}, {Name: "C", Was: "C", Secret: true}, {Name: "D"}, {Name: "E", Value: "$HOME"}}
	all, wrong, _ := parseEnv(envText(rows))
	typed := newSecrets()
	got, replaced := paste(rows, all, true, typed)
	if !reflect.DeepEqual(got, rows) || len(wrong) > 0 || replaced != 5 || !typed.empty() {
		t.Errorf("got %+v (%v), %d replaced", got, wrong, replaced)
	}
}

func TestPaste(t *testing.T) {
	rows := []envRow{{Name: "A", Value: "1"}, {Name: "PLAIN", Was: "PLAIN", Secret: true}}
	typed := newSecrets()
	got, replaced := paste(rows, []pasted{{"A", "2"}, {"PLAIN", "new"}, {"DB_URL", "postgres://u:p@h/d"}}, false, typed)
	want := []envRow{{Name: "A", Value: "2"}, {Name: "PLAIN", Was: "PLAIN", Secret: true}, {Name: "DB_URL", Was: "DB_URL", Secret: true, index: -1}}
	if !reflect.DeepEqual(got, want) || replaced != 2 || typed.Env["PLAIN"] != "new" || typed.Env["DB_URL"] != "postgres://u:p@h/d" {
		t.Errorf("got %+v, %d replaced, %v typed", got, replaced, typed.Env)
	}
	if got, _ = paste(rows, []pasted{{"B", "1"}}, true, typed); len(got) != 1 || got[0].Name != "B" {
		t.Errorf("replaced: %+v", got)
	}
}

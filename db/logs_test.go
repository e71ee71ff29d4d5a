package db_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"tinyforge/db"
)

func TestLog(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		dep := f.queued("", "A")
		at := time.Now().Truncate(time.Microsecond)
		var lines []db.LogLine
		for i := range 10 {
			lines = append(lines, db.LogLine{DeploymentID: dep.ID, Phase: db.PhaseBuilding, At: at, Text: fmt.Sprintf("line %d's text", i)})
		}
		f.check(f.AppendLog(t.Context(), lines[:6]...))
		f.check(f.AppendLog(t.Context()))
		f.check(f.AppendLog(t.Context(), lines[6:]...))
		got, err := f.Log(t.Context(), dep.ID, 0, 4)
		f.check(err)
		rest, err := f.Log(t.Context(), dep.ID, got[3].ID, 100)
		f.check(err)
		if got = append(got, rest...); len(got) != 10 {
			t.Fatalf("got %d lines", len(got))
		}
		for i, line := range got {
			if line.Text != lines[i].Text || line.Phase != db.PhaseBuilding || !line.At.Equal(at) || line.DeploymentID != dep.ID || line.ID == 0 {
				t.Errorf("line %d: %+v", i, line)
			}
		}
		if lines[0].ID != 0 {
			t.Error("the caller's lines changed")
		}
		if none, err := f.Log(t.Context(), dep.ID+1, 0, 100); err != nil || len(none) != 0 {
			t.Errorf("of another deployment: %v, %v", none, err)
		}
		if f.AppendLog(t.Context(), db.LogLine{DeploymentID: 999, Text: "of nothing"}) == nil {
			t.Error("appended to a deployment that does not exist")
		}
	})
}

func TestLogTakesAnyText(t *testing.T) {
	const most = 8 << 10
	each(t, func(t *testing.T, f *fixture) {
		dep := f.queued("", "A")
		for name, c := range map[string]struct{ text, want string }{
			"empty":              {"", ""},
			"NUL":                {"a\x00b\x00", "ab"},
			"invalid":            {"a\xffb\xc3", "a\uFFFDb\uFFFD"},
			"quotes":             {`it's "quoted" ? \ ?0 $1 {{.ID}}`, `it's "quoted" ? \ ?0 $1 {{.ID}}`},
			"colours":            {"\x1b[31mred\x1b[0m\ttab", "\x1b[31mred\x1b[0m\ttab"},
			"not only ASCII":     {"Привет, 世界 🎉", "Привет, 世界 🎉"},
			"as long as may be":  {strings.Repeat("x", most), strings.Repeat("x", most)},
			"longer":             {strings.Repeat("x", most+1), strings.Repeat("x", most)},
			"cut in a character": {strings.Repeat("x", most-1) + "世界", strings.Repeat("x", most-1)},
			"cut before one":     {strings.Repeat("x", most) + "世界", strings.Repeat("x", most)},
			"invalid and long":   {strings.Repeat("\xffx", most), strings.Repeat("\uFFFDx", most/4)},
			"nothing but halves": {strings.Repeat("\x80", 2*most), "\uFFFD"},
		} {
			f.check(f.AppendLog(t.Context(), db.LogLine{DeploymentID: dep.ID, Text: c.text}))
			lines, err := f.Log(t.Context(), dep.ID, 0, 1000)
			f.check(err)
			got := lines[len(lines)-1].Text
			if got != c.want {
				t.Errorf("%s: got %d bytes %.40q, want %d bytes %.40q", name, len(got), got, len(c.want), c.want)
			}
			if len(got) > most || !utf8.ValidString(got) {
				t.Errorf("%s: %d bytes", name, len(got))
			}
		}
	})
}

func TestLogTakesManyLongLines(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		dep := f.queued("", "A")
		lines := make([]db.LogLine, 300)
		for i := range lines {
			lines[i] = db.LogLine{DeploymentID: dep.ID, Text: fmt.Sprint(i, strings.Repeat("'", 20_000))}
		}
		f.check(f.AppendLog(t.Context(), lines...))
		got, err := f.Log(t.Context(), dep.ID, 0, 1000)
		f.check(err)
		for i, line := range got {
			if !strings.HasPrefix(line.Text, fmt.Sprint(i, "'")) {
				t.Fatalf("line %d: %.10s", i, line.Text)
			}
		}
		if len(got) != len(lines) {
			t.Errorf("got %d lines", len(got))
		}
	})
}

func TestLogLinesSteerNoTerminal(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		dep := f.queued("", "A")
		for in, want := range map[string]string{
			"plain\ttext":                                "plain\ttext",
			"\x1b[31mred\x1b[0m":                         "\x1b[31mred\x1b[0m",
			"\x1b[2Jgone\x1b[1;1H":                       "gone",
			"\x1b]0;title\x07text":                       "text",
			"\x1b]8;;https://evil.example.com\x1b\\link": "link",
			"10%\r20%\r100%\r":                           "100%",
			"a\x1b[3\x001mb":                             "a1mb",
			"\x1b\x1b[31mred":                            "\x1b[31mred",
			"\u009b2Jeight":                              "2Jeight",
			"back\b\b\x7f":                               "back",
			"end\x1b":                                    "end",
		} {
			f.check(f.AppendLog(t.Context(), db.LogLine{DeploymentID: dep.ID, Phase: db.PhaseBuilding, At: time.Now(), Text: in}))
			lines, err := f.Log(t.Context(), dep.ID, 0, 100)
			f.check(err)
			if got := lines[len(lines)-1].Text; got != want {
				t.Errorf("%q is kept as %q, want %q", in, got, want)
			}
		}
		if got := (db.LogLine{Text: "\x1b[1;31mred\x1b[0m."}).Plain(); got != "red." {
			t.Errorf("plain: %q", got)
		}
	})
}

func TestLogByNumber(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.queued("", "A")
		dep := f.claim()
		f.check(f.AppendLog(t.Context(), db.LogLine{DeploymentID: dep.ID, At: time.Now(), Text: "of another"}))
		other := f.queued("A", "B")
		for _, text := range []string{"one", "T\x1b[31mwo 100%", "Ёж", "two_2"} {
			f.check(f.AppendLog(t.Context(), db.LogLine{DeploymentID: other.ID, At: time.Now(), Text: text}))
		}
		if n, err := f.CountLog(t.Context(), other.ID); err != nil || n != 4 {
			t.Errorf("%d lines, %v", n, err)
		}
		lines, err := f.LogFrom(t.Context(), other.ID, 2, 2)
		f.check(err)
		if len(lines) != 2 || lines[0].Plain() != "Two 100%" || lines[1].Text != "Ёж" {
			t.Errorf("got %+v", lines)
		}
		if n, err := f.LogNumber(t.Context(), other.ID, lines[1].ID); err != nil || n != 3 {
			t.Errorf("line %d, %v", n, err)
		}
		for text, want := range map[string][]int{"two": {2, 4}, "100%": {2}, "two_": {4}, "ёЖ": {3}, "'": nil} {
			numbers, count, err := f.FindLog(t.Context(), other.ID, text, 10)
			f.check(err)
			equal(t, text, numbers, want)
			if count != len(want) {
				t.Errorf("%d lines hold %q", count, text)
			}
		}
		if numbers, count, err := f.FindLog(t.Context(), other.ID, "two", 1); err != nil || len(numbers) != 1 || count != 2 {
			t.Errorf("got %v of %d, %v", numbers, count, err)
		}
	})
}

package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"tinyforge/app"
)

// FuzzApplyFile: whatever the file, reading it ends, and either finds a fault or returns rows that can be saved.
func FuzzApplyFile(f *testing.F) {
	f.Add(goodForges)
	f.Add(goodWorkload + "    config: &c {port: 1, env: {A: env:TOKEN, B: 'text:env:x'}, healthcheck: {path: /}}\n")
	f.Add("forges: &a [&b {<<: *b}, *a]\nworkloads: [{config: [1.5, ~, 0x1f, .nan, \"\\u0000\"]}]\n")
	f.Add("? [a]\n: b\n---\n...\n")
	f.Add("a: |2-\n  b\n'c': >+\n\n\n")
	f.Add("%YAML 1.2\n---\n!!map {\"a\": !x b}\n")
	f.Add("- - - - a\n- {a: [b, {c}]}\n")
	env := map[string]string{"TOKEN": "t", "SECRET": "s"}
	files := map[string]string{"key.pem": rsaPEM()}
	f.Fuzz(func(t *testing.T, text string) {
		r := testReader(env, files)
		m := r.read([]byte(text))
		if err := r.faults.err(); err != nil {
			for line := range strings.Lines(err.Error()) {
				if !strings.Contains(line, ": ") {
					t.Errorf("this says nothing: %q", line)
				}
			}
			return
		}
		for _, w := range m.workloads {
			if !json.Valid(w.row.Config) || r.sources[w.row.Source].Validate(w.row.Config) != nil || app.CheckName(w.row.Name) != "" {
				t.Errorf("no fault in %+v, config %s", w.row, w.row.Config)
			}
		}
		for _, fg := range m.forges {
			if app.CheckName(fg.row.Name) != "" || fg.row.URL == "" || fg.row.Credentials.Token == "" && fg.row.Credentials.PrivateKey == "" {
				t.Errorf("no fault in %+v", fg.row)
			}
		}
	})
}

// TestManifestBombs: files that are made to use time or memory are refused quickly.
func TestManifestBombs(t *testing.T) {
	laughs := "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
	for i := range 9 {
		a := string(rune('0' + i))
		b := string(rune('1' + i))
		laughs += "a" + b + ": &a" + b + " [" + strings.TrimSuffix(strings.Repeat("*a"+a+", ", 10), ", ") + "]\n"
	}
	long := "k: &k " + strings.Repeat("x", 500_000) + "\nl: [" + strings.Repeat("*k, ", 1000) + "]\n"
	for name, test := range map[string]struct{ text, want string }{
		"laughs":       {laughs, "becomes too large"},
		"long":         {long, "becomes too large"},
		"merges":       {"a: &a {" + strings.Repeat("<<: [*a], ", 1000) + "}\n", "is not defined before it"},
		"large":        {strings.Repeat("#", maxManifest+1), "is larger than 1 MiB"},
		"brackets":     {strings.Repeat("[", 40_000), "is nested too deeply here"},
		"braces":       {strings.Repeat("{a: ", 15_000), "is nested too deeply here"},
		"entries":      {strings.Repeat("- ", 40_000), "is nested too deeply here"},
		"keys":         {strings.Repeat("? ", 40_000), "is nested too deeply here"},
		"long key":     {strings.Repeat("k", 100_000) + ": {" + strings.Repeat("a: , ", 12_000) + "}", "has a key of more than 256 bytes here"},
		"too many":     {"forges:\n" + strings.Repeat("- 1\n", 250_000), "has more than 50000 keys, values and signs"},
		"many lines":   {"a: 1\n" + strings.Repeat("b: 1\n", 16_000), "is not a known key"},
		"many entries": {"forges:\n" + strings.Repeat("- 1\n", 20_000), "must be an object"},
		"many strings": {"forges: [" + strings.Repeat("'', ", 20_000) + "]", "must be an object"},
		"one string":   {`forges: "` + strings.Repeat(`\n`, 500_000) + `"`, "must be a list"},
		"one block":    {"forges: |\n" + strings.Repeat(" x\n", 340_000), "must be a list"},
		"one plain":    {"forges: a\n" + strings.Repeat(" x\n", 340_000), "must be a list"},
		"tags":         {"forges: " + strings.Repeat("!a ", 20_000), ""},
		"anchors":      {"forges: " + strings.Repeat("&a ", 20_000), ""},
		"aliases":      {"forges: &a 1\n" + strings.Repeat("*a :\n", 10_000), ""},
		"documents":    {strings.Repeat("---\n", 20_000), "is empty"},
		"comments":     {strings.Repeat("#\n", 20_000), "is empty"},
	} {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			got := readFaults(t, test.text)
			if !strings.Contains(got, test.want) || got == "" {
				t.Errorf("got %.200s, want %s", got, test.want)
			}
			if took := time.Since(began); took > time.Minute {
				t.Errorf("it took %v", took)
			}
		})
	}
}

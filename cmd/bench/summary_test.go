package main

import (
	"strings"
	"testing"
)

func TestReadmeBeginsWithASummary(t *testing.T) {
	small := work{Name: "proxy, small answers", Base: caddyNow, Text: strings.Repeat("a text that is longer than a line ", 10)}
	for _, x := range []float64{100, 110, 120} {
		small.add(ours, "requests", "1/s", 1.5*x)
		small.add(caddyNow, "requests", "1/s", x)
	}
	failing := work{Name: "redeploy"}
	failing.add(ours, "failed", "number", 0)
	failing.add(caddyLater, "failed", "number", 3)
	r := &report{Works: []work{small, failing}}
	var out strings.Builder
	r.printReadme(&out)
	summary, tables, _ := strings.Cut(out.String(), "<details>\n<summary>All tables</summary>\n\n")
	for _, want := range []string{
		"| small requests through the proxy | 165 1/s | caddy, static: 110 1/s | 1.50 |\n",
		"| requests that fail in a round of redeploys | 0 | caddy PATCH, killed after 100 ms: 3.00 |  |\n",
	} {
		if !strings.Contains(summary, want) {
			t.Errorf("no line %q in %s", want, summary)
		}
	}
	if strings.Contains(summary, "HTTPS") {
		t.Errorf("there is a line of what was not measured in %s", summary)
	}
	if !strings.Contains(tables, "\n\n| | requests, 1/s |") || !strings.HasSuffix(tables, "|\n\n</details>\n") {
		t.Errorf("the tables do not stand by themselves: %s", tables)
	}
	for line := range strings.Lines(out.String()) {
		if len(line) > columns+1 && !strings.HasPrefix(line, "|") {
			t.Errorf("a line of %d characters: %s", len(line), line)
		}
	}
}

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
		small.add("nginx", "requests", "1/s", 2*x)
		small.add("haproxy", "requests", "1/s", 3*x)
		small.add(noProxy, "requests", "1/s", 4*x)
	}
	failing := work{Name: "redeploy"}
	failing.add(ours, "failed in 100", "number", 0)
	failing.add(caddyLater, "failed in 100", "number", 3)
	failing.add("nginx", "failed in 100", "number", 1)
	failing.add("haproxy", "failed in 100", "number", 2)
	failing.remark("First failure of nginx: ", "EOF")
	failing.remark("First failure of haproxy: ", "EOF")
	r := &report{Works: []work{small, failing}}
	var out strings.Builder
	r.printReadme(&out)
	summary, tables, _ := strings.Cut(out.String(), "<details>\n<summary>All tables</summary>\n\n")
	for _, want := range []string{
		"| small requests through the proxy | 165 1/s | caddy, static: 110 1/s | 1.50 | haproxy: 330 1/s |\n",
		"| requests that fail in 100 redeploys | 0 | caddy PATCH, killed after 100 ms: 3.00 |  | nginx: 1.00 |\n",
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
	if !strings.Contains(tables, "\n\n- First failure of nginx: EOF\n- First failure of haproxy: EOF\n\n| |") {
		t.Errorf("the remarks are no list: %s", tables)
	}
	for line := range strings.Lines(out.String()) {
		if len(line) > columns+1 && !strings.HasPrefix(line, "|") {
			t.Errorf("a line of %d characters: %s", len(line), line)
		}
	}
}

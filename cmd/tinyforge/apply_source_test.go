package main

import (
	"slices"
	"strings"
	"testing"
)

// TestSourcesByOtherNames: each name that people know from elsewhere leads to a source that there is.
func TestSourcesByOtherNames(t *testing.T) {
	r := &manifestReader{sources: sourceKinds(nil, "")}
	for name, want := range map[string]string{
		"deno":           `there is no source "deno": use static, with "mode: deno" in its config`,
		"docker":         `there is no source "docker": use dockerfile`,
		"docker-compose": `there is no source "docker-compose": use compose`,
		"site":           `there is no source "site": use static`,
		"html":           `there is no source "html": use static`,
		"Compose":        `there is no source "Compose": use compose`,
		"helm":           `"helm" is not known: use compose, dockerfile, image, static`,
	} {
		if got := r.checkSource(name); got != want {
			t.Errorf("source %s: %s, want %s", name, got, want)
		}
	}
	for other, name := range otherNames() {
		if r.sources[name] == nil {
			t.Errorf("%s is called %s, which is no source", other, name)
		}
	}
}

// TestListExamples: what is shown as right is read without a fault.
func TestListExamples(t *testing.T) {
	e := listExamples()
	text := "forges: " + e["forges"] + "\nworkloads: " + e["workloads"]
	text = strings.Replace(text, "token:", "networks: "+e["networks"]+", token:", 1)
	text = strings.Replace(text, "source:", "paths: "+e["paths"]+", host: www.example.com, route: {hosts: "+e["hosts"]+", redirects: "+e["redirects"]+
		", prefixes: "+e["prefixes"]+", basic_auth: "+e["basic_auth"]+"}, source:", 1)
	r := testReader(map[string]string{"TOKEN": secretText, "ANN_PASSWORD": secretText}, nil)
	if r.read([]byte(text)); len(r.faults) > 0 {
		t.Errorf("%s\nis refused: %v", text, r.faults)
	}
}

// TestApplySaysWhatIsNext: apply deploys nothing, and says so where somebody could wait for it.
func TestApplySaysWhatIsNext(t *testing.T) {
	b := newApplyBench(t)
	said := func(manifest string, want ...string) {
		t.Helper()
		out, err := b.apply(manifest, false)
		lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
		if err != nil || !slices.Equal(lines[len(lines)-len(want):], want) || strings.Count(out, "deploy") != strings.Count(strings.Join(want, "\n"), "deploy") {
			t.Errorf("printed was\n%s%v, want at its end\n%s", out, err, strings.Join(want, "\n"))
		}
	}
	const webNot, apiNot = "web: not deployed yet: push to acme/site, or press Deploy now on its page", "api: not deployed yet: push to acme/api, or press Deploy now on its page"
	said(benchAll, webNot, apiNot)
	if _, err := b.store.QueueCommit(t.Context(), b.workload("web").ID, "refs/heads/main", strings.Repeat("a", 40), "", ""); err != nil {
		t.Fatal(err)
	}
	said(benchAll, apiNot)
	said(strings.Replace(benchAll, "www.example.com", "web.example.com", 1), apiNot) // at once
	said(strings.Replace(benchAll, "port: 8080", "port: 8081", 1), "web: what changed takes effect with the next deployment", apiNot)
}

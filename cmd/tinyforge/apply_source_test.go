package main

import (
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

package main

import (
	"strings"
	"testing"
)

// TestApplyWarnsOfSecretsInTheFile: they are taken, each time with the advice to keep them elsewhere, and are not repeated.
func TestApplyWarnsOfSecretsInTheFile(t *testing.T) {
	b := newApplyBench(t)
	b.write("password", secretText)
	manifest := benchForges + "workloads:" + benchWeb + benchAPI
	manifest = strings.Replace(manifest, "{port: 8080,", "{build_secrets: {npm: "+secretText+", pip: file:password, none: ''}, port: 8080,", 1)
	manifest = strings.Replace(manifest, `ref: "tags/v*"`, "config: {image: x, registry: {username: me, password: 'text:env:"+secretText+"'}}", 1)
	manifest = strings.Replace(manifest, "source: dockerfile, config", "source: image, config", 1)
	const advice = ": is a secret that stands in this file, for all who can read it: write env:NAME or file:PATH instead\n"
	want := "warning: workloads[0].config.build_secrets.npm (line 23)" + advice + "warning: workloads[1].config.registry.password (line 25)" + advice
	for range 2 {
		out, err := b.apply(manifest, false)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(out, want) || strings.Count(out, "warning") != 2 || strings.Contains(out, secretText) {
			t.Errorf("it says\n%s\nwant it to begin with\n%s", out, want)
		}
	}
	if config := string(b.workload("web").Config); strings.Count(config, secretText) != 2 {
		t.Errorf("the config is %s", config)
	}
	r := testReader(nil, nil)
	r.warnOfSecrets(&manifestNode{value: []manifestMember{{"registries", &manifestNode{value: []manifestMember{
		{"a.example.com", &manifestNode{value: []manifestMember{{"password", &manifestNode{value: secretText}}}}},
		{"b.example.com", &manifestNode{value: []manifestMember{{"password", &manifestNode{value: "env:PASSWORD"}}}}},
		{"c.example.com", &manifestNode{value: "wrong"}},
	}}}}})
	if len(r.warnings) != 1 {
		t.Errorf("of the accounts of a stack it says %v", r.warnings)
	}
}

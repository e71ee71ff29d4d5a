package source

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"

	"tinyforge/db"
	"tinyforge/deploy"
)

func TestImageFields(t *testing.T) {
	for config, want := range map[string]Fault{
		`{}`:                          {"image", "is required"},
		`{"image":""}`:                {"image", "is required"},
		`{"image":5}`:                 {"image", "must be a string, in quotes"},
		`{"image":"Web"}`:             {"image", `"Web" is not a valid image name: invalid reference format: repository name (library/Web) must be lowercase`},
		`{"image":"web:a b"}`:         {"image", `"web:a b" is not a valid image name: invalid reference format`},
		`{"image":"web:{{.Commit"}`:   {"image", `"{{" without "}}"`},
		`{"image":"web:{{.Branch}}"}`: {"image", "unknown {{.Branch}}: use {{.Commit}}, {{.ShortCommit}}, {{.Ref}} or {{.Tag}}"},
		`{"image":"web:{{printf \"%9999999999d\" 1}}"}`:                             {"image", `unknown {{printf "%9999999999d" 1}}: use {{.Commit}}, {{.ShortCommit}}, {{.Ref}} or {{.Tag}}`},
		`{"image":"web","registry":"me"}`:                                           {"registry", "must be an object"},
		`{"image":"web","registry":{"password":"p"}}`:                               {"registry.username", "is required"},
		`{"image":"web","registry":{"username":"u"}}`:                               {"registry.password", "is required"},
		`{"image":"web","registry":{"username":"u","passwort":"p","password":"p"}}`: {"registry.passwort", `is not a known key: did you mean "password"?`},
		`{"image":"web","dockerfile":"x"}`:                                          {"dockerfile", "is not a known key: use capabilities, cpus, deploy_strategy, env, healthcheck, image, log, memory, networks, port, read_only, registry, report_commit_status, tmpfs, user, volumes"},
	} {
		t.Run(config, func(t *testing.T) { wantFaults(t, NewImage(&pulls{}).Validate(json.RawMessage(config)), want) })
	}
}

func TestImageTemplate(t *testing.T) {
	const commit = "1f0c2ab4d5e6f708192a3b4c5d6e7f8091a2b3c4"
	digest := "@sha256:" + strings.Repeat("ab", 32)
	tests := []struct{ template, ref, want, fault string }{
		{"web", "refs/heads/main", "docker.io/library/web:latest", ""},
		{"me/web:2", "refs/heads/main", "docker.io/me/web:2", ""},
		{"example.com:5000/web", "refs/heads/main", "example.com:5000/web:latest", ""},
		{"example.com/web" + digest, "refs/heads/main", "example.com/web" + digest, ""},
		{"example.com/web:{{.Commit}}", "refs/heads/main", "example.com/web:" + commit, ""},
		{"example.com/web:sha-{{ .ShortCommit }}", "refs/heads/main", "example.com/web:sha-1f0c2ab", ""},
		{"example.com/web:{{.Ref}}-{{.ShortCommit}}", "refs/heads/feature/ä+b", "example.com/web:feature---b-1f0c2ab", ""},
		{"example.com/web:{{.Ref}}", "refs/tags/v1.2.3", "example.com/web:v1.2.3", ""},
		{"example.com/web:{{.Ref}}", "refs/heads/-.x", "example.com/web:x", ""},
		{"example.com/web:{{.Ref}}", "refs/heads/" + strings.Repeat("x", 200), "example.com/web:" + strings.Repeat("x", 128), ""},
		{"example.com/web:{{.Tag}}", "refs/tags/v1.2.3+build", "example.com/web:v1.2.3-build", ""},
		{"example.com/web:{{.Tag}}", "refs/heads/main", "", "{{.Tag}} needs the push of a tag, and this is refs/heads/main"},
		{"example.com/web:{{.Ref}}", "refs/heads/...", "", "not a valid image name"},
		{"example.com/{{.Ref}}", "refs/heads/Main", "", "must be lowercase"},
	}
	for _, tt := range tests {
		got, err := imageRef(tt.template, tt.ref, commit)
		switch {
		case tt.fault == "" && (err != nil || got != tt.want):
			t.Errorf("%s at %s: got %q, %v, want %q", tt.template, tt.ref, got, err, tt.want)
		case tt.fault != "" && (err == nil || !strings.Contains(err.Error(), tt.fault)):
			t.Errorf("%s at %s: got %q, %v, want an error with %q", tt.template, tt.ref, got, err, tt.fault)
		}
	}
}

func TestImageBuildPulls(t *testing.T) {
	p, log := &pulls{}, &bytes.Buffer{}
	in := input(`{"image":"example.com/web:{{.ShortCommit}}","registry":{"username":"me","password":"hunter2"}}`, "")
	in.Checkout = func(context.Context) (string, error) {
		t.Error("an image needs no checkout")
		return "", nil
	}
	got, err := NewImage(p).Build(t.Context(), in, log)
	if err != nil {
		t.Fatal(err)
	}
	want := db.Release{Image: "example.com/web@sha256:pulled", Port: 8080, Env: map[string]string{"B": "workload"}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("release %+v, want %+v", got, want)
	}
	if p.refs[0] != "example.com/web:1f0c2ab" || *p.auths[0] != (deploy.RegistryAuth{Username: "me", Password: "hunter2"}) {
		t.Errorf("pulled %q as %+v", p.refs, p.auths[0])
	}
	if log.String() != "Pulling example.com/web:1f0c2ab\n" {
		t.Errorf("log %q", log)
	}
}

func TestImageBuildWithoutAccount(t *testing.T) {
	p := &pulls{}
	if _, err := NewImage(p).Build(t.Context(), input(`{"image":"web"}`, ""), io.Discard); err != nil {
		t.Fatal(err)
	}
	if p.auths[0] != nil {
		t.Errorf("pulled as %+v, want anonymously", p.auths[0])
	}
}

func TestImageBuildFailures(t *testing.T) {
	for config, part := range map[string]string{
		`{"image":"web:{{.Tag}}"}`: "image: {{.Tag}} needs the push of a tag",
		`{"image":"Web"}`:          "config is not valid: image:",
	} {
		p := &pulls{}
		_, err := NewImage(p).Build(t.Context(), input(config, ""), io.Discard)
		wantFailure(t, err, part)
		if len(p.refs) > 0 {
			t.Errorf("%s was pulled", config)
		}
	}
	absent := errors.New("manifest unknown")
	if _, err := NewImage(&pulls{err: absent}).Build(t.Context(), input(`{"image":"web"}`, ""), io.Discard); !errors.Is(err, absent) {
		t.Errorf("got %v, want the puller's error", err)
	}
}

package source

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"tinyforge/db"
	"tinyforge/deploy"
)

// seenStacks note what they are to load.
type seenStacks struct{ in deploy.StackInput }

func (s *seenStacks) CheckAllow(what string) error {
	if what == "nonsense" {
		return errors.New("is nothing that can be allowed")
	}
	return nil
}

func (s *seenStacks) Load(_ context.Context, in deploy.StackInput, _ io.Writer) (deploy.LoadedStack, error) {
	s.in = in
	return deploy.LoadedStack{Stack: db.ComposeStack{Service: "web", Images: []string{"a@b"}}, Port: 3000}, nil
}

func TestS4_ComposeIsStackManaged(t *testing.T) {
	c := NewCompose(&seenStacks{})
	for config, want := range map[string]string{
		`{}`: "", `{"deploy_strategy":""}`: "", `{"deploy_strategy":"recreate"}`: "",
		`{"deploy_strategy":"blue-green"}`: `deploy_strategy: a Compose stack is changed in place, service by service, and cannot run twice: use "recreate", or leave it empty`,
		`{"deploy_strategy":"rolling"}`:    `deploy_strategy: unknown strategy "rolling": use "recreate" or "blue-green", or leave it empty for the default`,
	} {
		err := c.Validate(json.RawMessage(config))
		if got := errText(err); got != want {
			t.Errorf("%s: %q, want %q", config, got, want)
		}
		s, why, err := c.Strategy(json.RawMessage(config))
		if want == "" && (s != db.Stack || why != "" || err != nil) || want != "" && err == nil {
			t.Errorf("%s: strategy %q %q, %v", config, s, why, err)
		}
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestComposeConfig(t *testing.T) {
	c := NewCompose(&seenStacks{})
	for config, want := range map[string]string{
		`{"files":["a.yaml","b/c.yaml"],"service":"web","port":3000,"profiles":["p"],"env":{"A":"b"},"allow":["privileged"],
			"registries":{"r.test":{"username":"u","password":"p"}},"healthcheck":{"path":"/up"},"report_commit_status":false}`: "",
		`{"files":["../a"]}`:                             "files[0]: must be a relative path",
		`{"files":["/a"]}`:                               "files[0]: must be a relative path",
		`{"files":[""]}`:                                 "files[0]: is required",
		`{"service":"-"}`:                                "service: must begin with a letter",
		`{"port":70000}`:                                 "port: must be at most 65535",
		`{"profiles":["a b"]}`:                           "profiles[0]: must begin with",
		`{"env":{"1":""}}`:                               "env.1: must begin with",
		`{"allow":["a","nonsense"]}`:                     "allow[1]: is nothing that can be allowed",
		`{"registries":{"r":{"username":"u"}}}`:          "password: is required",
		`{"healthcheck":{}}`:                             "healthcheck.path: is required",
		`{"file":"compose.yaml"}`:                        `file: is not a known key: did you mean "files"?`,
		`{"port":"x","deploy_strategy":"x","service":7}`: "port: must be a whole number",
	} {
		got := errText(c.Validate(json.RawMessage(config)))
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", config, got, want)
		}
	}
}

func TestComposeBuild(t *testing.T) {
	seen := &seenStacks{}
	r, err := NewCompose(seen).Build(t.Context(), deploy.BuildInput{
		ID: "tf-web-1", Tag: "tinyforge/web:1",
		Workload: db.Workload{Name: "web", Env: map[string]string{"A": "workload"},
			Config: json.RawMessage(`{"service":"web","env":{"A":"config","B":"config"},"healthcheck":{"path":"/up"},"registries":{"r.test":{"username":"u","password":"p"}}}`)},
		Checkout: func(context.Context) (string, error) { return "/checkout", nil },
		RegistryAuth: func(_ context.Context, host string) (*deploy.RegistryAuth, error) {
			return &deploy.RegistryAuth{Username: "forge of " + host}, nil
		},
	}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if r.Stack == nil || r.Stack.Service != "web" || r.Port != 3000 || r.Healthcheck == nil || r.Image != "" || len(r.Env) > 0 {
		t.Errorf("release %+v", r)
	}
	if seen.in.ID != "tf-web-1" || seen.in.Tag != "tinyforge/web:1" || seen.in.Workload != "web" || seen.in.Dir != "/checkout" || seen.in.Env["A"] != "workload" || seen.in.Env["B"] != "config" {
		t.Errorf("loaded %+v", seen.in)
	}
	if auth, err := seen.in.Auth(t.Context(), "r.test"); err != nil || auth == nil || auth.Username != "u" {
		t.Errorf("account for r.test: %+v, %v", auth, err)
	}
	if auth, err := seen.in.Auth(t.Context(), "ghcr.io"); err != nil || auth != nil {
		t.Errorf("a registry of which the config has no account: %+v, %v", auth, err)
	}
	if _, err := NewCompose(seen).Build(t.Context(), deploy.BuildInput{Checkout: func(context.Context) (string, error) { return "", os.ErrClosed }}, io.Discard); !errors.Is(err, os.ErrClosed) {
		t.Errorf("a checkout that fails: %v", err)
	}
}

package source

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"

	"tinyforge/db"
	"tinyforge/deploy"
)

func TestImageFields(t *testing.T) {
	for config, want := range map[string]Fault{
		`{}`:                             {"image", "is required"},
		`{"image":""}`:                   {"image", "is required"},
		`{"image":5}`:                    {"image", "must be a string, in quotes"},
		`{"image":"Web"}`:                {"image", `"Web" is not a valid image name: invalid reference format: repository name (library/Web) must be lowercase`},
		`{"image":"web:a b"}`:            {"image", `"web:a b" is not a valid image name: invalid reference format`},
		`{"image":"tinyforge/other:17"}`: {"image", `"tinyforge/other:17" is refused: ` + builtHereText},
		`{"image":"index.docker.io/tinyforge/{{.Ref}}:1"}`:                          {"image", `"index.docker.io/tinyforge/v1:1" is refused: ` + builtHereText},
		`{"image":"web:{{.Commit"}`:                                                 {"image", `"{{" without "}}"`},
		`{"image":"web:{{.Branch}}"}`:                                               {"image", "unknown {{.Branch}}: use {{.Commit}}, {{.ShortCommit}}, {{.Ref}} or {{.Tag}}"},
		`{"image":"web:{{printf \"%9999999999d\" 1}}"}`:                             {"image", `unknown {{printf "%9999999999d" 1}}: use {{.Commit}}, {{.ShortCommit}}, {{.Ref}} or {{.Tag}}`},
		`{"image":"web","registry":"me"}`:                                           {"registry", `must be an object, such as {username: me, password: env:PASSWORD}`},
		`{"image":"web","registry":{"password":"p"}}`:                               {"registry.username", "is required"},
		`{"image":"web","registry":{"username":"u"}}`:                               {"registry.password", "is required"},
		`{"image":"web","registry":{"username":"u","passwort":"p","password":"p"}}`: {"registry.passwort", `is not a known key: did you mean "password"?`},
		`{"image":"web","platform":"arm64"}`:                                        {"platform", `must be a platform such as "linux/amd64" or "linux/arm/v7"`},
		`{"image":"web","platform":"linux/"}`:                                       {"platform", `must be a platform such as "linux/amd64" or "linux/arm/v7"`},
		`{"image":"web","platform":"linux/arm/v7/x"}`:                               {"platform", `must be a platform such as "linux/amd64" or "linux/arm/v7"`},
		`{"image":"web","platform":"Linux/ARM"}`:                                    {"platform", `must be a platform such as "linux/amd64" or "linux/arm/v7"`},
		`{"image":"web","platform":64}`:                                             {"platform", "must be a string, in quotes"},
		`{"image":"web","dockerfile":"x"}`:                                          {"dockerfile", "is not a known key: use capabilities, constraints, cpus, deploy_strategy, env, healthcheck, image, log, memory, networks, platform, port, read_only, registry, replicas, report_commit_status, runtime, secret_files, tmpfs, user, volumes"},
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
	if p.specs[0].Ref != "example.com/web:1f0c2ab" || *p.specs[0].Auth != (deploy.RegistryAuth{Username: "me", Password: "hunter2"}) {
		t.Errorf("pulled %q as %+v", p.specs[0].Ref, p.specs[0].Auth)
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
	if p.specs[0].Auth != nil {
		t.Errorf("pulled as %+v, want anonymously", p.specs[0].Auth)
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
		if len(p.specs) > 0 {
			t.Errorf("%s was pulled", config)
		}
	}
	absent := errors.New("manifest unknown")
	if _, err := NewImage(&pulls{err: absent}).Build(t.Context(), input(`{"image":"web"}`, ""), io.Discard); !errors.Is(err, absent) {
		t.Errorf("got %v, want the puller's error", err)
	}
}

func TestImageBuildForAPlatform(t *testing.T) {
	for _, platform := range []string{"linux/arm64", "linux/arm/v7", "linux/386"} {
		p := &pulls{}
		got, err := NewImage(p).Build(t.Context(), input(`{"image":"web","platform":"`+platform+`"}`, ""), io.Discard)
		if err != nil || got.Platform != platform || p.specs[0].Platform != platform {
			t.Errorf("%s: release for %q of a pull for %q, %v", platform, got.Platform, p.specs[0].Platform, err)
		}
	}
}

// accountInput is an input whose forge has a registry at ghcr.io.
func accountInput(config string, err error) (in deploy.BuildInput, asked *[]string) {
	in, asked = input(config, ""), new([]string)
	in.RegistryAuth = func(_ context.Context, host string) (*deploy.RegistryAuth, error) {
		*asked = append(*asked, host)
		if host != "ghcr.io" || err != nil {
			return nil, err
		}
		return &deploy.RegistryAuth{Username: "forge", Password: "hunter2"}, nil
	}
	return in, asked
}

func TestImageBuildWithTheForgesAccount(t *testing.T) {
	refusal := &deploy.Failure{Text: "refused", Err: deploy.ErrNoAccess}
	only := func(username string) func(*deploy.RegistryAuth) error {
		return func(auth *deploy.RegistryAuth) error {
			if auth == nil && username == "" || auth != nil && auth.Username == username {
				return nil
			}
			return refusal
		}
	}
	for name, tt := range map[string]struct {
		config   string
		err      error // of the forge
		allow    func(*deploy.RegistryAuth) error
		pulledAs string // "-" is nobody
		fails    bool
		log      string
	}{
		"its own registry": {`{"image":"ghcr.io/acme/web"}`, nil, only("forge"), "forge", false, ""},
		"the config's account": {`{"image":"ghcr.io/acme/web","registry":{"username":"me","password":"p"}}`, nil, only("me"),
			"me", false, ""},
		"the config's account that is refused": {`{"image":"ghcr.io/acme/web","registry":{"username":"me","password":"p"}}`, nil, only(""),
			"me", true, ""},
		"another registry": {`{"image":"example.com/acme/web"}`, nil, only(""), "-", false, ""},
		"no registry":      {`{"image":"acme/web"}`, nil, only(""), "-", false, ""},
		"a public image of others": {`{"image":"ghcr.io/other/web"}`, nil, only(""), "forge -", false,
			"The registry ghcr.io does not show the image to the forge's account: trying without one\n"},
		"an image that is not there": {`{"image":"ghcr.io/acme/web"}`, nil, only("nobody"), "forge -", true,
			"The registry ghcr.io does not show the image to the forge's account: trying without one\n"},
		"a registry that is down": {`{"image":"ghcr.io/acme/web"}`, nil,
			func(*deploy.RegistryAuth) error { return &deploy.Failure{Text: "refused"} }, "forge", true, ""},
		"a forge that is down": {`{"image":"ghcr.io/acme/web"}`, &deploy.Failure{Text: "the forge answered 502"}, only(""), "-", false,
			"The forge gives no account for its registry ghcr.io: the forge answered 502. Trying without one\n"},
		"a fault of ours": {`{"image":"ghcr.io/acme/web"}`, errors.New("sealed with hunter2"), only(""), "-", false,
			"The forge gives no account for its registry ghcr.io: internal error. Trying without one\n"},
	} {
		t.Run(name, func(t *testing.T) {
			p, log := &pulls{allow: tt.allow}, &bytes.Buffer{}
			in, _ := accountInput(tt.config, tt.err)
			_, err := NewImage(p).Build(t.Context(), in, log)
			if (err != nil) != tt.fails {
				t.Errorf("error %v", err)
			}
			if tt.fails {
				wantFailure(t, err, "refused")
			}
			var as []string
			for _, spec := range p.specs {
				if spec.Auth == nil {
					as = append(as, "-")
				} else {
					as = append(as, spec.Auth.Username)
				}
			}
			if got := strings.Join(as, " "); got != tt.pulledAs {
				t.Errorf("pulled as %q, want %q", got, tt.pulledAs)
			}
			_, said, _ := strings.Cut(log.String(), "\n")
			if said != tt.log || strings.Contains(said, "hunter2") {
				t.Errorf("log %q, want %q", said, tt.log)
			}
		})
	}
}

func TestImageAsksForTheRegistryOfTheImage(t *testing.T) {
	for config, want := range map[string][]string{
		`{"image":"web"}`: {"docker.io"},
		`{"image":"git.example.com:3000/acme/web:{{.ShortCommit}}"}`:               {"git.example.com:3000"},
		`{"image":"ghcr.io/acme/web","registry":{"username":"me","password":"p"}}`: nil,
	} {
		in, asked := accountInput(config, nil)
		if _, err := NewImage(&pulls{}).Build(t.Context(), in, io.Discard); err != nil {
			t.Error(err)
		}
		if !slices.Equal(*asked, want) {
			t.Errorf("%s: asked for %q", config, *asked)
		}
	}
}

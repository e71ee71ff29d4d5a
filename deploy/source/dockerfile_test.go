package source

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"testing"
	"time"

	"tinyforge/db"
	"tinyforge/deploy"
)

func TestDockerfileFields(t *testing.T) {
	for config, want := range map[string]Fault{
		`{"context":1}`:                 {"context", "must be a string, in quotes"},
		`{"context":"../x"}`:            {"context", tagTexts["repopath"]},
		`{"dockerfile":"/x"}`:           {"dockerfile", tagTexts["repopath"]},
		`{"target":"a/b"}`:              {"target", tagTexts["stage"]},
		`{"build_args":[]}`:             {"build_args", `must be an object, such as {VERSION: "1"}`},
		`{"build_args":{"A B":"c"}}`:    {`build_args["A B"]`, "must begin with a letter or '_' and hold only letters, digits, '_', '.' and '-'"},
		`{"build_secrets":{"a":true}}`:  {"build_secrets.a", "must be a string, in quotes"},
		`{"build_secrets":{"a/b":"c"}}`: {"build_secrets.a/b", tagTexts["name"]},
		`{"image":"web"}`:               {"image", "is not a known key: use build_args, build_secrets, capabilities, constraints, context, cpus, deploy_strategy, dockerfile, env, healthcheck, log, memory, networks, port, read_only, replicas, report_commit_status, runtime, secret_files, target, tmpfs, user, volumes"},
		`{"build_arg":{}}`:              {"build_arg", `is not a known key: did you mean "build_args"?`},
	} {
		t.Run(config, func(t *testing.T) { wantFaults(t, NewDockerfile(&builds{}).Validate(json.RawMessage(config)), want) })
	}
}

// input is what Build gets for tf-web-17, with the checkout dir.
func input(config, dir string) deploy.BuildInput {
	return deploy.BuildInput{
		Tag:      "tinyforge/web:17",
		ID:       "tf-web-17",
		Workload: db.Workload{ID: 3, Name: "web", Config: json.RawMessage(config), Env: map[string]string{"B": "workload"}},
		Ref:      "refs/heads/main",
		Commit:   "1f0c2ab4d5e6f708192a3b4c5d6e7f8091a2b3c4",
		Checkout: func(context.Context) (string, error) { return dir, nil },
	}
}

func TestDockerfileBuild(t *testing.T) {
	dir := repository(t)
	b := &builds{}
	got, err := NewDockerfile(b).Build(t.Context(), input(`{"port":3000,"env":{"A":"config","B":"config"},
		"healthcheck":{"path":"/up","attempts":3},"memory":"256MB","cpus":1.5,"volumes":[{"name":"data","path":"/data/"}],
		"context":"in","target":"run","build_args":{"V":"1"},"build_secrets":{"npm":"token"}}`, dir), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	want := db.Release{
		Image:       "sha256:built",
		Port:        3000,
		Env:         map[string]string{"A": "config", "B": "workload"},
		Volumes:     []db.Volume{{Name: "data", Path: "/data"}},
		Memory:      256 << 20,
		CPUs:        1.5,
		Healthcheck: &db.Healthcheck{Path: "/up", Interval: time.Second, Timeout: 5 * time.Second, Attempts: 3},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("release\n%+v, want\n%+v", got, want)
	}
	spec := deploy.BuildSpec{
		Dir: dir, Context: "app", Dockerfile: "app/Dockerfile", Target: "run",
		Args: map[string]string{"V": "1"}, Secrets: map[string]string{"npm": "token"}, Tag: "tinyforge/web:17",
		Labels: map[string]string{"tinyforge.workload": "web", "tinyforge.release": "tf-web-17"},

		CacheNamespace: "web",
	}
	if !reflect.DeepEqual(b.specs, []deploy.BuildSpec{spec}) {
		t.Errorf("built\n%+v, want\n%+v", b.specs, spec)
	}
}

func TestDockerfileBuildDefaults(t *testing.T) {
	for config, want := range map[string][2]string{
		`{}`:                              {".", "Dockerfile"},
		`{"context":"","dockerfile":""}`:  {".", "Dockerfile"},
		`{"context":"app"}`:               {"app", "app/Dockerfile"},
		`{"dockerfile":"app/Dockerfile"}`: {".", "app/Dockerfile"},
		`{"context":"app/deep","dockerfile":"Dockerfile"}`: {"app/deep", "Dockerfile"},
	} {
		b := &builds{}
		got, err := NewDockerfile(b).Build(t.Context(), input(config, repository(t)), io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		if have := [2]string{b.specs[0].Context, b.specs[0].Dockerfile}; have != want {
			t.Errorf("%s: context and Dockerfile are %q, want %q", config, have, want)
		}
		if got.Port != 8080 || got.Healthcheck != nil || got.Volumes != nil {
			t.Errorf("%s: release %+v, want port 8080 and nothing else", config, got)
		}
		wantMap(t, "env", got.Env, map[string]string{"B": "workload"})
	}
}

func TestDockerfileBuildFailures(t *testing.T) {
	dir := repository(t)
	for config, parts := range map[string][]string{
		`{"context":"app/deep"}`:   {`dockerfile: "app/deep/Dockerfile" is not in the repository`},
		`{"context":"absent"}`:     {`context: "absent" is not in the repository`},
		`{"context":"up"}`:         {"context:", "must be inside the repository"},
		`{"dockerfile":"up-file"}`: {"dockerfile:", "must be inside the repository"},
		`{"port":0,"x":1}`:         {"config is not valid: port: must be at least 1; x: is not a known key"},
	} {
		b := &builds{}
		_, err := NewDockerfile(b).Build(t.Context(), input(config, dir), io.Discard)
		wantFailure(t, err, parts...)
		if len(b.specs) > 0 {
			t.Errorf("%s was built", config)
		}
	}
}

func TestDockerfilePassesErrorsOn(t *testing.T) {
	gone, broken := errors.New("commit is gone"), errors.New("step failed")
	in := input(`{}`, "")
	in.Checkout = func(context.Context) (string, error) { return "", gone }
	if _, err := NewDockerfile(&builds{}).Build(t.Context(), in, io.Discard); !errors.Is(err, gone) {
		t.Errorf("got %v, want the checkout's error", err)
	}
	if _, err := NewDockerfile(&builds{err: broken}).Build(t.Context(), input(`{}`, repository(t)), io.Discard); !errors.Is(err, broken) {
		t.Errorf("got %v, want the builder's error", err)
	}
}

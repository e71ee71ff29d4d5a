package source

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"tinyforge/db"
	"tinyforge/deploy"
)

func FuzzDockerfileValidate(f *testing.F) {
	addSeeds(f, `{"context":"a/../b","dockerfile":"x/Dockerfile","target":"run","build_args":{"A":"b"},"build_secrets":{"npm":"t"}}`)
	s := NewDockerfile(&builds{})
	f.Fuzz(func(t *testing.T, config []byte) { checkValidate(t, s, config) })
}

func FuzzImageValidate(f *testing.F) {
	addSeeds(f, `{"image":"example.com/web:{{.Ref}}-{{ .ShortCommit }}","registry":{"username":"u","password":"p"}}`)
	s := NewImage(&pulls{})
	f.Fuzz(func(t *testing.T, config []byte) { checkValidate(t, s, config) })
}

func FuzzStaticValidate(f *testing.F) {
	addSeeds(f, `{"root":"public","spa":true,"headers":{"/*":{"X-A":"b"}},"redirects":[{"from":"/a/*","to":"/b/:splat","status":302,"force":true}]}`)
	f.Add([]byte(`{"mode":"deno","entrypoint":"main.ts","task":"build","storage":{"enabled":true,"mount":"/data","name":"d"},
		"permissions":{"net":["x:1"],"env":["A"],"read":["a"],"write":["/data"]},"deno_image":"denoland/deno:2.9.6","deploy_strategy":"blue-green"}`))
	s := NewStatic(&builds{}, "")
	f.Fuzz(func(t *testing.T, config []byte) {
		checkValidate(t, s, config)
		var c staticConfig
		if newChecker().decode(config, &c) != nil || c.Mode != "deno" {
			return
		}
		for _, line := range strings.Split(strings.TrimSpace(c.denoDockerfile(nil, false)), "\n") {
			word, _, _ := strings.Cut(line, " ")
			if !slices.Contains([]string{"FROM", "USER", "ENV", "WORKDIR", "COPY", "RUN", "ENTRYPOINT"}, word) {
				t.Fatalf("the Dockerfile has the line %q", line)
			}
		}
		for _, flag := range c.Permissions.flags(c.Port, nil, c.mounted()) {
			if !strings.HasPrefix(flag, "--allow-net") && !strings.HasPrefix(flag, "--allow-env=") && !strings.HasPrefix(flag, "--allow-read=") && !strings.HasPrefix(flag, "--allow-write=") {
				t.Fatalf("the flag %q", flag)
			}
		}
	})
}

func addSeeds(f *testing.F, own string) {
	for _, seed := range []string{
		own, ``, `null`, `{}`, `[]`, `{"port":1e3}`, `{"env":{"A":"\u0000","A":1}}`, `{"":{}}`, `{"memory":"1e300g"}`,
		`{"deploy_strategy":"blue-green","volumes":[{"name":"d","path":"/d"}]}`,
		`{"healthcheck":{"path":"/up","interval":"1s","timeout":"5s","attempts":3,"start_period":"0s","status":204}}`,
	} {
		f.Add([]byte(seed))
	}
}

// checkValidate holds what is true of every config: its faults are complete and in order, or it has a strategy that keeps
// writable volumes out of two containers.
func checkValidate(t *testing.T, s deploy.Source, config []byte) {
	err := s.Validate(config)
	strategy, _, strategyErr := s.Strategy(config)
	if (err == nil) != (strategyErr == nil) {
		t.Fatalf("Validate: %v, but Strategy: %v", err, strategyErr)
	}
	if err != nil {
		faults, ok := errors.AsType[Faults](err)
		if !ok || len(faults) == 0 || !slices.IsSortedFunc(faults, strictlyByPath) {
			t.Fatalf("not ordered Faults: %v", err)
		}
		for _, fault := range faults {
			if fault.Text == "" {
				t.Fatalf("%q has no text", fault.Path)
			}
		}
		return
	}
	if strategy != db.BlueGreen && strategy != db.Recreate {
		t.Fatalf("strategy %q", strategy)
	}
	var c struct{ Volumes []db.Volume }
	if len(config) > 0 && json.Unmarshal(config, &c) == nil {
		for _, v := range c.Volumes {
			if !v.ReadOnly && strategy == db.BlueGreen {
				t.Fatalf("blue-green with the writable volume %q", v.Name)
			}
		}
	}
}

func strictlyByPath(a, b Fault) int {
	if a.Path < b.Path {
		return -1
	}
	return 1
}

func FuzzComposeValidate(f *testing.F) {
	addSeeds(f, `{"files":["a.yaml","../b.yaml"],"service":"web","profiles":["p"],"env":{"A":"b"},"allow":["privileged"],"registries":{"r.test":{"username":"u","password":"p"}}}`)
	c := NewCompose(&seenStacks{})
	f.Fuzz(func(t *testing.T, config []byte) {
		err := c.Validate(config)
		s, _, strategyErr := c.Strategy(config)
		if (err == nil) != (strategyErr == nil) || err == nil && s != db.Stack {
			t.Fatalf("Validate: %v, but Strategy: %q, %v", err, s, strategyErr)
		}
		read, _ := c.decode(config)
		for _, file := range read.Files {
			if err == nil && (strings.HasPrefix(file, "/") || strings.HasPrefix(file, "..") || strings.ContainsRune(file, 0)) {
				t.Fatalf("the file %q is outside of the checkout", file)
			}
		}
	})
}

package source

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"tinyforge/db"
	"tinyforge/deploy"
)

var (
	_ deploy.Source = (*Dockerfile)(nil)
	_ deploy.Source = (*Image)(nil)
	_ deploy.Source = (*Static)(nil)
)

// builds is an ImageBuilder that keeps what it was asked for.
type builds struct {
	specs []deploy.BuildSpec
	err   error
	has   map[string]bool
	look  func(deploy.BuildSpec) error // is called while the context is there; nil for nothing
}

func (b *builds) Build(_ context.Context, spec deploy.BuildSpec, _ io.Writer) (string, error) {
	b.specs = append(b.specs, spec)
	if b.look != nil {
		if err := b.look(spec); err != nil {
			return "", err
		}
	}
	return "sha256:built", b.err
}

func (b *builds) ImageExists(_ context.Context, ref string) (bool, error) { return b.has[ref], nil }

// pulls is a Puller that keeps what it was asked for.
type pulls struct {
	specs []deploy.PullSpec
	err   error
	allow func(*deploy.RegistryAuth) error // decides by the account; nil means that err does
}

func (p *pulls) Pull(_ context.Context, spec deploy.PullSpec, _ io.Writer) (string, error) {
	p.specs = append(p.specs, spec)
	if p.allow != nil {
		return "example.com/web@sha256:pulled", p.allow(spec.Auth)
	}
	return "example.com/web@sha256:pulled", p.err
}

// kinds are all source kinds, with a prefix that makes a config complete.
var kinds = []struct {
	name   string
	source deploy.Source
	config func(members string) json.RawMessage
}{
	{"dockerfile", NewDockerfile(&builds{}), func(m string) json.RawMessage { return json.RawMessage("{" + m + "}") }},
	{"image", NewImage(&pulls{}), func(m string) json.RawMessage {
		return json.RawMessage(strings.TrimSuffix(`{"image":"example.com/web",`+m, ",") + "}")
	}},
	{"static", NewStatic(&builds{}, ""), func(m string) json.RawMessage {
		return json.RawMessage(strings.TrimSuffix(`{"mode":"deno","entrypoint":"main.ts",`+m, ",") + "}")
	}},
}

func TestCommonFields(t *testing.T) {
	tests := []struct{ name, members, path, text string }{
		{"strategy of another type", `"deploy_strategy":1`, "deploy_strategy", `must be a string, in quotes, such as "recreate"`},
		{"report of another type", `"report_commit_status":"no"`, "report_commit_status", "must be true or false"},
		{"port as text", `"port":"80"`, "port", `must be a whole number, without quotes, such as 8080`},
		{"port as fraction", `"port":80.5`, "port", `must be a whole number, without quotes, such as 8080`},
		{"port 0", `"port":0`, "port", "must be at least 1"},
		{"port too large", `"port":65536`, "port", "must be at most 65535"},
		{"healthcheck as text", `"healthcheck":"/up"`, "healthcheck", `must be an object, such as {path: /up}`},
		{"healthcheck without path", `"healthcheck":{}`, "healthcheck.path", "is required"},
		{"relative path", `"healthcheck":{"path":"up"}`, "healthcheck.path", `must be a path on the release, such as "/up"`},
		{"path with host", `"healthcheck":{"path":"http://other/up"}`, "healthcheck.path", `must be a path on the release, such as "/up"`},
		{"path with scheme-less host", `"healthcheck":{"path":"//other/up"}`, "healthcheck.path", `must be a path on the release, such as "/up"`},
		{"path with space", `"healthcheck":{"path":"/a b"}`, "healthcheck.path", `must be a path on the release, such as "/up"`},
		{"status", `"healthcheck":{"path":"/","status":99}`, "healthcheck.status", "must be at least 100"},
		{"large status", `"healthcheck":{"path":"/","status":600}`, "healthcheck.status", "must be at most 599"},
		{"interval as number", `"healthcheck":{"path":"/","interval":2}`, "healthcheck.interval", `must be a duration such as "2s" or "1m30s"`},
		{"interval without unit", `"healthcheck":{"path":"/","interval":"2"}`, "healthcheck.interval", `must be a duration such as "2s" or "1m30s"`},
		{"short interval", `"healthcheck":{"path":"/","interval":"0s"}`, "healthcheck.interval", "must be at least 100ms"},
		{"long interval", `"healthcheck":{"path":"/","interval":"11m"}`, "healthcheck.interval", "must be at most 10m"},
		{"timeout", `"healthcheck":{"path":"/","timeout":"-1s"}`, "healthcheck.timeout", "must be at least 100ms"},
		{"attempts", `"healthcheck":{"path":"/","attempts":0}`, "healthcheck.attempts", "must be at least 1"},
		{"start period", `"healthcheck":{"path":"/","start_period":"2h"}`, "healthcheck.start_period", "must be at most 1h"},
		{"negative start period", `"healthcheck":{"path":"/","start_period":"-1s"}`, "healthcheck.start_period", "must be at least 0s"},
		{"env as list", `"env":["A=b"]`, "env", `must be an object, such as {MODE: production}`},
		{"env value as number", `"env":{"A":1}`, "env.A", "must be a string, in quotes"},
		{"env value null", `"env":{"A":null}`, "env.A", "must not be null: leave it out, or give it a value"},
		{"env name", `"env":{"A=B":"1"}`, "env.A=B", "must begin with a letter or '_' and hold only letters, digits, '_', '.' and '-'"},
		{"empty env name", `"env":{"":"1"}`, `env[""]`, "must begin with a letter or '_' and hold only letters, digits, '_', '.' and '-'"},
		{"env name twice", `"env":{"A":"1","A":"2"}`, "env.A", "is given twice"},
		{"env with zero byte", `"env":{"A":"\u0000"}`, "env.A", "must not contain a zero byte"},
		{"volumes as object", `"volumes":{}`, "volumes", `must be a list, such as [{name: data, path: /data}]`},
		{"null volume", `"volumes":[null]`, "volumes[0]", "must not be null"},
		{"volume without name", `"volumes":[{"path":"/data"}]`, "volumes[0].name", "is required"},
		{"volume name", `"volumes":[{"name":"../etc","path":"/data"}]`, "volumes[0].name", "must begin with a letter or digit and hold only letters, digits, '_', '.' and '-'"},
		{"volume without path", `"volumes":[{"name":"data"}]`, "volumes[0].path", "is required"},
		{"relative volume", `"volumes":[{"name":"data","path":"data"}]`, "volumes[0].path", `must be an absolute path in the container, such as "/data", and not one of the system's`},
		{"volume over root", `"volumes":[{"name":"data","path":"/data/.."}]`, "volumes[0].path", `must be an absolute path in the container, such as "/data", and not one of the system's`},
		{"volume over proc", `"volumes":[{"name":"data","path":"/proc/1"}]`, "volumes[0].path", `must be an absolute path in the container, such as "/data", and not one of the system's`},
		{"volumes at one path", `"volumes":[{"name":"a","path":"/data"},{"name":"b","path":"/data/"}]`, "volumes[1].path", "is the same as volumes[0].path"},
		{"read_only", `"volumes":[{"name":"a","path":"/data","read_only":1}]`, "volumes[0].read_only", "must be true or false"},
		{"memory as number", `"memory":256`, "memory", `must be a size such as "256MB" or "1GB"`},
		{"memory as word", `"memory":"much"`, "memory", `must be a size such as "256MB" or "1GB"`},
		{"negative memory", `"memory":"-1GB"`, "memory", `must be a size such as "256MB" or "1GB"`},
		{"little memory", `"memory":"5MB"`, "memory", "must be at least 6MiB"},
		{"memory beyond all", `"memory":"2000TB"`, "memory", "must be at most 1PiB"},
		{"user", `"user":"app:app:app"`, "user", `must be a user and perhaps a group, by name or number: "app", "1000:1000"`},
		{"user with flag", `"user":"-1"`, "user", `must be a user and perhaps a group, by name or number: "app", "1000:1000"`},
		{"read-only root", `"read_only":"yes"`, "read_only", "must be true or false"},
		{"tmpfs over proc", `"tmpfs":["/proc"]`, "tmpfs[0]", tmpfsText},
		{"tmpfs of no size", `"tmpfs":["/tmp","/run:much"]`, "tmpfs[1]", tmpfsText},
		{"small tmpfs", `"tmpfs":["/run:1KB"]`, "tmpfs[0]", tmpfsText},
		{"tmpfs with options", `"tmpfs":["/run:exec,size=1MB"]`, "tmpfs[0]", tmpfsText},
		{"tmpfs twice with a size", `"tmpfs":["/tmp","/tmp/:1MB"]`, "tmpfs[1]", "is mounted already: by a volume, or by another entry of tmpfs"},
		{"tmpfs twice", `"tmpfs":["/tmp","/tmp/"]`, "tmpfs[1]", "is mounted already: by a volume, or by another entry of tmpfs"},
		{"tmpfs over a volume", `"tmpfs":["/data"],"volumes":[{"name":"a","path":"/data"}]`, "tmpfs[0]", "is mounted already: by a volume, or by another entry of tmpfs"},
		{"volume as text", `"volumes":["data:/data"]`, "volumes[0]", "must be an object, such as {name: data, path: /data}"},
		{"capability twice in other words", `"capabilities":["KILL","cap_kill"]`, "capabilities[1]", "is the same as capabilities[0]"},
		{"capability twice", `"capabilities":["KILL","KILL"]`, "capabilities[1]", "is the same as capabilities[0]"},
		{"network name", `"networks":["Back"]`, "networks[0]", "must have lower-case letters, digits and '-', and neither begin nor end with '-'"},
		{"network twice", `"networks":["back","db","back"]`, "networks[2]", "is the same as networks[0]"},
		{"log as size", `"log":"10MB"`, "log", `must be an object, such as {max_size: 10MB, max_files: 3}`},
		{"small log", `"log":{"max_size":"1KB"}`, "log.max_size", "must be at least 64KiB"},
		{"log files", `"log":{"max_files":1000}`, "log.max_files", "must be at most 100"},
		{"cpus as text", `"cpus":"2"`, "cpus", `must be a number, without quotes, such as 0.5`},
		{"negative cpus", `"cpus":-1`, "cpus", "must be at least 0.01"},
		{"given twice", `"port":80,"port":81`, "port", "is given twice"},
		{"unknown key", `"prot":80`, "prot", `is not a known key: did you mean "port"?`},
		{"key in another case", `"Port":80`, "Port", `is not a known key: did you mean "port"?`},
		{"unknown key inside", `"healthcheck":{"path":"/","atempts":3}`, "healthcheck.atempts", `is not a known key: did you mean "attempts"?`},
		{"unknown key in a list", `"volumes":[{"name":"a","path":"/a","readonly":true}]`, "volumes[0].readonly", `is not a known key: did you mean "read_only"?`},
		{"key like no other", `"volumes":[{"name":"a","path":"/a","zzzzzzzzzzzz":1}]`, "volumes[0].zzzzzzzzzzzz", "is not a known key: use name, path, read_only"},
	}
	for _, kind := range kinds {
		for _, tt := range tests {
			t.Run(kind.name+"/"+tt.name, func(t *testing.T) {
				wantFaults(t, kind.source.Validate(kind.config(tt.members)), Fault{tt.path, tt.text})
			})
		}
	}
}

func TestCommonFieldsThatAreFine(t *testing.T) {
	for _, kind := range kinds {
		for _, members := range []string{
			``,
			`"port":null,"healthcheck":null,"env":null,"volumes":null,"memory":null,"cpus":null,"deploy_strategy":null`,
			`"port":1,"memory":"","cpus":0,"env":{},"volumes":[]`,
			`"healthcheck":{"path":"/up?full=1","status":204,"interval":"100ms","timeout":"10m","attempts":1,"start_period":"1h"}`,
			`"env":{"_A.b-c":"","spring.profile":"x"},"memory":"1.5g","cpus":0.25,"report_commit_status":false`,
			`"volumes":[{"name":"data","path":"/data"},{"name":"data","path":"/more"}],"deploy_strategy":"recreate"`,
			`"user":"1000:1000","read_only":true,"tmpfs":["/tmp","/run:64KB"],"capabilities":[],"networks":["back","db-1"]`,
			`"capabilities":["NET_ADMIN"],"log":{"max_size":"1MB","max_files":1}`,
		} {
			if err := kind.source.Validate(kind.config(members)); err != nil {
				t.Errorf("%s %s: %v", kind.name, members, err)
			}
		}
	}
}

func TestValidateWhatIsNoObject(t *testing.T) {
	s := NewDockerfile(&builds{})
	for config, want := range map[string]Fault{
		`[]`:       {"", "must be an object"},
		`"x"`:      {"", "must be an object"},
		`{"port":`: {"", "is not valid JSON: unexpected end of JSON input, at byte 8"},
		`{} {}`:    {"", "is not valid JSON: invalid character '{' after top-level value, at byte 4"},
	} {
		wantFaults(t, s.Validate(json.RawMessage(config)), want)
	}
	wantFaults(t, NewImage(&pulls{}).Validate(json.RawMessage(`[]`)), Fault{"", "must be an object"})
	for _, config := range []string{"", " \n", "{}"} {
		if err := s.Validate(json.RawMessage(config)); err != nil {
			t.Errorf("%q: %v", config, err)
		}
	}
}

func TestAllFaultsAtOnce(t *testing.T) {
	err := NewDockerfile(&builds{}).Validate(json.RawMessage(`{
		"deploy_strategy": "green", "report_commit_status": 1, "port": 0, "healthcheck": {"path": "up", "attempts": "3", "pth": 1},
		"env": {"1": "x", "B": 2}, "volumes": [{"name": "", "path": "x"}], "memory": "1", "cpus": 5000, "cpu": 1,
		"context": "..", "dockerfile": "/etc/passwd", "target": "a b", "build_args": {"-": ""}, "build_secrets": {"/": ""}}`))
	want := []string{
		"build_args.-", "build_secrets./", "context", "cpu", "cpus", "deploy_strategy", "dockerfile", "env.1", "env.B",
		"healthcheck.attempts", "healthcheck.path", "healthcheck.pth", "memory", "port", "report_commit_status", "target",
		"volumes[0].name", "volumes[0].path",
	}
	if got := pathsOf(t, err); !slices.Equal(got, want) {
		t.Errorf("faults at\n%q, want\n%q", got, want)
	}
	if lines := strings.Count(err.Error(), "\n") + 1; lines != len(want) {
		t.Errorf("%d lines, want one for each of %d faults:\n%v", lines, len(want), err)
	}
}

// Values may be secrets: no fault repeats one.
func TestFaultsKeepSecrets(t *testing.T) {
	const secret = "hunter2"
	err := NewImage(&pulls{}).Validate(json.RawMessage(`{"image":"x","env":{"A":["` + secret + `"],"B":"` + secret + `\u0000"},
		"registry":{"username":"","password":{"` + "p" + `":"` + secret + `"}}}`))
	if got, want := pathsOf(t, err), []string{"env.A", "env.B", "registry.password", "registry.username"}; !slices.Equal(got, want) {
		t.Fatalf("faults at %q, want %q", got, want)
	}
	if strings.Contains(err.Error(), secret) {
		t.Errorf("the error holds the secret: %v", err)
	}
}

func wantFaults(t *testing.T, err error, want ...Fault) {
	t.Helper()
	got, ok := errors.AsType[Faults](err)
	if !ok || !slices.Equal(got, Faults(want)) {
		t.Errorf("got %v\nwant %v", err, Faults(want))
	}
}

func pathsOf(t *testing.T, err error) []string {
	t.Helper()
	faults, ok := errors.AsType[Faults](err)
	if !ok {
		t.Fatalf("got %v, want Faults", err)
	}
	var paths []string
	for _, f := range faults {
		paths = append(paths, f.Path)
	}
	return paths
}

func wantFailure(t *testing.T, err error, parts ...string) {
	t.Helper()
	failure, ok := errors.AsType[*deploy.Failure](err)
	if !ok {
		t.Fatalf("got %v (%T), want a *deploy.Failure", err, err)
	}
	for _, part := range parts {
		if !strings.Contains(failure.Text, part) {
			t.Errorf("failure %q does not say %q", failure.Text, part)
		}
	}
}

func wantMap(t *testing.T, what string, got, want map[string]string) {
	t.Helper()
	if !maps.Equal(got, want) {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

const tmpfsText = `must be an absolute path in the container, and not one of the system's, perhaps with a size of 64KB or more: "/tmp", "/tmp:64MB"`

// TestTmpfs: sizes are bytes in the row, and paths as Docker knows them.
func TestTmpfs(t *testing.T) {
	var c struct{ common }
	if err := newChecker().decode(json.RawMessage(`{"tmpfs":["/tmp/","/run:64MB"]}`), &c); err != nil {
		t.Fatal(err)
	}
	if got := c.release(deploy.BuildInput{}, "").Tmpfs; !slices.Equal(got, []string{"/tmp", "/run:67108864"}) {
		t.Errorf("they become %q", got)
	}
}

// TestCapabilities: nothing said is the usual list, and an empty list is none at all; the rows must know the difference.
func TestCapabilities(t *testing.T) {
	for members, want := range map[string][]string{``: nil, `"capabilities":[]`: {}, `"capabilities":["KILL"]`: {"KILL"}, `"capabilities":["CAP_KILL","cap_chown"]`: {"KILL", "CHOWN"}} {
		var c struct{ common }
		if err := newChecker().decode(json.RawMessage("{"+members+"}"), &c); err != nil {
			t.Fatal(err)
		}
		row, err := json.Marshal(c.release(deploy.BuildInput{}, ""))
		if err != nil {
			t.Fatal(err)
		}
		var read db.Release
		if err := json.Unmarshal(row, &read); err != nil || !reflect.DeepEqual(read.Capabilities, want) {
			t.Errorf("{%s} is saved as %s and read as %#v, %v", members, row, read.Capabilities, err)
		}
	}
	for _, kind := range kinds {
		for _, name := range []string{"ALL", "SYS_ADMIN", "CAP_SYS_ADMIN"} {
			err := kind.source.Validate(kind.config(`"capabilities":["` + name + `"]`))
			if err == nil || !strings.Contains(err.Error(), "capabilities[0]: must be one of AUDIT_WRITE, CHOWN") {
				t.Errorf("capability %s: %v", name, err)
			}
		}
	}
}

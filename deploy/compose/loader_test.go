package compose

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tinyforge/deploy"
)

// canary is what stands outside the checkout: if it is told anywhere, something was read that must not be.
const canary = "canary-7f3a"

// TestNothingOutsideIsRead has files that point out of the checkout, in every way that a Compose file can name a file.
func TestNothingOutsideIsRead(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"env_file":                  {"compose.yaml": web("env_file: OUT/secret.env")},
		"env_file by climbing":      {"compose.yaml": web("env_file: ../secret.env")},
		"env_file by link":          {"compose.yaml": web("env_file: link.env"), "link.env": "-> ../secret.env"},
		"env_file by variable":      {"compose.yaml": web("env_file: ${X:-../secret.env}")},
		"env_file by folder":        {"compose.yaml": web("env_file: up/secret.env"), "up": "-> .."},
		"label_file":                {"compose.yaml": web("label_file: ../secret.env")},
		"own env":                   {"compose.yaml": web("environment: {A: '${CANARY}'}"), ".env": "-> ../secret.env"},
		"the file itself":           {"compose.yaml": "-> ../other.yaml"},
		"override":                  {"compose.yaml": web(), "compose.override.yaml": "-> ../other.yaml"},
		"include":                   {"compose.yaml": "include: [../other.yaml]\n" + web()},
		"include, absolute":         {"compose.yaml": "include: [OUT/other.yaml]\n" + web()},
		"include by link":           {"compose.yaml": "include: [link.yaml]\n" + web(), "link.yaml": "-> ../other.yaml"},
		"include by variable":       {"compose.yaml": "include: ['${X:-../other.yaml}']\n" + web()},
		"include of two":            {"compose.yaml": "include: [{path: [a.yaml, ../other.yaml]}]\n" + web(), "a.yaml": "services: {}\n"},
		"include's env":             {"compose.yaml": "include: [{path: sub/a.yaml, env_file: ../secret.env}]\n" + web(), "sub/a.yaml": incl},
		"include's own env":         {"compose.yaml": "include: [sub/a.yaml]\n" + web(), "sub/a.yaml": incl, "sub/.env": "-> ../../secret.env"},
		"include's folder":          {"compose.yaml": "include: [{path: sub/a.yaml, project_directory: ..}]\n" + web(), "sub/a.yaml": incl},
		"include within":            {"compose.yaml": "include: [sub/a.yaml]\n" + web(), "sub/a.yaml": "include: [../../other.yaml]\n"},
		"include by merge":          {"compose.yaml": "x-a: &a\n  include: [../other.yaml]\n<<: *a\n" + web()},
		"include in a second part":  {"compose.yaml": web() + "---\ninclude: [../other.yaml]\n"},
		"include taken back":        {"compose.yaml": "include: [../other.yaml]\n" + web() + "---\ninclude: !reset []\n"},
		"include replaced":          {"compose.yaml": "include: [../other.yaml]\n" + web() + "---\ninclude: !override [a.yaml]\n", "a.yaml": incl},
		"env of one taken back":     {"compose.yaml": "include: [{path: a.yaml, env_file: ../secret.env}]\n" + web() + "---\ninclude: !reset []\n", "a.yaml": incl},
		"no env, taken back":        {"compose.yaml": "include: [{path: a.yaml, env_file: ../other.yaml}]\n" + web() + "---\ninclude: !reset []\n", "a.yaml": incl},
		"taken back by nothing":     {"compose.yaml": "include: [../other.yaml]\n" + web() + "--- !reset\n"},
		"extends taken back":        {"compose.yaml": extend("../other.yaml") + "---\nservices: {web: {extends: !reset null}}\n"},
		"extends replaced":          {"compose.yaml": extend("../other.yaml") + "---\n" + extend("a.yaml"), "a.yaml": web()},
		"taken back in an include":  {"compose.yaml": "include: [a.yaml]\n" + web(), "a.yaml": "include: [../other.yaml]\n---\ninclude: !reset []\n"},
		"taken back in an extended": {"compose.yaml": extend("a.yaml"), "a.yaml": extend("../other.yaml") + "---\n" + extend("b.yaml"), "b.yaml": web()},
		"taken back in an override": {"compose.yaml": web(), "compose.override.yaml": extend("../other.yaml") + "---\nservices: {web: {extends: !reset null}}\n"},
		"include in an override":    {"compose.yaml": web(), "compose.override.yaml": "include: [../other.yaml]\n"},
		"env of an inner include":   {"compose.yaml": "include: [sub/a.yaml]\n" + web(), "sub/a.yaml": "include: [{path: b.yaml, env_file: ../../secret.env}]\n", "sub/b.yaml": incl},
		"include from far away":     {"compose.yaml": "include: ['https://example.com/compose.yaml']\n" + web()},
		"include from git":          {"compose.yaml": "include: ['git@example.com:a/b.git']\n" + web()},
		"include from a registry":   {"compose.yaml": "include: ['oci://example.com/a']\n" + web()},
		"include from home":         {"compose.yaml": "include: ['~/other.yaml']\n" + web()},
		"extends":                   {"compose.yaml": extend("../other.yaml")},
		"extends, absolute":         {"compose.yaml": extend("OUT/other.yaml")},
		"extends by link":           {"compose.yaml": extend("link.yaml"), "link.yaml": "-> ../other.yaml"},
		"extends by variable":       {"compose.yaml": extend("${X:-../other.yaml}")},
		"extends by merge":          {"compose.yaml": "x-a: &a\n  extends: {file: ../other.yaml, service: web}\nservices:\n  web:\n    <<: *a\n"},
		"extends within":            {"compose.yaml": extend("sub/a.yaml"), "sub/a.yaml": extend("../../other.yaml")},
		"extends within an include": {"compose.yaml": "include: [sub/a.yaml]\n", "sub/a.yaml": extend("../../other.yaml")},
		"extends from far away":     {"compose.yaml": extend("https://example.com/compose.yaml")},
		"config":                    {"compose.yaml": web("configs: [c]") + "configs: {c: {file: ../secret.env}}\n"},
		"config by link":            {"compose.yaml": web("configs: [c]") + "configs: {c: {file: c.txt}}\n", "c.txt": "-> ../secret.env"},
		"secret":                    {"compose.yaml": web("secrets: [c]") + "secrets: {c: {file: OUT/secret.env}}\n"},
		"build secret":              {"compose.yaml": "services:\n  web:\n    build: {context: ., secrets: [c]}\nsecrets: {c: {file: ../secret.env}}\n", "Dockerfile": "FROM scratch\n"},
		"bind by link":              {"compose.yaml": web("volumes: ['./c:/c:ro']"), "c": "-> ../secret.env"},
		"bind of a folder by link":  {"compose.yaml": web("volumes: ['./up:/c:ro']"), "up": "-> .."},
		"context by link":           {"compose.yaml": "services:\n  web:\n    build: ./up\n", "up": "-> .."},
		"Dockerfile by link":        {"compose.yaml": "services:\n  web:\n    build: .\n", "Dockerfile": "-> ../secret.env"},
	} {
		t.Run(name, func(t *testing.T) {
			out := t.TempDir()
			must(t, os.WriteFile(filepath.Join(out, "secret.env"), []byte("CANARY="+canary+"\n"), 0o600))
			must(t, os.WriteFile(filepath.Join(out, "other.yaml"), []byte(web("environment: {CANARY: "+canary+"}")), 0o600))
			for name, content := range files {
				files[name] = strings.ReplaceAll(content, "OUT/", out+"/")
			}
			l := loadFiles(t, files, func(in *deploy.StackInput) { place(t, in, out) })
			text := refusal(t, l.err)
			for _, told := range []string{text, l.log, string(l.Stack.Project), asJSON(t, l.images.specs)} {
				if strings.Contains(told, canary) || strings.Contains(told, "unmarshal") {
					t.Errorf("it was read: %s", told)
				}
			}
			if len(l.images.specs)+len(l.images.pulled) > 0 {
				t.Error("images were made of it")
			}
			if !slices.ContainsFunc([]string{"repository", "cannot be used here"}, func(s string) bool { return strings.Contains(text, s) }) {
				t.Errorf("it does not say why: %s", text)
			}
		})
	}
}

// TestOneDocument lets marks of documents stand where there is one.
func TestOneDocument(t *testing.T) {
	for name, text := range map[string]string{
		"begun": "---\n" + web(), "ended": web() + "...\n", "with a comment": web() + "...\n# the end\n",
	} {
		if l := loadOne(t, text, nil); l.err != nil {
			t.Errorf("%s: %v", name, l.err)
		}
	}
	for name, text := range map[string]string{"begun again": web() + "---\n", "more": web() + "---\nx-a: b\n"} {
		if got := refusal(t, loadOne(t, text, nil).err); !strings.Contains(got, "compose.yaml cannot be read: it has several YAML documents") {
			t.Errorf("%s: it says %q", name, got)
		}
	}
}

const incl = "services:\n  db:\n    image: x\n    environment: {A: '${CANARY}'}\n"

func extend(file string) string {
	return fmt.Sprintf("services:\n  web:\n    extends: {file: '%s', service: web}\n", file)
}

// place moves a checkout into a folder, so that ".." is that.
func place(t *testing.T, in *deploy.StackInput, out string) {
	t.Helper()
	dir := filepath.Join(out, "checkout")
	must(t, os.Rename(in.Dir, dir))
	in.Dir = dir
}

// TestBombs has small files that become large ones.
func TestBombs(t *testing.T) {
	laughs := "x-a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n"
	for i := range 9 {
		laughs += fmt.Sprintf("x-a%d: &a%d [%s]\n", i+1, i+1, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i), 9), ", "))
	}
	long := strings.Repeat("x", 300_000)
	var many, doubling, links strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&many, "  s%d: {image: x}\n", i)
	}
	doubling.WriteString("A0=xxxxxxxxxx\n")
	for i := range 60 {
		fmt.Fprintf(&doubling, "A%d=$A%d$A%d\n", i+1, i, i)
	}
	for range 200 {
		links.WriteString("  - a.yaml\n")
	}
	deep := map[string]string{"compose.yaml": "include: [a0.yaml]\n" + web()}
	for i := range 100 {
		deep[fmt.Sprintf("a%d.yaml", i)] = fmt.Sprintf("include: [a%d.yaml]\n", i+1)
	}
	deep["a100.yaml"] = "services: {}\n"
	for name, tt := range map[string]struct {
		files map[string]string
		want  string
	}{
		"services":       {map[string]string{"compose.yaml": web() + many.String()}, "services: a stack may have at most 100"},
		"aliases":        {map[string]string{"compose.yaml": laughs + web("labels: {a: b}")}, "compose.yaml"},
		"a long alias":   {map[string]string{"compose.yaml": "x-a: &a " + long + "\nx-b: [" + strings.Repeat("*a,", 1000) + "]\n" + web()}, "is too large once its aliases"},
		"a huge file":    {map[string]string{"compose.yaml": web() + "#" + strings.Repeat(long, 4)}, "compose.yaml is too large"},
		"variables":      {map[string]string{"compose.yaml": web("labels: {a: '" + strings.Repeat("$A", 10_000) + "'}"), ".env": "A=" + long[:10_000]}, "is too large once its aliases"},
		"doubling":       {map[string]string{"compose.yaml": web(), ".env": doubling.String()}, ".env: the variables become too large"},
		"in env_file":    {map[string]string{"compose.yaml": web("env_file: e"), "e": doubling.String()}, "e: the variables become too large"},
		"in an include":  {map[string]string{"compose.yaml": "include: [{path: a.yaml, env_file: e}]\n" + web(), "a.yaml": incl, "e": doubling.String()}, "cannot use variables"},
		"deep":           {deep, "made of too many files"},
		"wide":           {map[string]string{"compose.yaml": "include:\n" + links.String() + web(), "a.yaml": "services: {}\n"}, "made of too many files"},
		"a circle":       {map[string]string{"compose.yaml": "include: [a.yaml]\n" + web(), "a.yaml": "include: [compose.yaml]\n"}, "in a circle"},
		"extends itself": {map[string]string{"compose.yaml": extend("a.yaml"), "a.yaml": extend("compose.yaml")}, "in a circle"},
		"a folder":       {map[string]string{"compose.yaml/x": ""}, "is not a file"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := refusal(t, loadFiles(t, tt.files, nil).err); !strings.Contains(got, tt.want) || len(got) > 2000 {
				t.Errorf("it says %.2000q, want %q", got, tt.want)
			}
		})
	}
}

func TestNotValid(t *testing.T) {
	for name, text := range map[string]string{
		"empty": "", "no services": "services: {}\n", "not YAML": "services: [\n", "a list": "- a\n", "a service that is a text": "services: {web: x}\n",
		"an unknown key": web("imagge: x"), "a number for a list": "include: 7\n" + web(), "extends a list": "services: {web: {extends: [a]}}\n",
		"a null service": "services: {web: null}\n", "services a list": "services: [a]\n", "odd keys": "1: 2\n? [a]\n: b\n", "build a list": "services: {web: {build: [x]}}\n",
		"volumes a text": "services: {web: {image: x, volumes: x}}\n", "depends on nothing": web("depends_on: [nobody]"), "a missing value": web("labels: {a: '${NEED:?say which}'}"),
		"tabs": "services:\n\tweb: {}\n", "an image that is none": "services: {web: {image: 'A B'}}\n",
	} {
		t.Run(name, func(t *testing.T) {
			l := loadOne(t, text, nil)
			if got := refusal(t, l.err); strings.Contains(got, "/checkout") || got == "" {
				t.Errorf("it says %q", got)
			}
		})
	}
}

// TestWhyNotValid checks that it is told what is wrong with files of the checkout, and in our own words what is wrong with
// none of them: what the library says may be what it read elsewhere.
func TestWhyNotValid(t *testing.T) {
	for name, tt := range map[string]struct {
		files map[string]string
		want  string
	}{
		"alone":            {map[string]string{"compose.yaml": web("imagge: x")}, "the Compose files cannot be read: validating compose.yaml: services.web.imagge false schema"},
		"nobody":           {map[string]string{"compose.yaml": web("depends_on: [nobody]")}, `the Compose files cannot be read: service "web" depends on undefined service "nobody"`},
		"in an include":    {map[string]string{"compose.yaml": "include: [a.yaml]\n" + web(), "a.yaml": "services: {db: {imagge: x}}\n"}, "a.yaml cannot be read: validating a.yaml: services.db.imagge false schema"},
		"in what includes": {map[string]string{"compose.yaml": "include: [a.yaml]\n" + web("imagge: x", "depends_on: [db]"), "a.yaml": "services: {db: {image: x}}\n"}, "the Compose files cannot be read: validating compose.yaml: services.web.imagge false schema"},
		"of both":          {map[string]string{"compose.yaml": "services:\n  web:\n    extends: {file: a.yaml, service: s-" + canary + "}\n", "a.yaml": "services: {db: {image: x}}\n"}, "the Compose files cannot be read: each can be read alone"},
	} {
		t.Run(name, func(t *testing.T) {
			l := loadFiles(t, tt.files, nil)
			if got := refusal(t, l.err); !strings.Contains(got, tt.want) || strings.Contains(got+l.log, canary) {
				t.Errorf("it says %q, want %q", got, tt.want)
			}
		})
	}
}

// TestEnvironment checks where variables come from, and that ours are not among them.
func TestEnvironment(t *testing.T) {
	t.Setenv("TINYFORGE_KEY", canary)
	t.Setenv("FROM_DOTENV", canary)
	t.Setenv("COMPOSE_FILE", "/etc/passwd")
	t.Setenv("COMPOSE_PROFILES", "extra")
	l := loadFiles(t, map[string]string{
		"compose.yaml": web("environment:", "  A: ${TINYFORGE_KEY:-unset}", "  B: ${FROM_DOTENV}", "  C: ${OVER}", "  TINYFORGE_KEY:", "  HOME:",
			"  OVER:", "  D: ${HOME:-none}", "env_file: [more.env, {path: absent.env, required: false}, {path: raw.env, format: raw}]",
			"label_file: labels.env") + "  extra: {image: x, profiles: [extra]}\n",
		".env":       "FROM_DOTENV=dotenv\nOVER=low\n# a comment\nQUOTED=\"two\nlines\"\n",
		"more.env":   "E=${FROM_DOTENV}-more\nexport F='$E'\nA=loses\n",
		"raw.env":    "G=$E \"as it is\"\n",
		"labels.env": "color=blue\n",
	}, func(in *deploy.StackInput) { in.Env = map[string]string{"OVER": "config"} })
	must(t, l.err)
	got := l.project.Services["web"].Environment.ToMapping()
	want := map[string]string{"A": "unset", "B": "dotenv", "C": "config", "OVER": "config", "D": "none", "E": "dotenv-more", "F": "$E", "G": `$E "as it is"`}
	if !maps.Equal(map[string]string(got), want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	if got := l.project.ServiceNames(); !slices.Equal(got, []string{"web"}) {
		t.Errorf("services %v: profiles are the config's, not ours", got)
	}
	if strings.Contains(string(l.Stack.Project), canary) {
		t.Error("our own environment is in the stack")
	}
	if l.project.Services["web"].Labels["color"] != "blue" {
		t.Errorf("labels %v", l.project.Services["web"].Labels)
	}
}

// TestLoad follows include, extends, profiles and overrides that are as they should be.
func TestLoad(t *testing.T) {
	l := loadFiles(t, map[string]string{
		"deploy/compose.yaml": "include: [../parts/db.yaml]\nservices:\n  web:\n    extends: {file: ../parts/base.yaml, service: base}\n    image: nginx:1\n    ports: ['3000']\n",
		"deploy/prod.yaml":    "services:\n  web:\n    environment: {MODE: '${MODE}'}\n  extra: {image: x, profiles: [extra]}\n  not: {image: x, profiles: [not]}\n",
		"deploy/.env":         "MODE=prod\n",
		"parts/base.yaml":     "services:\n  base:\n    extends: {service: root, file: root.yaml}\n    environment: {BASE: '1'}\n",
		"parts/root.yaml":     "services:\n  root:\n    env_file: root.env\n",
		"parts/root.env":      "ROOT=1\n",
		"parts/db.yaml":       "services:\n  db:\n    image: postgres:16\n    environment: {P: '${PW}'}\n    volumes: ['data:/var/lib', './init:/init:ro']\nvolumes: {data: {}}\n",
		"parts/.env":          "PW=inner\n",
		"parts/init/a.sql":    "select 1\n",
	}, func(in *deploy.StackInput) {
		in.Files, in.Profiles = []string{"deploy/compose.yaml", "deploy/prod.yaml"}, []string{"extra"}
	})
	must(t, l.err)
	if got := l.project.ServiceNames(); !slices.Equal(got, []string{"db", "extra", "web"}) {
		t.Errorf("services %v", got)
	}
	env := l.project.Services["web"].Environment.ToMapping()
	if env["MODE"] != "prod" || env["BASE"] != "1" || env["ROOT"] != "1" || l.project.Services["db"].Environment.ToMapping()["P"] != "inner" {
		t.Errorf("environment of web %v, of db %v", env, l.project.Services["db"].Environment)
	}
	if l.Port != 3000 || len(l.project.Services["web"].Ports) > 0 || !strings.Contains(l.log, "web: port 3000 is not published") {
		t.Errorf("port %d, ports %v, log %s", l.Port, l.project.Services["web"].Ports, l.log)
	}
	web := l.project.Services["web"]
	if web.PullPolicy != "never" || !strings.HasPrefix(web.Image, "docker.io/library/nginx@sha256:") || web.Restart != "unless-stopped" ||
		!slices.Contains(web.CapDrop, "NET_RAW") || web.PidsLimit != pidsLimit || web.Logging == nil || len(web.SecurityOpt) != 1 {
		t.Errorf("web is %s", asJSON(t, web))
	}
	if len(l.Stack.Images) != 3 {
		t.Errorf("images %q", l.Stack.Images)
	}
}

func TestWhichServiceStands(t *testing.T) {
	two := web() + "  db: {image: x}\n"
	if got := refusal(t, loadOne(t, two, func(in *deploy.StackInput) { in.Service = "" }).err); !strings.Contains(got, "name the config's service, the one that gets the route: db, web") {
		t.Errorf("it says %q", got)
	}
	if got := refusal(t, loadOne(t, two, func(in *deploy.StackInput) { in.Service = "api" }).err); !strings.Contains(got, "there is no service api") {
		t.Errorf("it says %q", got)
	}
	l := loadOne(t, web(), func(in *deploy.StackInput) { in.Service = "" })
	if l.err != nil || l.Stack.Service != "web" || l.Port != defaultPort {
		t.Errorf("%+v, %v", l.LoadedStack, l.err)
	}
	if got := refusal(t, loadOne(t, two+"  job: {image: x, depends_on: {web: {condition: service_completed_successfully}}}\n", nil).err); !strings.Contains(got, "waits until it has ended") {
		t.Errorf("it says %q", got)
	}
	if got := refusal(t, loadOne(t, two, func(in *deploy.StackInput) { in.Files = []string{"absent.yaml"} }).err); !strings.Contains(got, "absent.yaml is not in the repository") {
		t.Errorf("it says %q", got)
	}
	if got := refusal(t, loadFiles(t, map[string]string{"README": ""}, nil).err); !strings.Contains(got, "there is no compose.yaml") {
		t.Errorf("it says %q", got)
	}
}

func TestRestart(t *testing.T) {
	l := loadOne(t, web("restart: 'no'", "depends_on: {migrate: {condition: service_completed_successfully}}")+
		"  migrate: {image: x}\n  job: {image: x, restart: 'no'}\n  always: {image: x, restart: always}\n  some: {image: x, restart: on-failure}\n"+
		"  swarm: {image: x, deploy: {restart_policy: {condition: on-failure, max_attempts: 3}}}\n  plain: {image: x}\n", nil)
	must(t, l.err)
	for name, want := range map[string]string{"web": "unless-stopped", "migrate": "no", "job": "no", "always": "unless-stopped",
		"some": "on-failure", "swarm": "on-failure:3", "plain": "unless-stopped"} {
		if got := l.project.Services[name].Restart; got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

// TestNameOnSharedNetwork checks that the routed service cannot call itself as another release is called.
func TestNameOnSharedNetwork(t *testing.T) {
	l := loadOne(t, web("hostname: tf-other-12", "domainname: example.com")+"  db: {image: x, hostname: primary, domainname: db.test}\n", nil)
	must(t, l.err)
	web, db := l.project.Services["web"], l.project.Services["db"]
	if web.Hostname != "" || web.DomainName != "" || db.Hostname != "primary" || db.DomainName != "db.test" {
		t.Errorf("web is %q in %q, db is %q in %q", web.Hostname, web.DomainName, db.Hostname, db.DomainName)
	}
	for _, want := range []string{"web: hostname is left out", "web: domainname is left out"} {
		if !strings.Contains(l.log, want) {
			t.Errorf("the log does not say %q: %s", want, l.log)
		}
	}
}

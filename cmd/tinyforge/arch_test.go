package main_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

// mayImport says which packages of ours each package may import. Only cmd may import all.
var mayImport = map[string][]string{
	"":              {},
	"db":            {"db/migrations"},
	"db/migrations": {},
	"templates":     {},

	"app":          {"db"},
	"app/github":   {"app", "db"},
	"app/gitea":    {"app", "db"},
	"app/gitlab":   {"app", "db"},
	"app/settings": {"app", "db", "templates"},
	"webhooks":     {"app", "db"},

	"deploy":            {"db", "deploy/redact"},
	"deploy/source":     {"deploy", "deploy/shorten", "deploy/site", "db"},
	"deploy/docker":     {"deploy", "deploy/redact", "deploy/shorten", "db"},
	"deploy/compose":    {"deploy", "deploy/redact", "deploy/shorten", "db"},
	"deploy/proxy":      {"deploy", "db"},
	"deploy/npm":        {"deploy", "db"},
	"deploy/registry":   {"deploy"},
	"deploy/shared":     {"deploy", "db"},
	"deploy/redact":     {},
	"deploy/shorten":    {},
	"deploy/site":       {"deploy/shorten"},
	"deploy/fileserver": {"deploy/site"},

	"db/dbtest":         {},
	"db/migratedtest":   {"db", "db/dbtest"},
	"app/forgetest":     {"app", "db"},
	"deploy/deploytest": {"deploy", "db"},
	"deploy/swarmtest":  {"deploy/deploytest"},

	"deploy/deploytest/sampleapp": {},
}

// onlyForUs are the commands that users never run. They may import packages for tests.
var onlyForUs = []string{"cmd/demo", "cmd/bench", "cmd/nodes"}

// confined says which packages may import a library, in tests too; "db/" is all below db. Fakes of forges are tried with
// the forges' own clients, and the bench measures others who use these libraries.
var confined = map[string][]string{
	"github.com/uptrace/bun":               {"db", "db/", "cmd/bench"},
	"modernc.org/sqlite":                   {"db", "db/", "cmd/bench"},
	"code.dny.dev/ssrf":                    {"app"},
	"github.com/google/go-github":          {"app/github", "app/forgetest", "cmd/bench"},
	"github.com/bradleyfalzon":             {"app/github", "app/forgetest"},
	"code.gitea.io/sdk":                    {"app/gitea", "app/forgetest"},
	"gitlab.com/gitlab-org":                {"app/gitlab", "app/forgetest"},
	"html/template":                        {"templates", "app/settings", "app/forgetest", "deploy/proxy"},
	"github.com/docker/docker":             {"deploy/docker", "cmd/bench"},
	"github.com/docker/cli":                {"deploy/docker", "deploy/compose"},
	"github.com/moby":                      {"deploy/docker", "deploy/compose", "cmd/bench"},
	"github.com/tonistiigi/fsutil":         {"deploy/docker", "cmd/bench"},
	"github.com/docker/compose":            {"deploy/compose"},
	"github.com/compose-spec":              {"deploy/compose"},
	"github.com/distribution/distribution": {"deploy/registry"},
	"github.com/caddyserver":               {"deploy/proxy", "deploy/fileserver", "cmd/bench"},
	"github.com/go-playground":             {"deploy/source", "app/settings"},
	"golang.org/x/oauth2":                  {"app", "app/settings"},
	"github.com/alexedwards":               {"app/settings"},
	"github.com/trustelem":                 {"app/settings"},
	"github.com/pb33f":                     {"app/settings"},                                  // in tests only
	"github.com/chromedp":                  {"app/settings", "cmd/pictures", "cmd/tinyforge"}, // never in what people run
	"github.com/prometheus":                {"cmd/"},
	"github.com/stretchr/testify":          {}, // no mock library, and no second way to compare
	"github.com/golang/mock":               {},
	"go.uber.org/mock":                     {},
}

// imports is a package as "go list -json" tells of it.
type imports struct {
	ImportPath, Name                   string
	Imports, TestImports, XTestImports []string
	Deps                               []string // all that Imports bring in
}

func TestImportTable(t *testing.T) {
	all := list(t)
	if len(all) < 10 {
		t.Fatalf("go list names only %d packages", len(all))
	}
	for _, p := range all {
		for _, v := range violations(p) {
			t.Error(v)
		}
	}
}

func TestImportTableSeesViolations(t *testing.T) {
	tests := []struct {
		name string
		p    imports
		want int
	}{
		{"none", imports{ImportPath: "tinyforge/app", Imports: []string{"fmt", "tinyforge/db"}}, 0},
		{"up", imports{ImportPath: "tinyforge/db", Imports: []string{"tinyforge/app"}}, 1},
		{"across", imports{ImportPath: "tinyforge/app/github", Imports: []string{"tinyforge/app/gitea"}}, 1},
		{"through another", imports{ImportPath: "tinyforge/webhooks", Deps: []string{"tinyforge/deploy"}}, 1},
		{"back", imports{ImportPath: "tinyforge/deploy/source", Deps: []string{"tinyforge/app"}}, 1},
		{"in a test", imports{ImportPath: "tinyforge/deploy", XTestImports: []string{"tinyforge/app/forgetest"}}, 1},
		{"test package", imports{ImportPath: "tinyforge/cmd/tinyforge", Imports: []string{"tinyforge/app/forgetest"}}, 1},
		{"test package in a test", imports{ImportPath: "tinyforge/db", TestImports: []string{"tinyforge/db/dbtest"}}, 0},
		{"test package in the demo", imports{ImportPath: "tinyforge/cmd/demo", Imports: []string{"tinyforge/app/forgetest"}}, 0},
		{"library", imports{ImportPath: "tinyforge/deploy", Imports: []string{"github.com/docker/docker/client"}}, 1},
		{"library in a test", imports{ImportPath: "tinyforge/app", TestImports: []string{"github.com/uptrace/bun"}}, 1},
		{"library at home", imports{ImportPath: "tinyforge/db", Imports: []string{"github.com/uptrace/bun/migrate"}}, 0},
		{"library below home", imports{ImportPath: "tinyforge/db/dbtest", Imports: []string{"github.com/uptrace/bun/driver/pgdriver"}}, 0},
		{"library of a like name", imports{ImportPath: "tinyforge/app", Imports: []string{"github.com/uptrace/bunny"}}, 0},
		{"unknown package", imports{ImportPath: "tinyforge/misc"}, 1},
	}
	for _, tt := range tests {
		if got := violations(tt.p); len(got) != tt.want {
			t.Errorf("%s: got %q, want %d", tt.name, got, tt.want)
		}
	}
}

// list asks go about every package of the module.
func list(t *testing.T) []imports {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Name,Imports,TestImports,XTestImports,Deps", "tinyforge/...")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, &stderr)
	}
	var all []imports
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p imports
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func violations(p imports) []string {
	name := ours(p.ImportPath)
	isCommand := strings.HasPrefix(name, "cmd/")
	may, known := mayImport[name]
	if !known && !isCommand {
		return []string{fmt.Sprintf("%s has no row in the table of imports", name)}
	}
	var found []string
	report := func(format string, args ...any) { found = append(found, name+" "+fmt.Sprintf(format, args...)) }
	for _, i := range p.Imports {
		if isOurs(i) && !isCommand && !slices.Contains(may, ours(i)) {
			report("must not import %s", ours(i))
		}
		if isOurs(i) && isForTests(i) && !isForTests(name) && !slices.Contains(onlyForUs, name) {
			report("must import %s in tests only", ours(i))
		}
	}
	tests := slices.Concat(p.TestImports, p.XTestImports)
	for _, i := range slices.Concat(p.Deps, tests) {
		if !isCommand && isOurs(i) && apart(name, ours(i)) {
			report("must not depend on %s", ours(i))
		}
	}
	for _, i := range slices.Concat(p.Imports, tests) {
		if library, homes := home(i); library != "" && !slices.ContainsFunc(homes, func(h string) bool { return lives(name, h) }) {
			report("must not import %s", i)
		}
	}
	return slices.Compact(found)
}

func isOurs(importPath string) bool {
	return importPath == "tinyforge" || strings.HasPrefix(importPath, "tinyforge/")
}

func ours(importPath string) string {
	return strings.TrimPrefix(strings.TrimPrefix(importPath, "tinyforge"), "/")
}

func isForTests(name string) bool { return strings.HasSuffix(path.Base(name), "test") }

// apart tells whether the packages are on the two sides that meet in rows only.
func apart(a, b string) bool { return side(a) != "" && side(b) != "" && side(a) != side(b) }

func side(name string) string {
	top, _, _ := strings.Cut(name, "/")
	switch top {
	case "app", "webhooks", "templates":
		return "app"
	case "deploy":
		return "deploy"
	default:
		return ""
	}
}

// home returns the confined library that an import belongs to, and where it may be imported.
func home(importPath string) (library string, homes []string) {
	for library, homes := range confined {
		if importPath == library || strings.HasPrefix(importPath, library+"/") {
			return library, homes
		}
	}
	return "", nil
}

func lives(name, home string) bool {
	return name == home || strings.HasSuffix(home, "/") && strings.HasPrefix(name, home)
}

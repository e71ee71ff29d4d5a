package tinyforge_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"tinyforge"
)

// needs says which permission each call that app/github makes costs; "" is none beyond being the App.
var needs = map[string]string{
	"Apps.CompleteAppManifest":   "",
	"Apps.GetInstallation":       "",
	"Apps.ListInstallations":     "",
	"Apps.ListRepos":             "metadata: read",
	"Apps.ListHookDeliveries":    "",
	"Apps.RedeliverHookDelivery": "",
	"Apps.UpdateHookConfig":      "",
	"SetStatus":                  "statuses: write",
	"Git.Fetch":                  "contents: read",
	"Git.Heads":                  "contents: read",
}

func TestManifestGrantsExactlyWhatTheCodeUses(t *testing.T) {
	used := map[string]bool{"packages: read": true} // of the registry, which Docker asks with our token
	for call := range calls(t, "app/github") {
		permission, known := needs[call]
		if !known {
			t.Errorf("app/github calls %s: say in this test what that needs", call)
		}
		if permission != "" {
			used[permission] = true
		}
	}
	granted := map[string]bool{}
	for scope, level := range manifest(t).Permissions {
		granted[scope+": "+level] = true
	}
	if !maps.Equal(granted, used) {
		t.Errorf("app.yml grants %v, but the code uses %v", slices.Sorted(maps.Keys(granted)), slices.Sorted(maps.Keys(used)))
	}
}

func TestManifestAsksForTheEventsThatAreDecoded(t *testing.T) {
	events := manifest(t).Events
	if want := []string{"push", "delete", "registry_package"}; !slices.Equal(events, want) {
		t.Errorf("app.yml asks for %q, want %q", events, want)
	}
	unasked := []string{
		"installation", "installation_repositories", // every App gets them
		"package", // says what registry_package says
	}
	decoded := cases(t, "app/github", "decoder")
	if !slices.Contains(decoded, "push") {
		t.Errorf("app/github decodes %q: not push", decoded)
	}
	for _, event := range decoded {
		if !slices.Contains(events, event) && !slices.Contains(unasked, event) {
			t.Errorf("app/github decodes %q, which app.yml does not ask for", event)
		}
	}
}

func TestManifestIsPrivate(t *testing.T) {
	m := manifest(t)
	if m.Public == nil || *m.Public {
		t.Error("app.yml makes a public App: it must be for its owner's account only")
	}
	for _, address := range []string{m.URL, m.Hook.URL, m.Redirect} {
		if !strings.HasPrefix(address, "https://deploy.example.com") {
			t.Errorf("app.yml names %q, want a placeholder", address)
		}
	}
}

type appManifest struct {
	Name string `yaml:"name"`
	URL  string `yaml:"url"`
	Hook struct {
		URL    string `yaml:"url"`
		Active bool   `yaml:"active"`
	} `yaml:"hook_attributes"`
	Redirect    string            `yaml:"redirect_url"`
	Public      *bool             `yaml:"public"`
	Permissions map[string]string `yaml:"default_permissions"`
	Events      []string          `yaml:"default_events"`
}

func manifest(t *testing.T) appManifest {
	t.Helper()
	var m appManifest
	if err := yaml.UnmarshalWithOptions([]byte(tinyforge.AppManifest), &m, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	return m
}

// calls returns every "Service.Method" that is called through a client, as in client.Apps.ListRepos(ctx, ...).
func calls(t *testing.T, folder string) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	for _, file := range parse(t, folder) {
		for _, declared := range file.Decls {
			for node := range ast.Preorder(declared) {
				if call, ok := node.(*ast.CallExpr); ok && takesContext(call) {
					found[serviceCall(call, declared)] = true
				}
			}
		}
	}
	delete(found, "")
	if len(found) == 0 {
		t.Fatalf("%s calls nothing", folder)
	}
	return found
}

// takesContext tells calls that may reach the network from others.
func takesContext(call *ast.CallExpr) bool {
	if len(call.Args) == 0 {
		return false
	}
	first, ok := call.Args[0].(*ast.Ident)
	return ok && first.Name == "ctx"
}

// serviceCall names a call by what is called; a request that the code makes itself has the name of where it is made.
func serviceCall(call *ast.CallExpr, declared ast.Decl) string {
	method, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || !method.Sel.IsExported() {
		return ""
	}
	service, ok := method.X.(*ast.SelectorExpr)
	if f, in := declared.(*ast.FuncDecl); ok && in && service.Sel.Name == "api" && method.Sel.Name == "Do" {
		return f.Name.Name
	}
	if !ok || !service.Sel.IsExported() {
		return ""
	}
	return service.Sel.Name + "." + method.Sel.Name
}

// cases returns the strings of the case clauses of a method.
func cases(t *testing.T, folder, method string) []string {
	t.Helper()
	var found []string
	for _, file := range parse(t, folder) {
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Name.Name != method {
				continue
			}
			for node := range ast.Preorder(f) {
				clause, ok := node.(*ast.CaseClause)
				if !ok {
					continue
				}
				for _, e := range clause.List {
					if s, err := strconv.Unquote(e.(*ast.BasicLit).Value); err == nil {
						found = append(found, s)
					}
				}
			}
		}
	}
	return found
}

func parse(t *testing.T, folder string) []*ast.File {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	return files
}

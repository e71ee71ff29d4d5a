package main

import (
	"bytes"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"tinyforge/app/settings"
	"tinyforge/deploy/proxy"
)

// readme is the README with its reference.
func readme(t *testing.T) string {
	t.Helper()
	return document(t, "README.md") + document(t, ".github/REFERENCE.md")
}

func document(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestDocumentsLinkToWhatIsThere: a file of the repository, and in a document a heading as GitHub names it.
func TestDocumentsLinkToWhatIsThere(t *testing.T) {
	for _, name := range []string{"README.md", ".github/REFERENCE.md", "CONTRIBUTING.md", "SECURITY.md"} {
		for _, link := range found(document(t, name), `\]\(([^)]+)\)`) {
			if strings.Contains(link, "://") {
				continue
			}
			path, heading, _ := strings.Cut(link, "#")
			if path = filepath.Join(filepath.Dir(name), path); strings.HasPrefix(link, "#") {
				path = name
			}
			if _, err := os.Stat(filepath.Join("..", "..", path)); err != nil {
				t.Errorf("%s links to %s: %v", name, link, err)
			} else if heading != "" && !slices.Contains(headings(document(t, path)), heading) {
				t.Errorf("%s links to %s, and there is no such heading", name, link)
			}
		}
	}
}

// headings are the names by which GitHub finds the headings of a document.
func headings(text string) (all []string) {
	for _, heading := range found(text, `(?m)^#+ (.+)$`) {
		heading = regexp.MustCompile(`[^a-z0-9 -]`).ReplaceAllString(strings.ToLower(heading), "")
		all = append(all, strings.ReplaceAll(heading, " ", "-"))
	}
	return all
}

// found returns the first group of each match, each once, in order.
func found(text, pattern string) (all []string) {
	for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
		all = append(all, m[1])
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// TestReadmeKnowsTheCommands: it names no command, option or variable that there is not, and every command that people use.
func TestReadmeKnowsTheCommands(t *testing.T) {
	text := readme(t)
	named := found(text, "(?m)(?:`|^|=/etc/tinyforge/npm |=\\.\\.\\. |usr/local/bin/)tinyforge ([a-z]+(?:-[a-z]+)*)")
	for _, name := range named {
		if _, known := commandNamed(name); !known {
			t.Errorf("the README names tinyforge %s, which there is not", name)
		}
	}
	for _, c := range commands() {
		if !c.unlisted && !slices.Contains([]string{"help", "version"}, c.name) && !slices.Contains(named, c.name) {
			t.Errorf("the README does not name tinyforge %s: %q", c.name, named)
		}
	}
	var help bytes.Buffer
	for _, name := range []string{"serve", "registry", "apply", "remove", "scale", "backup", "migrate"} {
		_ = run(t.Context(), []string{name, "-h"}, nil, &help, io.Discard)
	}
	options := found(help.String(), `(?m)^  --([a-z-]+)`)
	ofOthers := []string{"now", "mount", "profile", "rm", "entrypoint", "advertise-addr"} // systemctl's, Docker's, a Dockerfile's, Compose's
	for _, option := range found(text, `[^-a-z]--([a-z]+(?:-[a-z]+)*)`) {
		if !slices.Contains(options, option) && !slices.Contains(ofOthers, option) && option != "npm" {
			t.Errorf("the README names --%s, which there is not", option)
		}
	}
	secrets := found(help.String(), `(?m)^  TINYFORGE_([A-Z_]+)$`)
	for _, name := range found(text, `TINYFORGE_([A-Z_]+)`) {
		name = strings.TrimSuffix(name, "_FILE")
		if !slices.Contains(secrets, name) && !slices.Contains(options, flagName(name)) {
			t.Errorf("the README names TINYFORGE_%s, which there is not", name)
		}
	}
}

// counting is a router that has served one host.
type counting struct{}

func (counting) Stats() []proxy.Stats { return []proxy.Stats{{Host: "www.example.com"}} }

// TestReadmeListsTheMetrics: all that there are, with their labels, and no other.
func TestReadmeListsTheMetrics(t *testing.T) {
	d := newDesk(t)
	d.push("a")
	families, err := newMetrics(d.store, noSites{}, counting{}, slog.New(slog.DiscardHandler)).Gather()
	d.must(err)
	var told []string
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "tinyforge_") {
			continue
		}
		label := ""
		for _, l := range f.GetMetric()[0].GetLabel() {
			label = "`" + l.GetName() + "`"
		}
		told = append(told, f.GetName()+" "+label)
	}
	var listed []string
	for _, m := range regexp.MustCompile("(?m)^\\| `(tinyforge_[a-z_]+)` \\| (`[a-z]+`)? ?\\| .").FindAllStringSubmatch(readme(t), -1) {
		listed = append(listed, m[1]+" "+m[2])
	}
	slices.Sort(told)
	slices.Sort(listed)
	if len(told) == 0 || !slices.Equal(told, listed) {
		t.Errorf("/metrics tells\n%q\nand the README lists\n%q", told, listed)
	}
}

// TestReadmeListsTheAPI: every address with its method, and no other.
func TestReadmeListsTheAPI(t *testing.T) {
	var shown []string
	for _, call := range regexp.MustCompile(`(?m)^api (.*?)"?\$TINYFORGE(/api/\S*?)"?(?:\s|$)`).FindAllStringSubmatch(readme(t), -1) {
		method, path := "GET ", strings.Split(call[2], "?")[0]
		if call[1] != "" {
			method = "POST "
		}
		path = strings.Replace(path, "/workloads/web", "/workloads/{name}", 1)
		shown = append(shown, method+strings.Replace(path, "/deployments/8", "/deployments/{id}", 1))
	}
	slices.Sort(shown)
	shown = slices.Compact(shown)
	there := settings.APIRoutes()
	slices.Sort(there)
	if !slices.Equal(shown, there) {
		t.Errorf("there are\n%q\nand the README shows\n%q", there, shown)
	}
}

// TestReadmeExamples: what it shows of a file for apply is read without a fault, by one of the sources at least.
func TestReadmeExamples(t *testing.T) {
	blocks := regexp.MustCompile("(?ms)^( *)```yaml\n(.*?)^ *```$").FindAllStringSubmatch(readme(t), -1)
	if len(blocks) < 8 {
		t.Fatalf("only %d examples were found", len(blocks))
	}
	for _, block := range blocks {
		text := regexp.MustCompile("(?m)^"+block[1]).ReplaceAllString(block[2], "")
		const forge, workload = "forges: [{name: github, kind: github, app_id: 1, private_key: file:x.pem, webhook_secret: env:X}]\n", "- name: x\n  forge: github\n  repository: acme/site\n  source: "
		var files []string
		switch {
		case strings.HasPrefix(text, "forges:"):
			files = []string{text}
		case strings.HasPrefix(strings.TrimSpace(text), "- name:") && strings.Contains(text, "kind:"):
			files = []string{"forges:\n" + text}
		case strings.HasPrefix(strings.TrimSpace(text), "- name:"):
			files = []string{forge + "workloads:\n" + text}
		default:
			for _, kind := range sortedKeys(sourceKinds(nil, "")) {
				files = append(files, forge+"workloads:\n"+workload+kind+"\n  "+strings.ReplaceAll(text, "\n", "\n  "))
			}
		}
		var faults []string
		for _, file := range files {
			r := testReader(nil, map[string]string{"x.pem": rsaPEM(), "github-app.pem": rsaPEM(), "bob.password": "x"})
			r.references.env = func(string) (string, bool) { return "x", true }
			r.sources = sourceKinds(nil, "")
			r.read([]byte(file))
			if err := r.faults.err(); err != nil {
				faults = append(faults, err.Error())
			}
		}
		if len(faults) == len(files) {
			t.Errorf("the example\n%s\nis refused:\n%s", text, strings.Join(faults, "\n"))
		}
	}
}

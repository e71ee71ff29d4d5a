package source

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"tinyforge/deploy/shorten"
)

// denoConfig is what of a deno.json matters here.
type denoConfig struct {
	Tasks map[string]json.RawMessage `json:"tasks"`
}

// deno proposes to run a Deno program.
func (l looker) deno(names []string) *Candidate {
	file, ok := l.first(names, "deno.json", "deno.jsonc")
	if !ok {
		return nil
	}
	text, _ := l.read(file)
	var config denoConfig
	readable := json.Unmarshal(withoutComments(text), &config) == nil
	entrypoint, how := l.denoEntrypoint(config)
	if entrypoint == "" {
		return nil // a linter's config, or a library
	}
	evidence := []string{l.at(file), how}
	if !readable {
		evidence = append(evidence, l.at(file)+" could not be read here: its tasks are not known")
	}
	task := ""
	if _, found := config.Tasks["build"]; found {
		task = "build"
		evidence = append(evidence, `task "build": run when the image is built`)
	}
	program, _ := l.read(entrypoint)
	serve := regexp.MustCompile(`(?m)^export default\b`).Match(program) && !strings.Contains(string(program), "Deno.serve(")
	members := []member{value("mode", "deno"), value("root", folderKey(l.folder)), value("entrypoint", entrypoint), value("task", task)}
	if serve {
		evidence = append(evidence, l.at(entrypoint)+" exports what answers requests: run with deno serve")
		members = append(members, value("serve", true))
	}
	return &Candidate{Source: "static", Evidence: evidence, Config: propose(members...)}
}

// denoEntrypoint is what the tasks start or, when they name none, a file of a usual name. how tells which, in words.
func (l looker) denoEntrypoint(config denoConfig) (file, how string) {
	started := regexp.MustCompile(`\bdeno\s+(?:run|serve)\b[^|&;]*?\s(?:\./)?([\w./-]+\.(?:ts|tsx|js|jsx|mjs|mts))(?:\s|$)`)
	for _, name := range []string{"start", "serve", "preview", "dev"} {
		if found := started.FindStringSubmatch(commandOf(config.Tasks[name])); found != nil && isRepoPath(found[1]) && l.isFile(found[1]) {
			return path.Clean(found[1]), fmt.Sprintf("task %q starts %s", name, shorten.Typed(found[1]))
		}
	}
	for _, name := range []string{"main", "server", "src/main", "src/server", "app", "index"} {
		for _, ext := range []string{".ts", ".tsx", ".js", ".mjs"} {
			if l.isFile(name + ext) {
				return name + ext, name + ext
			}
		}
	}
	return "", ""
}

// commandOf reads a task, which is a command or an object with one.
func commandOf(task json.RawMessage) (command string) {
	if json.Unmarshal(task, &command) == nil {
		return command
	}
	var object struct {
		Command string `json:"command"`
	}
	_ = json.Unmarshal(task, &object)
	return object.Command
}

// site proposes to serve files.
func (l looker) site(names []string) *Candidate {
	for _, folder := range []string{".", "public", "dist", "build"} {
		if folder != "." && !slices.Contains(names, folder) || !l.isFile(path.Join(folder, "index.html")) {
			continue
		}
		root := path.Join(l.folder, folder)
		evidence := []string{path.Join(root, "index.html")}
		for _, rules := range []string{"_headers", "_redirects"} {
			if l.isFile(path.Join(folder, rules)) {
				evidence = append(evidence, path.Join(root, rules))
			}
		}
		if folder == "." && slices.Contains(names, "package.json") {
			evidence = append(evidence, "package.json is there too: when the site has to be built, commit what is built, or use a Dockerfile")
		}
		return &Candidate{Source: "static", Evidence: evidence, Config: propose(value("mode", "static"), value("root", folderKey(root)))}
	}
	return nil
}

// withoutComments makes JSON of JSON with comments and commas before closing brackets.
func withoutComments(text []byte) []byte {
	var out []byte
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '"':
			end := i + 1
			for end < len(text) && text[end] != '"' {
				if text[end] == '\\' {
					end++
				}
				end++
			}
			end = min(end, len(text)-1)
			out = append(out, text[i:end+1]...)
			i = end
		case bytes.HasPrefix(text[i:], []byte("//")):
			for i < len(text) && text[i] != '\n' {
				i++
			}
		case bytes.HasPrefix(text[i:], []byte("/*")):
			end := bytes.Index(text[i+2:], []byte("*/"))
			if end < 0 {
				return out
			}
			i += end + 3
		default:
			out = append(out, text[i])
		}
	}
	return regexp.MustCompile(`,(\s*[}\]])`).ReplaceAll(out, []byte("$1"))
}

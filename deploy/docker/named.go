package docker

import (
	"encoding/csv"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/distribution/reference"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerfile/shell"

	"tinyforge/deploy"
	"tinyforge/deploy/shorten"
)

// namedImage is an image, or a stage, that a Dockerfile takes something from.
type namedImage struct {
	name string
	at   string // "line 3"
}

// checkNamed refuses a build from an image that was built here, but for the one that spec knows: builders look among the
// engine's own images first. It is there to tell people early: how builders fill in variables differs from one to the other, and what
// keeps images apart is that nobody can guess their names.
func (e *Engine) checkNamed(spec deploy.BuildSpec) error {
	all, err := namedIn(spec)
	if err != nil {
		return err
	}
	for _, n := range all {
		named, err := reference.ParseNormalizedNamed(n.name)
		if err != nil || n.name == spec.Base {
			continue
		}
		if why := e.refused(named); why != "" {
			return &deploy.Failure{Text: shorten.To(fmt.Sprintf("Build failed: %s: %s %s", n.at, shorten.To(n.name, 40), why), textLimit)}
		}
	}
	return nil
}

// namedIn reads the Dockerfile of a build. Engines of old know no heredocs, and take their lines for instructions: so does the second
// reading. What neither can read is a *deploy.Failure: a builder might read it.
func namedIn(spec deploy.BuildSpec) (all []namedImage, err error) {
	text, err := readDockerfile(filepath.Join(spec.Dir, filepath.FromSlash(spec.Dockerfile)))
	if err != nil {
		return nil, err
	}
	if syntax, _, _, found := parser.DetectSyntax(text); found {
		all = append(all, namedImage{syntax, "its syntax"})
	}
	if syntax, _, _ := strings.Cut(strings.TrimSpace(spec.Args["BUILDKIT_SYNTAX"]), " "); syntax != "" {
		all = append(all, namedImage{syntax, "BUILDKIT_SYNTAX"})
	}
	var unread error
	for _, as := range []string{string(text), strings.ReplaceAll(string(text), "<<", "< <")} {
		parsed, err := parser.Parse(strings.NewReader(as))
		if err != nil {
			if unread != nil {
				return nil, &deploy.Failure{Text: shorten.To("Build failed: the Dockerfile cannot be read: "+cleanLine(unread.Error()), textLimit), Err: unread}
			}
			unread = err
			continue
		}
		r := namedReader{given: spec.Args, known: platformArgs(spec), words: shell.NewLex(parsed.EscapeToken)}
		for _, node := range parsed.AST.Children {
			r.read(node)
		}
		all = append(all, r.all...)
	}
	return all, nil
}

// mostDockerfile is the size of the largest Dockerfile: it is read into memory.
const mostDockerfile = 1 << 20

func readDockerfile(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("read Dockerfile: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, mostDockerfile+1))
	if err != nil {
		return nil, fmt.Errorf("read Dockerfile: %w", err)
	}
	if len(text) > mostDockerfile {
		return nil, &deploy.Failure{Text: "Build failed: the Dockerfile is larger than 1 MiB: put what it holds into files of the repository"}
	}
	return text, nil
}

// platformArgs are the arguments that every build has.
func platformArgs(spec deploy.BuildSpec) map[string]string {
	args := map[string]string{"TARGETSTAGE": spec.Target}
	if spec.Target == "" {
		args["TARGETSTAGE"] = "default"
	}
	for _, of := range []string{"BUILD", "TARGET"} {
		maps.Copy(args, map[string]string{
			of + "PLATFORM": runtime.GOOS + "/" + runtime.GOARCH, of + "OS": runtime.GOOS, of + "ARCH": runtime.GOARCH, of + "VARIANT": "",
		})
	}
	for name := range args {
		if given, ok := spec.Args[name]; ok {
			args[name] = given
		}
	}
	return args
}

// namedReader collects what the instructions of a Dockerfile name. A FROM can use the arguments that stand before the first.
type namedReader struct {
	given, known map[string]string
	words        *shell.Lex
	inStage      bool
	all          []namedImage
}

func (r *namedReader) read(node *parser.Node) {
	switch strings.ToLower(node.Value) {
	case "arg":
		for arg := node.Next; arg != nil && !r.inStage; arg = arg.Next {
			r.arg(arg.Value)
		}
	case "from":
		if r.inStage = true; node.Next != nil {
			r.add(node, r.expand(node.Next.Value))
		}
	case "copy", "add":
		for _, flag := range node.Flags {
			if from, found := strings.CutPrefix(flag, "--from="); found {
				r.add(node, from)
			}
		}
	case "run":
		for _, flag := range node.Flags {
			if mount, found := strings.CutPrefix(flag, "--mount="); found {
				r.mount(node, mount)
			}
		}
	case "onbuild":
		for _, later := range node.Next.Children {
			r.read(later)
		}
	}
}

func (r *namedReader) add(node *parser.Node, name string) {
	r.all = append(r.all, namedImage{name, fmt.Sprintf("line %d", node.StartLine)})
}

func (r *namedReader) arg(text string) {
	name, value, given := strings.Cut(text, "=")
	if over, ok := r.given[name]; ok {
		r.known[name] = over
	} else if given {
		r.known[name] = r.expand(value)
	}
}

// expand is as the text is where it cannot be expanded.
func (r *namedReader) expand(text string) string {
	var env []string
	for name, value := range r.known {
		env = append(env, name+"="+value)
	}
	word, _, err := r.words.ProcessWord(text, shell.EnvsFromSlice(env))
	if err != nil {
		return text
	}
	return word
}

func (r *namedReader) mount(node *parser.Node, text string) {
	fields, err := csv.NewReader(strings.NewReader(text)).Read()
	if err != nil {
		return
	}
	for _, field := range fields {
		if key, from, _ := strings.Cut(field, "="); strings.EqualFold(key, "from") {
			r.add(node, from)
		}
	}
}

package docker

import (
	"encoding/csv"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
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
	name   string
	at     string // "line 3"
	unsure bool   // builders differ in what its variables are
}

// checkNamed refuses a build from an image that was built here, but for the one that spec knows: builders look among the
// engine's own images first. It refuses variables too that builders fill in differently. It is there to tell people early: what keeps
// images apart is that nobody can guess their names.
func (e *Engine) checkNamed(spec deploy.BuildSpec) error {
	all, err := namedIn(spec)
	if err != nil {
		return err
	}
	for _, n := range all {
		if named, err := reference.ParseNormalizedNamed(n.name); err == nil && n.name != spec.Base {
			if why := e.refused(named); why != "" {
				return &deploy.Failure{Text: shorten.To(fmt.Sprintf("Build failed: %s: %s %s", n.at, shorten.To(n.name, 40), why), textLimit)}
			}
		}
		if n.unsure {
			return &deploy.Failure{Text: fmt.Sprintf("Build failed: %s: builders differ in the variables of this image's name: write it out, or use an ARG of your own", n.at)}
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
		all = append(all, namedImage{name: syntax, at: "its syntax"})
	}
	if syntax, _, _ := strings.Cut(strings.TrimSpace(spec.Args["BUILDKIT_SYNTAX"]), " "); syntax != "" {
		all = append(all, namedImage{name: syntax, at: "BUILDKIT_SYNTAX"})
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
		r := newNamedReader(spec, parsed.EscapeToken)
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
	doubts       map[string]doubt
	declared     map[string]bool
	words        *shell.Lex
	inStage      bool
	all          []namedImage
}

func newNamedReader(spec deploy.BuildSpec, escape rune) *namedReader {
	r := &namedReader{
		given: spec.Args, known: platformArgs(spec), doubts: map[string]doubt{}, declared: map[string]bool{}, words: shell.NewLex(escape),
	}
	for name := range r.known {
		r.doubts[name] = someValue
	}
	for _, name := range []string{"TARGETSTAGE", "TARGETOSVERSION", "BUILDOSVERSION"} { // which not every builder sets
		r.doubts[name] = anyValue
	}
	return r
}

func (r *namedReader) read(node *parser.Node) {
	switch strings.ToLower(node.Value) {
	case "arg":
		for arg := node.Next; arg != nil && !r.inStage; arg = arg.Next {
			r.arg(arg.Value)
		}
	case "from":
		if r.inStage = true; node.Next != nil {
			name, doubt := r.expand(node.Next.Value)
			r.add(node, name, doubt == anyValue)
		}
	case "copy", "add":
		for _, flag := range node.Flags {
			if from, found := strings.CutPrefix(flag, "--from="); found {
				r.add(node, from, false)
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

func (r *namedReader) add(node *parser.Node, name string, unsure bool) {
	r.all = append(r.all, namedImage{name: name, at: fmt.Sprintf("line %d", node.StartLine), unsure: unsure})
}

func (r *namedReader) arg(text string) {
	name, value, given := strings.Cut(text, "=")
	if over, ok := r.given[name]; ok {
		r.known[name] = over
		return
	}
	word, doubt := r.expand(value)
	if given {
		r.known[name] = word
	}
	if r.doubts[name] = max(r.doubts[name], doubt); r.declared[name] {
		r.doubts[name] = anyValue
	}
	r.declared[name] = true
}

// doubt is how sure it is what a text is once its variables are filled in.
type doubt int

const (
	sure      doubt = iota
	someValue       // a builder on another platform has another text, and it has one where ours does
	anyValue        // it may be empty, or not
)

// variable matches those of a text, with a brace behind one that is all there is in its braces.
var variable = regexp.MustCompile(`\$(\{?)(\w+)(\}?)`)

// expand fills in the variables of a text.
func (r *namedReader) expand(text string) (word string, worst doubt) {
	var env []string
	for name, value := range r.known {
		env = append(env, name+"="+value)
	}
	word, _, err := r.words.ProcessWord(text, shell.EnvsFromSlice(env))
	if err != nil {
		return text, anyValue
	}
	for _, v := range variable.FindAllStringSubmatch(text, -1) {
		of := r.doubts[v[2]]
		if of == someValue && v[1] != "" && v[3] == "" { // what follows makes something else of it: a default, or what is cut off
			of = anyValue
		}
		worst = max(worst, of)
	}
	return word, worst
}

func (r *namedReader) mount(node *parser.Node, text string) {
	fields, err := csv.NewReader(strings.NewReader(text)).Read()
	if err != nil {
		return
	}
	for _, field := range fields {
		if key, from, _ := strings.Cut(field, "="); strings.EqualFold(key, "from") {
			r.add(node, from, false)
		}
	}
}

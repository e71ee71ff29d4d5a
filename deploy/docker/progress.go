package docker

import (
	"strings"

	buildkit "github.com/moby/buildkit/client"
	"github.com/opencontainers/go-digest"

	"tinyforge/deploy"
)

// progress writes what BuildKit tells about a build as a log for people: each step when it begins, its output indented
// below. Steps that run at the same time take turns; the name is repeated when the turn changes.
type progress struct {
	out     *lines
	steps   map[digest.Digest]*step
	current *step // whose name was written last
	failed  *step // the first that failed by itself
}

// step is a vertex of the build.
type step struct {
	name   string
	begun  bool
	cached bool
	err    string
	full   bool // its output speaks of a full disk
	output map[int]*splitter
}

func newProgress(out *lines) *progress {
	return &progress{out: out, steps: map[digest.Digest]*step{}}
}

func (p *progress) show(u *buildkit.SolveStatus) {
	for _, v := range u.Vertexes {
		p.vertex(v)
	}
	for _, l := range u.Logs {
		_, _ = p.step(l.Vertex).splitter(p, l.Stream).Write(l.Data)
	}
	for _, w := range u.Warnings {
		p.out.emit("WARNING: " + cleanLine(string(w.Short)))
	}
}

// finish writes what was left without a line end.
func (p *progress) finish() {
	for _, s := range p.steps {
		for _, o := range s.output {
			o.flush()
		}
	}
}

func (p *progress) vertex(v *buildkit.Vertex) {
	s := p.step(v.Digest)
	s.name = v.Name
	switch {
	case v.Started == nil, s.internal():
	case !s.begun:
		s.begun, s.cached = true, v.Cached
		p.title(s)
	case v.Cached && !s.cached:
		s.cached = true
		p.title(s)
	}
	if v.Error != "" {
		s.err = v.Error
		if p.failed == nil && !strings.Contains(v.Error, "context canceled") {
			p.failed = s
		}
	}
}

func (p *progress) step(id digest.Digest) *step {
	s := p.steps[id]
	if s == nil {
		s = &step{output: map[int]*splitter{}}
		p.steps[id] = s
	}
	return s
}

func (p *progress) title(s *step) {
	p.current = s
	if s.cached {
		p.out.emit("CACHED " + cleanLine(s.name))
		return
	}
	p.out.emit(cleanLine(s.name))
}

// internal tells whether a step is BuildKit's own and not the user's.
func (s *step) internal() bool { return strings.HasPrefix(s.name, "[internal]") }

func (s *step) splitter(p *progress, stream int) *splitter {
	o := s.output[stream]
	if o == nil {
		o = &splitter{emit: func(line string) {
			s.full = s.full || deploy.IsFull(line)
			if p.current != s {
				p.title(s)
			}
			p.out.emit("    " + line)
		}}
		s.output[stream] = o
	}
	return o
}

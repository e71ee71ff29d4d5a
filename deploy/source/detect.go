package source

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// Candidate is a source that fits a checkout.
type Candidate struct {
	Source   string          // "compose", "dockerfile", "static"
	Folder   string          // where it was found: "." or a folder one level down
	Evidence []string        // what was found, in words
	Config   json.RawMessage // a proposal that the source's Validate accepts
}

// Bounds of what Detect looks at.
const (
	maxEntries    = 5000   // of a folder
	maxFolders    = 100    // one level down
	maxDetectRead = 64_000 // bytes of a file
)

// Detect tells which sources fit a checkout, best first: what is at the top before what is one level down, and compose
// before dockerfile before static. It looks at names, and into few files, and not for long. A file that cannot be read is as
// good as absent; the error is about the top folder.
func Detect(fsys fs.FS) ([]Candidate, error) {
	top := looker{fsys, "."}
	names, err := top.names()
	if err != nil {
		return nil, fmt.Errorf("look at checkout: %w", err)
	}
	all := top.candidates(names)
	looked := 0
	for _, name := range slices.Sorted(slices.Values(names)) {
		folder := looker{fsys, name}
		if isAside(name) || !folder.isFolder() {
			continue
		}
		if looked++; looked > maxFolders {
			break
		}
		if names, err := folder.names(); err == nil {
			all = append(all, folder.candidates(names)...)
		}
	}
	return withoutParts(all), nil
}

// isAside tells of folders in which nobody keeps what is to be deployed.
func isAside(name string) bool {
	return strings.HasPrefix(name, ".") || slices.Contains([]string{"node_modules", "vendor", "testdata", "test", "tests"}, name)
}

// candidates are those of one folder, best first.
func (l looker) candidates(names []string) (all []Candidate) {
	for _, look := range []func([]string) *Candidate{l.compose, l.dockerfile, l.deno, l.site} {
		if c := look(names); c != nil {
			c.Folder = l.folder
			all = append(all, *c)
		}
	}
	return all
}

// withoutParts drops sites that are the output folder of another candidate's.
func withoutParts(all []Candidate) []Candidate {
	roots := map[string]bool{}
	for _, c := range all {
		if c.Source == "static" && c.Folder == "." {
			var config struct{ Root string }
			_ = json.Unmarshal(c.Config, &config)
			roots[config.Root] = true
		}
	}
	return slices.DeleteFunc(all, func(c Candidate) bool { return c.Source == "static" && c.Folder != "." && roots[c.Folder] })
}

// propose writes a config with its keys in order. Values that are empty are left out.
func propose(members ...member) json.RawMessage {
	var b strings.Builder
	b.WriteByte('{')
	for _, m := range members {
		if text := string(m.value); text == `""` || text == "0" || text == "null" {
			continue
		}
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%q:%s", m.key, m.value)
	}
	b.WriteByte('}')
	return json.RawMessage(b.String())
}

func value(key string, v any) member {
	text, err := json.Marshal(v)
	if err != nil {
		panic("what is proposed is always JSON: " + err.Error())
	}
	return member{key, text}
}

// folderKey is a folder as configs name it: "" is the repository.
func folderKey(folder string) string {
	if folder == "." {
		return ""
	}
	return folder
}

func sentence(format string, args ...any) []string { return []string{fmt.Sprintf(format, args...)} }

// validPort returns n where a config can have it, and otherwise 0.
func validPort(n int) int {
	if n < 1 || n > 65535 {
		return 0
	}
	return n
}

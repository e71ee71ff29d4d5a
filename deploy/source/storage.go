package source

import (
	"path"
	"slices"
	"strings"
)

// storage is the config of the volume in which a Deno program keeps what must outlive it.
type storage struct {
	Enabled bool   `json:"enabled"`
	Mount   string `json:"mount" validate:"max=1024,mountpath"`
	Name    string `json:"name" validate:"max=64,name"` // of the volume; its real name begins with the workload's
}

func (s *storage) setDefaults() { s.Mount, s.Name = "/data", "data" }

// volume is what the storage is for everybody else.
func (s storage) volume() volume { return volume{Name: s.Name, Path: s.Mount} }

// checkMount returns what is wrong with a place for a volume in the image of a program, or "".
func checkMount(at string) string {
	at = path.Clean(at)
	top, _, _ := strings.Cut(strings.TrimPrefix(at, "/"), "/")
	switch {
	case strings.ContainsFunc(at, func(r rune) bool { return r != '/' && isNoNameRune(r) }):
		return `may hold only letters, digits, "/", "_", "." and "-"`
	case at == denoFolder:
		return "would hide the program, which is in " + denoFolder + ": use a folder in it, or another one"
	case slices.Contains([]string{"bin", "boot", "deno-dir", "etc", "lib", "lib64", "run", "sbin", "tmp", "usr"}, top):
		return `is a place of the system's: use another one, such as "/data"`
	}
	return ""
}

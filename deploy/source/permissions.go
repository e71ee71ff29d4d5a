package source

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// permissions are what a Deno program may do beyond what it cannot do without: listen on its port, and read itself, its
// variables and its volumes.
type permissions struct {
	Net   []string `json:"net" example:"[api.example.com]"` // "api.example.com", "10.0.0.7:5432"; "*" is everywhere
	Env   []string `json:"env" example:"[TZ]"`              // names of variables
	Read  []string `json:"read" example:"[/etc/hosts]"`     // files and folders; what is not absolute is in the program's folder
	Write []string `json:"write" example:"[/data]"`         // the same, in a volume or in memory: nothing else can be written
}

const maxPermissions = 200 // of one kind

func (p permissions) any() bool { return len(p.Net)+len(p.Env)+len(p.Read)+len(p.Write) > 0 }

// check holds them to what is safe in an argument of Deno, where a comma begins another one. writable are the folders that
// can be written at all.
func (p permissions) check(writable []string) (all Faults) {
	for _, kind := range []struct {
		name  string
		list  []string
		check func(string) string
	}{
		{"net", p.Net, checkNet},
		{"env", p.Env, checkEnvPermission},
		{"read", p.Read, checkPathPermission},
		{"write", p.Write, func(s string) string { return checkWrite(s, writable) }},
	} {
		if len(kind.list) > maxPermissions {
			all = append(all, Fault{"permissions." + kind.name, fmt.Sprintf("must have at most %d entries", maxPermissions)})
		}
		for i, value := range kind.list {
			if text := kind.check(value); text != "" {
				all = append(all, Fault{fmt.Sprintf("permissions.%s[%d]", kind.name, i), text})
			}
		}
	}
	return all
}

// everywhere is the net permission without a limit.
const everywhere = "*"

func checkNet(s string) string {
	ok := s != "" && len(s) <= 260 && !strings.HasPrefix(s, "-") && !strings.ContainsFunc(s, func(r rune) bool {
		return isNoNameRune(r) && !strings.ContainsRune(":[]*/", r)
	})
	switch {
	case s == everywhere:
	case strings.Contains(s, "://"):
		return `must be a host, such as "api.example.com" or "api.example.com:443", not a URL`
	case !ok:
		return `must be a host, such as "api.example.com" or "10.0.0.7:5432", or "*" for everywhere`
	}
	return ""
}

func checkEnvPermission(s string) string {
	if !isEnvName(strings.TrimSuffix(s, "*")) || len(s) > 256 {
		return `must be the name of a variable, such as "TZ", or the beginning of names, such as "APP_*"`
	}
	return ""
}

func checkPathPermission(s string) string {
	switch {
	case s == "" || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == ',' || r == '*' }):
		return `must be a file or folder, such as "/data" or "public", without "," and "*"`
	case !path.IsAbs(s) && slices.Contains(strings.Split(s, "/"), ".."):
		return `must not leave the program's folder with "..": write an absolute path`
	case len(s) > 1024:
		return "must be at most 1024 characters long"
	}
	return ""
}

func checkWrite(s string, writable []string) string {
	if text := checkPathPermission(s); text != "" {
		return text
	}
	for _, place := range writable {
		if at, place := inProgram(s), path.Clean(place); at == place || strings.HasPrefix(at, place+"/") {
			return ""
		}
	}
	return "cannot be written, whatever is permitted: only storage, volumes that are not read_only, /tmp and tmpfs can"
}

func writablePlaces(volumes []volume) (places []string) {
	for _, v := range volumes {
		if !v.ReadOnly {
			places = append(places, path.Clean(v.Path))
		}
	}
	return places
}

// inProgram makes a path of the config absolute.
func inProgram(s string) string {
	if path.IsAbs(s) {
		return path.Clean(s)
	}
	return path.Join(denoFolder, s)
}

// flags are Deno's arguments for them. env are the names of the variables that the program is given.
func (p permissions) flags(port int, env []string, volumes []volume) []string {
	net := fmt.Sprintf("--allow-net=%s", strings.Join(append([]string{fmt.Sprintf("0.0.0.0:%d", port), fmt.Sprintf("[::]:%d", port)}, p.Net...), ","))
	if slices.Contains(p.Net, everywhere) {
		net = "--allow-net"
	}
	read := []string{denoFolder}
	for _, v := range volumes {
		read = append(read, path.Clean(v.Path))
	}
	write := writablePlaces(volumes)
	for _, s := range p.Read {
		read = append(read, inProgram(s))
	}
	for _, s := range p.Write {
		write = append(write, inProgram(s))
	}
	flags := []string{net, "--allow-env=" + strings.Join(append(env, p.Env...), ","), "--allow-read=" + strings.Join(read, ",")}
	if len(write) > 0 {
		flags = append(flags, "--allow-write="+strings.Join(write, ","))
	}
	return flags
}

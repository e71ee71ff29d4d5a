package source

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/docker/go-units"
)

// container is the part of a config that says what a container may do and have.
type container struct {
	User         string   `json:"user" example:"\"1000:1000\"" validate:"max=128,user"`                 // "" means the image's own
	ReadOnly     bool     `json:"read_only"`                                                            // the root file system
	Tmpfs        []string `json:"tmpfs" example:"[/tmp]" validate:"dive,max=1024,tmpfs"`                // writable, in memory: "/tmp", "/tmp:64MB"
	Capabilities []string `json:"capabilities" example:"[NET_BIND_SERVICE]" validate:"dive,capability"` // nil means the usual short list, [] none
	Networks     []string `json:"networks" example:"[back]" validate:"max=16,dive,max=40,net"`          // shared with the workloads that name them too
	Log          logLimit `json:"log" example:"{max_size: 10MB, max_files: 3}"`
}

// logLimit bounds what Docker keeps of a container's output.
type logLimit struct {
	MaxSize  size `json:"max_size" validate:"omitempty,min=65536,max=1099511627776"` // of one file; 0 means 10 MB
	MaxFiles int  `json:"max_files" example:"3" validate:"omitempty,min=1,max=100"`  // 0 means 3
}

func (c *container) check(volumes []volume) Faults {
	var all Faults
	mounted := map[string]bool{}
	for _, v := range volumes {
		mounted[path.Clean(v.Path)] = true
	}
	for i, p := range tmpfsPaths(c.Tmpfs) {
		if mounted[p] {
			all = append(all, Fault{fmt.Sprintf("tmpfs[%d]", i), "is mounted already: by a volume, or by another entry of tmpfs"})
		}
		mounted[p] = true
	}
	return faults(all, unique("capabilities", releaseCapabilities(c.Capabilities)), unique("networks", c.Networks))
}

// unique finds what stands in a list twice.
func unique(at string, list []string) Faults {
	var all Faults
	for i, v := range list {
		if first := slices.Index(list, v); first < i {
			all = append(all, Fault{fmt.Sprintf("%s[%d]", at, i), fmt.Sprintf("is the same as %s[%d]", at, first)})
		}
	}
	return all
}

const (
	minTmpfs = 64 << 10
	maxTmpfs = 1 << 40
)

func isTmpfs(s string) bool {
	p, limit, limited := strings.Cut(s, ":")
	if !isMountPath(p) || !limited {
		return isMountPath(p)
	}
	n, err := units.RAMInBytes(limit)
	return err == nil && n >= minTmpfs && n <= maxTmpfs
}

// tmpfsPaths are where the folders are, without their sizes.
func tmpfsPaths(folders []string) []string {
	paths := make([]string, len(folders))
	for i, folder := range folders {
		p, _, _ := strings.Cut(folder, ":")
		paths[i] = path.Clean(p)
	}
	return paths
}

// releaseTmpfs writes sizes as bytes.
func releaseTmpfs(folders []string) []string {
	var all []string
	for _, folder := range folders {
		p, limit, limited := strings.Cut(folder, ":")
		if p = path.Clean(p); limited {
			n, err := units.RAMInBytes(limit)
			must(err) // it is checked
			p += ":" + strconv.FormatInt(n, 10)
		}
		all = append(all, p)
	}
	return all
}

var userPattern = regexp.MustCompile(`^[a-z0-9_][a-z0-9_.-]*\$?(:[a-z0-9_][a-z0-9_.-]*)?$`)

func isUser(s string) bool { return userPattern.MatchString(s) }

func isNetworkName(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == "" && s[0] != '-' && s[len(s)-1] != '-'
}

// capabilities are those that a container may be given: what is not here hands the machine over to it.
var capabilities = []string{
	"AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "IPC_LOCK", "IPC_OWNER", "KILL", "LEASE", "MKNOD", "NET_ADMIN",
	"NET_BIND_SERVICE", "NET_BROADCAST", "NET_RAW", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT", "SYS_NICE", "SYS_RESOURCE",
}

// capability is a capability's name in the one form in which we write it: Docker takes "cap_kill" for KILL too.
func capability(s string) string { return strings.TrimPrefix(strings.ToUpper(s), "CAP_") }

func isCapability(s string) bool { return slices.Contains(capabilities, capability(s)) }

// releaseCapabilities is nil for nil: the usual list is another one than none.
func releaseCapabilities(names []string) []string {
	if names == nil {
		return nil
	}
	all := make([]string, len(names))
	for i, name := range names {
		all[i] = capability(name)
	}
	return all
}

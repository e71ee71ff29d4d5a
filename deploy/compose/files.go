package compose

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"github.com/compose-spec/compose-go/v2/types"

	"tinyforge/deploy/shorten"
)

// copied is a file or folder of the checkout that a service finds in its container. The checkout is gone when the service
// starts, and Docker may be on another machine, so it becomes a layer of the service's image: it is there as long as the
// image is, and a service whose files did not change is not replaced.
type copied struct {
	source string // absolute, in the checkout
	target string // absolute, in the container
	owner  string // "uid:gid"; "" is root
	mode   fs.FileMode
	folder bool
}

const (
	maxCopied      = 64 << 20 // bytes, of a stack
	maxCopiedFiles = 10_000
)

// copyBind takes a bind mount of something in the checkout.
func (p *policy) copyBind(name string, v types.ServiceVolumeConfig) {
	at := "volumes: " + p.tree.named(v.Source)
	info, err := p.tree.stat(v.Source, at)
	if err != nil {
		for _, text := range asFaults(err) {
			p.fault(name, "%s; what a program writes belongs into a named volume", text)
		}
		return
	}
	if info.IsDir() && !v.ReadOnly {
		p.fault(name, "%s is a folder of the repository that the service could write to, and what it writes would be lost: "+
			"add :ro, or use a named volume", at)
		return
	}
	p.copy(name, at, copied{source: v.Source, target: path.Clean(v.Target), folder: info.IsDir()})
}

// references judges the configs and secrets of a service. Those with a file become part of its image, the others are put
// into its container by Compose.
func (p *policy) references(name string, c types.ContainerSpec) {
	for _, ref := range c.Configs {
		object, ok := p.project.Configs[ref.Source]
		p.reference(name, "config", "/", types.FileReferenceConfig(ref), types.FileObjectConfig(object), ok, c.ReadOnly)
	}
	for _, ref := range c.Secrets {
		object, ok := p.project.Secrets[ref.Source]
		p.reference(name, "secret", "/run/secrets/", types.FileReferenceConfig(ref), types.FileObjectConfig(object), ok, c.ReadOnly)
	}
}

func (p *policy) reference(name, kind, dir string, ref types.FileReferenceConfig, object types.FileObjectConfig, known, readOnly bool) {
	at := kind + " " + ref.Source
	switch {
	case !known:
		p.fault(name, "there is no %s", at)
	case object.File != "":
		p.copy(name, at+": "+p.tree.named(object.File), copyOf(object.File, dir, ref))
	case object.Content == "" && object.Environment != "":
		p.fault(name, "%s is the variable %s, which is not set", at, object.Environment)
	case readOnly:
		p.fault(name, "%s cannot be put into a container with read_only: give it as a file of the repository", at)
	}
}

func copyOf(source, dir string, ref types.FileReferenceConfig) copied {
	target := ref.Target
	if target == "" {
		target = ref.Source
	}
	if !path.IsAbs(target) {
		target = path.Join(dir, target)
	}
	c := copied{source: source, target: path.Clean(target)}
	if ref.UID != "" || ref.GID != "" {
		c.owner = orZero(ref.UID) + ":" + orZero(ref.GID)
	}
	if ref.Mode != nil {
		c.mode = fs.FileMode(*ref.Mode) & fs.ModePerm
	}
	return c
}

func orZero(id string) string {
	if id == "" {
		return "0"
	}
	return id
}

func (p *policy) copy(name, at string, c copied) {
	if err := p.weigh(c.source, at); err != nil {
		for _, text := range asFaults(err) {
			p.fault(name, "%s", text)
		}
		return
	}
	if strings.ContainsAny(c.target, "$\"\\") || strings.ContainsFunc(c.target, unicode.IsControl) || strings.Trim(c.owner, "0123456789:") != "" || c.target == "/" {
		p.fault(name, "%s cannot be put at %q", at, shorten.Typed(c.target))
		return
	}
	if mount := hiding(p.project.Services[name], c.target); mount != "" {
		p.fault(name, "%s at %s would be hidden by what is mounted at %s: put it elsewhere", at, c.target, mount)
		return
	}
	p.files[name] = append(p.files[name], c)
}

// hiding returns the mount of a service that would be over a place in its image.
func hiding(s types.ServiceConfig, target string) string {
	for _, v := range s.Volumes {
		if v.Type != types.VolumeTypeBind && below(path.Clean(v.Target), target) {
			return v.Target
		}
	}
	for _, t := range s.Tmpfs {
		if mount, _, _ := strings.Cut(t, ":"); below(path.Clean(mount), target) {
			return mount
		}
	}
	return ""
}

// weigh bounds what is copied, and finds links that lead out of the checkout.
func (p *policy) weigh(source, at string) error {
	info, err := p.tree.stat(source, at)
	if err != nil {
		return err
	}
	rel, err := p.tree.resolved(source)
	if err != nil {
		return err
	}
	switch {
	case info.Mode().IsRegular():
		p.size, p.count = p.size+info.Size(), p.count+1
	case info.IsDir():
		err = fs.WalkDir(p.tree.root.FS(), rel, p.weighOne)
	default:
		return faults{at + " is neither a file nor a folder"}
	}
	if p.size > maxCopied || errors.Is(err, errTooMuch) {
		return faults{fmt.Sprintf("%s is too much: at most %d MiB and %d files of the repository are mounted into a stack; COPY it in a Dockerfile",
			at, maxCopied>>20, maxCopiedFiles)}
	}
	if err != nil {
		return fmt.Errorf("look at %s: %w", at, err)
	}
	return nil
}

func (p *policy) weighOne(_ string, d fs.DirEntry, err error) error {
	if err != nil || d.IsDir() {
		return err
	}
	info, err := d.Info()
	if err != nil {
		return err
	}
	if p.count++; p.count > maxCopiedFiles || p.size > maxCopied {
		return errTooMuch
	}
	if info.Mode().IsRegular() {
		p.size += info.Size()
	}
	return nil
}

var errTooMuch = errors.New("too much")

// stage puts the files of a service into a folder that an image is built from. Links within a folder stay links, as a bind
// mount would show them, if they lead to something in the folder; others are left out.
func (t *tree) stage(dir string, files []copied) (lines []string, err error) {
	slices.SortStableFunc(files, func(a, b copied) int { return cmp.Compare(a.target, b.target) }) // what is in a folder after it
	for i, c := range files {
		name := fmt.Sprintf("f%d", i)
		rel, err := t.resolved(c.source)
		if err != nil {
			return nil, err
		}
		if c.folder {
			err = t.stageFolder(rel, filepath.Join(dir, name))
		} else {
			err = t.stageFile(rel, filepath.Join(dir, name), c.mode)
		}
		if err != nil {
			return nil, fmt.Errorf("copy %s: %w", rel, err)
		}
		slash := ""
		if c.folder {
			slash = "/"
		}
		chown := ""
		if c.owner != "" {
			chown = "--chown=" + c.owner + " "
		}
		lines = append(lines, fmt.Sprintf("COPY %s[%q, %q]", chown, name+slash, c.target+slash))
	}
	return lines, nil
}

func (t *tree) stageFolder(rel, to string) error {
	sub, err := t.root.OpenRoot(rel)
	if err != nil {
		return err
	}
	defer sub.Close()
	return fs.WalkDir(sub.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		target := filepath.Join(to, filepath.FromSlash(name))
		switch {
		case d.IsDir():
			return os.MkdirAll(target, 0o755)
		case d.Type() == fs.ModeSymlink:
			link, err := sub.Readlink(name)
			if _, statErr := sub.Stat(name); err != nil || statErr != nil {
				return err
			}
			return os.Symlink(link, target)
		case d.Type().IsRegular():
			return t.stageFile(path.Join(rel, name), target, 0)
		}
		return nil
	})
}

// stageFile copies with modes of its own: those of the checkout depend on who made it.
func (t *tree) stageFile(rel, to string, mode fs.FileMode) error {
	content, err := t.root.ReadFile(filepath.FromSlash(rel))
	if err != nil {
		return err
	}
	info, err := t.root.Stat(filepath.FromSlash(rel))
	if err != nil {
		return err
	}
	if mode == 0 {
		mode = 0o644
		if info.Mode()&0o100 != 0 {
			mode = 0o755
		}
	}
	if err := os.WriteFile(to, content, 0o600); err != nil {
		return err
	}
	return os.Chmod(to, mode)
}

package source

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"tinyforge/deploy"
	"tinyforge/deploy/site"
)

// stage is a folder, inside of the checkout, where the context of a build is put together: only what may be in the image.
type stage struct {
	checkout string
	name     string   // of the folder, in the checkout
	root     *os.Root // the site's folder in the checkout
	in       deploy.BuildInput
	log      io.Writer
}

// newStage makes one for the site in the folder root of a checkout.
func newStage(checkout, root string, in deploy.BuildInput, log io.Writer) (*stage, error) {
	folder, err := resolve(checkout, "root", root, true)
	if err != nil {
		return nil, err
	}
	from, err := os.OpenRoot(checkout)
	if err != nil {
		return nil, fmt.Errorf("open checkout: %w", err)
	}
	defer from.Close()
	site, err := from.OpenRoot(folder)
	if err != nil {
		return nil, fmt.Errorf("open site: %w", err)
	}
	st := &stage{checkout: checkout, root: site, in: in, log: log}
	if st.name, err = st.folder(); err != nil {
		st.close()
		return nil, err
	}
	return st, nil
}

func (st *stage) close() { _ = st.root.Close() }

// folder makes another folder beside the others. It goes with the checkout.
func (st *stage) folder() (name string, err error) {
	dir, err := os.MkdirTemp(st.checkout, ".tinyforge-") // with a dot, so that it is no part of a site
	if err != nil {
		return "", &deploy.Failure{Text: "There is no room to build in", Err: err}
	}
	return filepath.Base(dir), nil
}

// path is where something of the stage is.
func (st *stage) path(name string) string { return filepath.Join(st.checkout, st.name, name) }

// copy copies the site to a folder of the stage, and says in the log what is left out.
func (st *stage) copy(ctx context.Context, to string, without ...string) (site.Tree, error) {
	if err := os.Mkdir(st.path(to), 0o755); err != nil {
		return site.Tree{}, fmt.Errorf("make stage: %w", err)
	}
	tree, err := site.Copy(ctx, st.root, st.path(to), site.DefaultLimits(), append(without, ".git", st.name)...)
	switch {
	case errors.Is(err, site.ErrTooMuch):
		return site.Tree{}, &deploy.Failure{Text: "The site cannot be built: " + strings.TrimPrefix(err.Error(), "copy site: "), Err: err}
	case err != nil:
		return site.Tree{}, err
	}
	for _, skipped := range tree.Skipped {
		if err := st.say("Left out %s", skipped); err != nil {
			return site.Tree{}, err
		}
	}
	return tree, nil
}

// read returns a small file of the site; nil when there is none.
func (st *stage) read(name string) ([]byte, error) {
	file, err := st.root.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, &deploy.Failure{Text: fmt.Sprintf("%s cannot be read: it must be a file inside the site's folder", name), Err: err}
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, &deploy.Failure{Text: fmt.Sprintf("%s cannot be read: it must be a file inside the site's folder", name), Err: err}
	}
	const enough = 2 << 20 // more than is allowed
	text, err := io.ReadAll(io.LimitReader(file, enough))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return text, nil
}

func (st *stage) write(name, text string) error {
	if err := os.WriteFile(st.path(name), []byte(text), 0o644); err != nil {
		return fmt.Errorf("write stage: %w", err)
	}
	return os.Chmod(st.path(name), 0o644) // whatever the umask
}

func (st *stage) say(format string, args ...any) error {
	if _, err := fmt.Fprintf(st.log, format+"\n", args...); err != nil {
		return fmt.Errorf("write log: %w", err)
	}
	return nil
}

// spec is the build of the Dockerfile in the stage.
func (st *stage) spec() deploy.BuildSpec {
	return deploy.BuildSpec{
		Dir:        st.checkout,
		Context:    st.name,
		Dockerfile: st.name + "/Dockerfile",
		Tag:        st.in.Tag,
		Labels:     map[string]string{"tinyforge.workload": st.in.Workload.Name, "tinyforge.release": string(st.in.ID)},

		CacheNamespace: st.in.Workload.Name,
	}
}

// words writes arguments as a Dockerfile takes them without a shell: nothing in them is expanded.
func words(args ...string) string {
	text, err := json.Marshal(args)
	if err != nil {
		panic("strings are always JSON: " + err.Error())
	}
	return string(text)
}

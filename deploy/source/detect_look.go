package source

import (
	"errors"
	"io"
	"io/fs"
	"path"
	"slices"
	"unicode/utf8"
)

// looker looks at one folder of a checkout.
type looker struct {
	fsys   fs.FS
	folder string
}

// names are what the folder holds, as far as it is looked at, in no order.
func (l looker) names() (names []string, err error) {
	f, err := l.fsys.Open(l.folder)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	dir, ok := f.(fs.ReadDirFile)
	if !ok {
		return nil, errors.New("it is no folder")
	}
	entries, err := dir.ReadDir(maxEntries)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	for _, e := range entries {
		if utf8.ValidString(e.Name()) {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

func (l looker) isFolder() bool {
	info, err := fs.Stat(l.fsys, l.folder)
	return err == nil && info.IsDir()
}

// first returns the first of some names that is a file.
func (l looker) first(names []string, wanted ...string) (name string, ok bool) {
	for _, w := range wanted {
		if slices.Contains(names, w) && l.isFile(w) {
			return w, true
		}
	}
	return "", false
}

func (l looker) isFile(name string) bool {
	info, err := fs.Stat(l.fsys, path.Join(l.folder, name))
	return err == nil && info.Mode().IsRegular()
}

// read returns the beginning of a file, and whether that is all of it.
func (l looker) read(name string) (text []byte, whole bool) {
	if !l.isFile(name) { // anything else could be waited for
		return nil, false
	}
	f, err := l.fsys.Open(path.Join(l.folder, name))
	if err != nil {
		return nil, false
	}
	defer f.Close()
	text, err = io.ReadAll(io.LimitReader(f, maxDetectRead+1))
	if err != nil || !utf8.Valid(text) && len(text) <= maxDetectRead {
		return nil, false
	}
	return text[:min(len(text), maxDetectRead)], len(text) <= maxDetectRead
}

// at is the path of a name of the folder in the repository.
func (l looker) at(name string) string { return path.Join(l.folder, name) }

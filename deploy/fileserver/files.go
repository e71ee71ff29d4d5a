package fileserver

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"tinyforge/deploy/site"
)

// files is the file system from which Caddy serves: the files of the site and, beside each, one with the tag of its
// content, from which Caddy reads its ETag. A redeploy that changes nothing in a file leaves its tag alone, unlike its
// time, which therefore is not told.
type files struct {
	dir  string
	site *site.Site
}

// tagSuffix is the end of the names under which tags are; no file can have such a name.
const tagSuffix = "\x00tag"

func newFiles(dir string, s *site.Site) files { return files{dir, s} }

// Open implements fs.FS.
func (f files) Open(name string) (fs.File, error) {
	name = filepath.ToSlash(name)
	if of, ok := strings.CutSuffix(name, tagSuffix); ok {
		tag, ok := f.site.Tag(of)
		if !ok {
			return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
		}
		return tagFile{bytes.NewReader([]byte(`"` + tag + `"`))}, nil
	}
	if _, ok := f.site.Tag(name); !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	opened, err := os.Open(f.path(name))
	if err != nil {
		return nil, err
	}
	return file{opened}, nil
}

// path is where a file of the site is.
func (f files) path(name string) string { return filepath.Join(f.dir, filepath.FromSlash(name)) }

// file is an open file of the site.
type file struct{ *os.File }

// Stat implements fs.File.
func (f file) Stat() (fs.FileInfo, error) {
	info, err := f.File.Stat()
	if err != nil {
		return nil, err
	}
	return timeless{info}, nil
}

// timeless is a file whose time is not told.
type timeless struct{ fs.FileInfo }

// ModTime implements fs.FileInfo.
func (timeless) ModTime() time.Time { return time.Unix(0, 0) }

// tagFile is a file in memory.
type tagFile struct{ *bytes.Reader }

// Stat implements fs.File. Nothing asks.
func (tagFile) Stat() (fs.FileInfo, error) { return nil, fs.ErrInvalid }

// Close implements fs.File.
func (tagFile) Close() error { return nil }

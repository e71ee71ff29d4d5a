package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"tinyforge/deploy/shorten"
)

// references reads what a manifest refers to: "env:NAME" is an environment variable, "file:PATH" the contents of a file,
// without a newline at its end. "text:env:..." is the text "env:...", for values that look like a reference and are none.
type references struct {
	env  func(name string) (value string, ok bool)
	file func(path string) ([]byte, error)
}

// newReferences reads the real environment, and files relative to dir.
func newReferences(dir string) references {
	return references{env: os.LookupEnv, file: func(path string) ([]byte, error) {
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		return readAtMost(path, maxManifest)
	}}
}

// readAtMost reads a file of at most limit bytes.
func readAtMost(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(text)) > limit {
		err = fmt.Errorf("it is larger than %d bytes", limit)
	}
	return text, err
}

// resolve returns what s stands for, s itself when it is no reference. Errors name the variable or the file and hold
// nothing of what is in it.
func (r references) resolve(s string) (text string, isReference bool, err error) {
	scheme, name, ok := strings.Cut(s, ":")
	switch {
	case !ok:
		return s, false, nil
	case scheme == "env":
		text, err = r.resolveEnv(name)
	case scheme == "file":
		text, err = r.resolveFile(name)
	case scheme == "text" && looksLikeReference(name):
		return name, false, nil
	default:
		return s, false, nil
	}
	if err == nil && !utf8.ValidString(text) {
		err = fmt.Errorf("what %s refers to is not UTF-8 text", shorten.Typed(s))
	}
	return text, true, err
}

func looksLikeReference(s string) bool {
	scheme, _, ok := strings.Cut(s, ":")
	return ok && (scheme == "env" || scheme == "file" || scheme == "text")
}

func (r references) resolveEnv(name string) (string, error) {
	text, ok := r.env(name)
	if !ok {
		return "", fmt.Errorf("the environment variable %q is not set", shorten.Typed(name))
	}
	return text, nil
}

func (r references) resolveFile(path string) (string, error) {
	text, err := r.file(path)
	if at, ok := errors.AsType[*fs.PathError](err); ok {
		err = at.Err
	}
	if err != nil {
		return "", fmt.Errorf("the file %q cannot be read: %w", shorten.Typed(path), err)
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r"), nil
}

package site

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"strings"
)

var (
	errOutside  = errors.New("it is a link that leads out of the site's folder")
	errDangling = errors.New("it is a link that leads nowhere")
)

// resolve returns the path of what a link leads to, without a link in it, relative to root. It looks at nothing outside.
func resolve(root *os.Root, link string) (string, error) {
	const maxLinks = 40
	done, rest := ".", strings.Split(link, "/")
	for links := 0; len(rest) > 0; {
		next := rest[0]
		rest = rest[1:]
		if next == ".." && done == "." {
			return "", errOutside
		}
		at := path.Join(done, next)
		info, err := root.Lstat(at)
		switch {
		case err != nil:
			return "", errDangling
		case info.Mode()&fs.ModeSymlink == 0:
			done = at
			continue
		}
		if links++; links > maxLinks {
			return "", errDangling
		}
		target, err := root.Readlink(at)
		if err != nil {
			return "", errDangling
		}
		if path.IsAbs(target) {
			return "", errOutside
		}
		rest = append(strings.Split(target, "/"), rest...)
	}
	return done, nil
}

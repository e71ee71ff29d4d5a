package fileserver

import (
	"fmt"
	"mime"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp/encode"

	"tinyforge/deploy/site"
)

// files are those of the site. A file's ETag is the tag of its content, which a redeploy that changes nothing in it leaves
// alone, unlike its time, which therefore is not told.
type files struct {
	dir  string
	site *site.Site
}

// send answers with a file of the site, or with a compressed one that lies beside it and that the client takes, or with the
// part of it that the client wants, or that it has not changed. Where it fails it has sent nothing.
func (f files) send(w http.ResponseWriter, r *http.Request, name string) error {
	h := w.Header()
	h.Add("Vary", "Accept-Encoding")
	opened, tag := f.beside(h, r, name)
	if opened == nil {
		var err error
		if opened, err = os.Open(f.at(name)); err != nil {
			return fmt.Errorf("open file of the site: %w", err)
		}
		tag, _ = f.site.Tag(name)
	}
	defer func() { _ = opened.Close() }()
	h.Set("Etag", `"`+tag+`"`)
	if h.Get("Content-Type") == "" {
		if kind := mime.TypeByExtension(path.Ext(name)); kind != "" {
			h.Set("Content-Type", kind)
		} else {
			h["Content-Type"] = nil // nobody knows: net/http must not guess
		}
	}
	http.ServeContent(w, r, "", time.Time{}, opened)
	return nil
}

// suffixes are those of compressed files, and strongest the order in which they are taken of what a client likes as well.
var (
	suffixes  = map[string]string{"br": ".br", "zstd": ".zst", "gzip": ".gz"}
	strongest = []string{"br", "zstd", "gzip"}
)

// beside opens the compressed file that suits the client best, and says so in the header; nil where none can be opened.
func (f files) beside(h http.Header, r *http.Request, name string) (opened *os.File, tag string) {
	for _, encoding := range encode.AcceptedEncodings(r, strongest) {
		suffix, known := suffixes[encoding]
		if !known {
			continue
		}
		if tag, known = f.site.Tag(name + suffix); !known {
			continue
		}
		info, err := os.Stat(f.at(name + suffix))
		if err != nil {
			continue
		}
		if opened, err = os.Open(f.at(name + suffix)); err != nil {
			continue
		}
		h.Set("Content-Encoding", encoding)
		if r.Header.Get("Range") == "" && r.Header.Get("If-Match") == "" { // ServeContent tells no length of what has an encoding
			h.Set("Content-Length", strconv.FormatInt(info.Size(), 10))
		}
		return opened, tag
	}
	return nil, ""
}

func (f files) at(name string) string { return filepath.Join(f.dir, filepath.FromSlash(name)) }

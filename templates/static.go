package templates

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"slices"
)

//go:embed static
var staticFiles embed.FS

// Static serves files that never change under their address, since it has their hash in it.
type Static struct {
	files fs.FS
	hash  string
	names []string
}

func newStatic() (*Static, error) {
	files, err := fs.Sub(staticFiles, "static")
	if err != nil {
		return nil, err
	}
	s := &Static{files: files}
	sum := sha256.New()
	err = fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := fs.ReadFile(files, name)
		fmt.Fprintf(sum, "%s\x00%d\x00%s", name, len(content), content)
		s.names = append(s.names, name)
		return err
	})
	s.hash = hex.EncodeToString(sum.Sum(nil))[:12]
	return s, err
}

// URL is the address of a file, such as "/static/0123456789ab/style.css".
func (s *Static) URL(name string) (string, error) {
	if !slices.Contains(s.names, name) {
		return "", fmt.Errorf("there is no static file %q", name)
	}
	return "/static/" + s.hash + "/" + name, nil
}

// ServeHTTP serves GET /static/{hash}/{name}.
func (s *Static) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	if !slices.Contains(s.names, name) || r.PathValue("hash") != s.hash {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	http.ServeFileFS(w, r, s.files, name)
}

package registry

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"tinyforge/deploy"
)

// has tells whether a request has an account.
func has(r *http.Request, user, password string) bool {
	gotUser, gotPassword, _ := r.BasicAuth()
	got, want := sha256.Sum256([]byte(gotUser+"\x00"+gotPassword)), sha256.Sum256([]byte(user+"\x00"+password))
	return subtle.ConstantTimeCompare(got[:], want[:]) == 1
}

// changesImages tells whether a request changes which blobs are needed.
func changesImages(r *http.Request) bool {
	return r.Method == http.MethodDelete || r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/")
}

// readAhead reads the whole body of a request, which is a manifest's or none.
func readAhead(w http.ResponseWriter, r *http.Request) error {
	all, err := io.ReadAll(http.MaxBytesReader(w, r.Body, mostManifest))
	if err != nil {
		return fmt.Errorf("read manifest: %w", err)
	}
	r.Body = io.NopCloser(bytes.NewReader(all))
	return nil
}

// refuse answers as registries do.
func refuse(w http.ResponseWriter, status int, code, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Del("Content-Length")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"errors": []map[string]string{{"code": code, "message": text}}})
}

// fullText is what a client hears of a full disk.
const fullText = "the disk of the registry is full"

// leastFree is how many bytes a disk has free that is not full.
const leastFree = 1 << 20

// fullWriter knows the status of an answer. An error of ours while the disk is full is said to be that, in the one way upon which
// Docker does not try again: 403 and DENIED (seen with Docker 20.10, which tries for 50 s upon any 5xx).
type fullWriter struct {
	http.ResponseWriter
	dir    string
	status int
	full   bool
}

// WriteHeader implements http.ResponseWriter.
func (w *fullWriter) WriteHeader(status int) {
	if w.status != 0 {
		return
	}
	w.status = status
	if status == http.StatusInternalServerError {
		if free, err := deploy.FreeSpace(w.dir); err == nil && free < leastFree {
			w.status, w.full = http.StatusForbidden, true
			refuse(w.ResponseWriter, w.status, "DENIED", fullText)
			return
		}
	}
	w.ResponseWriter.WriteHeader(status)
}

// uploadPath is the address of an upload under way.
var uploadPath = regexp.MustCompile(`^/v2/([a-z0-9]+(?:[._/-]+[a-z0-9]+)*)/blobs/uploads/([0-9a-f-]{36})$`)

// dropUpload removes what came of a blob for which there was no room: its client gives up, and the disk would stay full.
func (g *Registry) dropUpload(path string) error {
	parts := uploadPath.FindStringSubmatch(path)
	if parts == nil || !filepath.IsLocal(parts[1]) {
		return nil
	}
	if err := os.RemoveAll(filepath.Join(g.cfg.Dir, "docker/registry/v2/repositories", filepath.Clean(parts[1]), "_uploads", parts[2])); err != nil {
		return fmt.Errorf("remove upload: %w", err)
	}
	return nil
}

// Write implements http.ResponseWriter.
func (w *fullWriter) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.full { // it is answered
		return len(p), nil
	}
	return w.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController find the writer's abilities.
func (w *fullWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

package fileserver

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"path"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"tinyforge/deploy/site"
)

// handler answers the requests for one site.
type handler struct {
	files
	packs    *packs
	compress caddyhttp.MiddlewareHandler // Caddy's
	log      *slog.Logger
}

// New returns the handler of a site whose files are in the folder dir. The site.Config is checked completely.
func New(c site.Config, dir string, log *slog.Logger) (http.Handler, error) {
	s, err := site.New(c)
	if err != nil {
		return nil, fmt.Errorf("serve site: %w", err)
	}
	h := &handler{files: files{dir, s}, packs: newPacks(), log: log}
	if h.compress, err = compression(); err != nil {
		return nil, fmt.Errorf("serve site: %w", err)
	}
	return h, nil
}

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	requested := r.URL.Path
	if requested == site.ReadyPath {
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusOK)
		return
	}
	answer := h.site.Answer(requested, r.URL.RawQuery)
	if answer.Location != "" {
		w.Header().Set("Location", answer.Location)
		w.WriteHeader(answer.Status)
		return
	}
	h.site.SetHeader(w.Header(), requested)
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		plain(w, http.StatusMethodNotAllowed)
		return
	}
	if answer.File == "" {
		plain(w, answer.Status)
		return
	}
	h.file(w, r, answer)
}

// file serves a file of the site, compressed where that is worth it.
func (h *handler) file(w http.ResponseWriter, r *http.Request, answer site.Answer) {
	if answer.Status != http.StatusOK { // a page about an error is neither cut into parts nor "not modified"
		for _, name := range []string{"Range", "If-Range", "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"} {
			r.Header.Del(name)
		}
		w = statusWriter{w, answer.Status}
	}
	key, keeps := h.keyOf(r, w.Header(), answer.File)
	keeps = keeps && answer.Status == http.StatusOK
	if keeps && h.packs.send(w, key) {
		return
	}
	if name := contentType(answer.File); name != "" && w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", name)
	}
	r = caddyhttp.PrepareRequest(r, caddy.NewReplacer(), w, nil)
	err := h.compress.ServeHTTP(w, r, caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		return h.send(w, r, answer.File)
	}))
	if err == nil && keeps {
		h.packs.keep(key, h.at(answer.File), w.Header())
	}
	if err == nil || r.Context().Err() != nil {
		return
	}
	h.log.ErrorContext(r.Context(), "serve file", "file", answer.File, "error", err)
	w.Header().Del("Content-Type")
	plain(w, statusOf(err))
}

// statusOf tells visitors why there is no file. One that is there and cannot be opened may be, a moment later.
func statusOf(err error) int {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return http.StatusNotFound
	case errors.Is(err, fs.ErrPermission):
		return http.StatusForbidden
	}
	return http.StatusServiceUnavailable
}

// plain is the answer where the site has no page for it.
func plain(w http.ResponseWriter, status int) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, "%d %s\n", status, http.StatusText(status))
}

// statusWriter sends another status than the one that a file is served with.
type statusWriter struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements http.ResponseWriter.
func (w statusWriter) WriteHeader(int) { w.ResponseWriter.WriteHeader(w.status) }

// contentType names what a file is where the image, which has no table of the system's, would not know; "" where it does
// or nobody does.
func contentType(file string) string {
	ext := path.Ext(file)
	if i := slices.IndexFunc(types, func(t [2]string) bool { return t[0] == ext }); i >= 0 {
		return types[i][1]
	}
	return ""
}

var types = [][2]string{
	{".txt", "text/plain; charset=utf-8"}, {".md", "text/markdown; charset=utf-8"}, {".csv", "text/csv; charset=utf-8"},
	{".ics", "text/calendar; charset=utf-8"}, {".vtt", "text/vtt; charset=utf-8"},
	{".rss", "application/rss+xml"}, {".atom", "application/atom+xml"}, {".xhtml", "application/xhtml+xml"},
	{".map", "application/json"}, {".jsonld", "application/ld+json"}, {".geojson", "application/geo+json"},
	{".webmanifest", "application/manifest+json"},
	{".woff", "font/woff"}, {".woff2", "font/woff2"}, {".ttf", "font/ttf"}, {".otf", "font/otf"}, {".eot", "application/vnd.ms-fontobject"},
	{".ico", "image/x-icon"}, {".bmp", "image/bmp"}, {".tiff", "image/tiff"}, {".heic", "image/heic"}, {".jxl", "image/jxl"},
	{".mp3", "audio/mpeg"}, {".m4a", "audio/mp4"}, {".ogg", "audio/ogg"}, {".opus", "audio/ogg"}, {".wav", "audio/wav"}, {".flac", "audio/flac"},
	{".mp4", "video/mp4"}, {".webm", "video/webm"}, {".ogv", "video/ogg"}, {".mov", "video/quicktime"},
	{".zip", "application/zip"}, {".gz", "application/gzip"}, {".tar", "application/x-tar"}, {".7z", "application/x-7z-compressed"},
	{".epub", "application/epub+zip"}, {".rtf", "application/rtf"},
}

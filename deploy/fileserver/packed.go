package fileserver

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp/encode"
	"github.com/klauspost/compress/zstd"
)

const (
	packedMost = 1 << 20 // bytes of a file that is kept compressed
	packsMost  = 8 << 20 // bytes of all that is: what comes later is compressed for each visitor
)

// packs keep files as they are sent compressed, so that a file is compressed once and not for each visitor. Whether one is sent
// compressed, and with which header, is said by Caddy's answer to the first. They are safe for concurrent use.
type packs struct {
	packing sync.Mutex // one at a time, since it takes memory: what comes meanwhile is kept later

	mu   sync.RWMutex
	all  map[packKey]*packed // nil for one that is being made, or cannot be
	size int
}

type packKey struct{ file, encoding string }

type packed struct {
	header http.Header
	body   []byte
}

// packHeader are the fields that belong to the compressed file. All others are the site's rules'.
var packHeader = []string{"Content-Encoding", "Content-Type", "Etag", "Vary"}

func newPacks() *packs { return &packs{all: map[packKey]*packed{}} }

// keyOf is what an answer with a file would be kept as. There is none where it is more than the file in an encoding: a part, an
// answer to a condition, a file that is there in an encoding too, or one with which a rule of the site interferes. h is the answer's
// header as the rules have it.
func (f files) keyOf(r *http.Request, h http.Header, file string) (key packKey, ok bool) {
	for name := range r.Header {
		if name == "Range" || strings.HasPrefix(name, "If-") {
			return key, false
		}
	}
	for _, suffix := range suffixes {
		if _, ready := f.site.Tag(file + suffix); ready {
			return key, false
		}
	}
	ruled := slices.ContainsFunc(packHeader, func(name string) bool { return h[name] != nil })
	if ruled || r.Method != http.MethodGet || strings.Contains(strings.ToLower(strings.Join(h.Values("Cache-Control"), ",")), "no-transform") {
		return key, false
	}
	offered := []string{"zstd", "gzip"}
	for _, encoding := range encode.AcceptedEncodings(r, offered) {
		if slices.Contains(offered, encoding) {
			return packKey{file, encoding}, true
		}
	}
	return key, false
}

// send answers with a file that is kept, if it is.
func (p *packs) send(w http.ResponseWriter, key packKey) bool {
	p.mu.RLock()
	one := p.all[key]
	p.mu.RUnlock()
	if one == nil {
		return false
	}
	for name, values := range one.header {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(one.body)))
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(one.body)
	return true
}

// keep compresses the file at path, as which Caddy has answered with this header, unless it was not compressed then or there is no
// room. A file that cannot be read or got no smaller is not kept, and not tried again.
func (p *packs) keep(key packKey, path string, answered http.Header) {
	if answered.Get("Content-Encoding") != key.encoding {
		return
	}
	info, err := os.Stat(path)
	if err != nil || info.Size() > packedMost || !p.packing.TryLock() {
		return
	}
	defer p.packing.Unlock()
	if !p.begin(key) {
		return
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return
	}
	one := &packed{http.Header{}, pack(text, key.encoding)}
	for _, name := range packHeader {
		one.header[name] = slices.Clone(answered[name])
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.size+len(one.body) <= packsMost && len(one.body) < len(text) {
		p.size += len(one.body)
		p.all[key] = one
	}
}

// begin tells whether nobody has begun with it, and there is room.
func (p *packs) begin(key packKey) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, begun := p.all[key]; begun || p.size >= packsMost {
		return false
	}
	p.all[key] = nil
	return true
}

func pack(text []byte, encoding string) []byte {
	var b bytes.Buffer
	if encoding == "zstd" {
		z, err := zstd.NewWriter(&b, zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true), zstd.WithWindowSize(128<<10))
		if err != nil {
			return text
		}
		_, _ = z.Write(text) // to memory
		_ = z.Close()
		return b.Bytes()
	}
	z := gzip.NewWriter(&b)
	_, _ = z.Write(text)
	_ = z.Close()
	return b.Bytes()
}

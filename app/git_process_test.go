package app

import (
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// TestGitTakesNoMoreThanItMay: a server that never stops is cut off before it fills the memory or the disk.
func TestGitTakesNoMoreThanItMay(t *testing.T) {
	const most = 32 << 20
	block := []byte(strings.Repeat("0", 1<<20))
	for name, begin := range map[string]func(w http.ResponseWriter) io.Writer{
		"refs": func(w http.ResponseWriter) io.Writer {
			w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
			_, _ = io.WriteString(w, pktLine("# service=git-upload-pack\n"))
			return w
		},
		"page": func(w http.ResponseWriter) io.Writer {
			w.Header().Set("Content-Type", "text/html")
			return w
		},
		"zipped": func(w http.ResponseWriter) io.Writer {
			w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
			w.Header().Set("Content-Encoding", "gzip")
			return gzip.NewWriter(w)
		},
	} {
		t.Run(name, func(t *testing.T) {
			var sent atomic.Int64
			s := serve(t, func(w http.ResponseWriter, _ *http.Request) { pour(begin(w), block, &sent, 64*most) })
			git := testGit(t, "loopback")
			git.process.memory = most
			_, err := git.Heads(t.Context(), Remote{URL: s.URL + "/a/b.git", Username: "x", Password: gitPassword})
			if !errors.Is(err, errAnswerTooLarge) {
				t.Errorf("got %v", err)
			}
			if n := sent.Load(); n >= 64*most {
				t.Errorf("git took %d MB", n>>20)
			}
		})
	}
	t.Run("pack", func(t *testing.T) {
		var sent atomic.Int64
		forge := &hostileForge{}
		forge.answer = func(w io.Writer) {
			// The header of a pack with one object, a blob of 2^40 bytes, that is not compressed.
			pack := append(binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32([]byte("PACK"), 2), 1), 0xb0, 0x80, 0x80, 0x80, 0x80, 0x40, 0x78, 0x01)
			_, _ = io.WriteString(w, pktLine("\x01"+string(pack)))
			stored := append([]byte{0, 0xf0, 0xff, 0x0f, 0x00}, make([]byte, 0xfff0)...) // a block of deflate as it is
			pour(w, []byte(strings.Repeat(pktLine("\x01"+string(stored[:0x8000]))+pktLine("\x01"+string(stored[0x8000:])), 16)), &sent, 64*most)
		}
		s := serve(t, forge.ServeHTTP)
		git := testGit(t, "loopback")
		git.process.file = most
		dir := t.TempDir()
		_, err := git.Fetch(t.Context(), Remote{URL: s.URL + "/a/b.git"}, forge.commit(), dir)
		if err == nil || sent.Load() < most || sent.Load() >= 64*most {
			t.Errorf("after %d MB: %v", sent.Load()>>20, err)
		}
		if _, err := os.Stat(filepath.Join(dir, ".git")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the folder of git is left: %v", err)
		}
	})
}

// pour writes block again and again until the other side has had enough, or most bytes are sent.
func pour(w io.Writer, block []byte, sent *atomic.Int64, most int64) {
	for sent.Load() < most {
		n, err := w.Write(block)
		if sent.Add(int64(n)); err != nil {
			return
		}
	}
}

package fileserver

import (
	"compress/gzip"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"tinyforge/deploy/site"
)

// TestCompressedOnce: a file that one visitor got compressed is kept so for the next, who gets the same, and for nobody else.
func TestCompressedOnce(t *testing.T) {
	text := strings.Builder{}
	text.WriteString("Lorem")
	for i := range 5000 { // more than the server holds back to tell its length
		fmt.Fprintf(&text, " %d", i)
	}
	long := text.String()
	s := serve(t, map[string]string{"long.html": long, "as-is.html": long, "long.js": long, "long.js.br": "ready-made br", "404.html": long}, site.Config{
		Headers: []site.HeaderRule{
			{For: "/as-is", Fields: []site.Header{{Name: "Cache-Control", Value: "no-transform"}}},
			{For: "/long", Fields: []site.Header{{Name: "Cache-Control", Value: "max-age=60"}}},
		},
	})
	for _, encoding := range []string{"gzip", "zstd"} {
		first := s.do("GET", "/long", "Accept-Encoding", encoding)
		if first.Header.Get("Content-Length") != "" {
			t.Errorf("%s: the first answer has a length: it was not compressed for its visitor", encoding)
		}
		again := s.do("GET", "/long", "Accept-Encoding", encoding)
		if again.Header.Get("Content-Length") != strconv.Itoa(len(again.body)) || unpacked(t, again) != long {
			t.Errorf("%s: the second answer has the length %q, and holds %.50q", encoding, again.Header.Get("Content-Length"), unpacked(t, again))
		}
		for _, name := range []string{"Content-Encoding", "Content-Type", "Etag", "Vary", "Cache-Control", "Accept-Ranges"} {
			if got, want := again.Header.Get(name), first.Header.Get(name); got != want {
				t.Errorf("%s: then %s is %q, and was %q", encoding, name, got, want)
			}
		}
		s.do("GET", "/long.html", "Accept-Encoding", encoding).wants(t, 200, again.body, "Cache-Control", "")
		s.do("GET", "/long", "Accept-Encoding", encoding, "If-None-Match", again.Header.Get("Etag")).wants(t, 304, "")
		s.do("HEAD", "/long", "Accept-Encoding", encoding).wants(t, 200, "")
		if gone := s.do("GET", "/nowhere", "Accept-Encoding", encoding); gone.StatusCode != 404 {
			t.Errorf("%s: an absent page is answered %d", encoding, gone.StatusCode)
		}
	}
	s.do("GET", "/long", "Accept-Encoding", "identity").wants(t, 200, long, "Content-Encoding", "")
	s.do("GET", "/long", "Accept-Encoding", "gzip", "Range", "bytes=0-4").wants(t, 206, "Lorem", "Content-Encoding", "")
	for range 2 {
		s.do("GET", "/as-is", "Accept-Encoding", "gzip").wants(t, 200, long, "Content-Encoding", "")
		s.do("GET", "/long.js", "Accept-Encoding", "gzip")
		s.do("GET", "/long.js", "Accept-Encoding", "gzip, br").wants(t, 200, "ready-made br", "Content-Encoding", "br")
	}
}

// unpacked is the text of a compressed answer.
func unpacked(t *testing.T, a answer) string {
	t.Helper()
	var reader io.Reader
	var err error
	if a.Header.Get("Content-Encoding") == "zstd" {
		reader, err = zstd.NewReader(strings.NewReader(a.body))
	} else {
		reader, err = gzip.NewReader(strings.NewReader(a.body))
	}
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(reader)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

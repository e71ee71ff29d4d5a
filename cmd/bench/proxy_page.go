package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	static "tinyforge/deploy/site"
)

// page is a text of 20 kB that can be compressed as one of a website can.
func page() string {
	const words = "the a of to and in is for on that with as it by this from are at be or an which you not have was all can has " +
		"build deploy commit container proxy request answer route service release server page file folder branch check"
	list, seed := strings.Fields(words), uint32(1)
	next := func(n int) int { // the same in each run
		seed = seed*1664525 + 1013904223
		return int(seed>>8) % n
	}
	var b strings.Builder
	for b.Len() < 20_000 {
		fmt.Fprintf(&b, "<p id=\"%d\" class=\"text\">", next(1_000_000))
		for range 10 + next(30) {
			b.WriteString(list[next(len(list))] + " ")
		}
		b.WriteString("</p>\n")
	}
	return b.String()
}

// servePage answers with the page, which a proxy is to compress. Asked without a proxy, it sends what was compressed before.
func servePage() http.HandlerFunc {
	text := []byte(page())
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write(text) // to memory
	_ = z.Close()
	return func(w http.ResponseWriter, r *http.Request) {
		body := text
		if r.Header.Get("X-Forwarded-For") == "" && r.Header.Get("Accept-Encoding") == "gzip" {
			body = packed.Bytes()
			w.Header().Set("Content-Encoding", "gzip")
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = w.Write(body)
	}
}

// packers are those who can serve a static site and compress it.
func packers() []contender {
	list := namedContenders(noProxy, ours, caddyNow, "nginx", "haproxy", "caddy of Debian")
	for i := range list {
		if list[i].name == ours {
			list[i].start = startOursSite
		}
	}
	return list
}

// startOursSite runs tinyforge proxy for HTTP, and behind it the server that is in a static site's container.
func startOursSite(ctx context.Context, s *stage, _ string) (*proxied, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	if err := s.configureSite(address); err != nil {
		return nil, err
	}
	behind, err := start(s.dir, "site", nil, s.tinyforge, "site", s.site())
	if err != nil {
		return nil, err
	}
	if err := behind.answers(ctx, address); err != nil {
		behind.kill()
		return nil, err
	}
	p, err := startOurs(ctx, s, address)
	if err != nil {
		behind.kill()
		return nil, err
	}
	p.behind = behind
	return p, nil
}

// site is the folder of the static site, as it is in an image.
func (s *stage) site() string { return filepath.Join(s.dir, "site") }

// siteFiles is the folder of its files.
func (s *stage) siteFiles() string { return filepath.Join(s.site(), static.FilesFolder) }

// writeSite makes the files, which everybody may read: nginx does it as nobody.
func (s *stage) writeSite() error {
	if err := os.MkdirAll(s.siteFiles(), 0o755); err != nil {
		return fmt.Errorf("make site: %w", err)
	}
	if err := os.WriteFile(filepath.Join(s.siteFiles(), "page.html"), []byte(page()), 0o644); err != nil {
		return fmt.Errorf("make site: %w", err)
	}
	return os.Chmod(s.dir, 0o711)
}

// configureSite makes what Tinyforge's server reads beside them.
func (s *stage) configureSite(address string) error {
	c := static.Config{Files: map[string]string{"page.html": "1"}}
	_, port, err := net.SplitHostPort(address)
	if err == nil {
		c.Port, err = strconv.Atoi(port)
	}
	if err != nil {
		return err
	}
	text, err := json.Marshal(c)
	if err == nil {
		_, err = s.write(filepath.Join("site", static.ConfigFile), "%s", text)
	}
	return err
}

// Sampleapp is the site that tests and the demo deploy. Its environment says how it behaves:
//
//	PORT           where it listens (8080); LISTEN_PORT wins, to listen where nobody expects it
//	VERSION        what / answers, in X-Version too; the default is compiled in
//	VERSION_FILE   a file that says it in the place of VERSION
//	STARTUP_DELAY  how long until it listens ("2s")
//	UP_AFTER       how long until /up answers 200 instead of 503
//	UNHEALTHY      "1": /up always answers 500
//	TELL           names of variables, and files, separated by spaces, that it prints as they are, in base64 and escaped for URLs
//	EXIT_AFTER     how long until it ends, with EXIT_CODE (1); "0s" is at once
package main

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

var version = "1" // -ldflags "-X main.version=2"

func main() {
	for _, what := range strings.Fields(os.Getenv("TELL")) {
		tell(what)
	}
	if after := os.Getenv("EXIT_AFTER"); after != "" {
		code, _ := strconv.Atoi(cmp.Or(os.Getenv("EXIT_CODE"), "1"))
		fmt.Printf("sampleapp %s: will exit with %d\n", name(), code)
		if duration("EXIT_AFTER") == 0 {
			os.Exit(code)
		}
		time.AfterFunc(duration("EXIT_AFTER"), func() { os.Exit(code) })
	}
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, "sampleapp:", err)
		os.Exit(1)
	}
}

func tell(what string) {
	text := os.Getenv(what)
	if content, err := os.ReadFile(what); err == nil {
		text = string(content)
	}
	inJSON, _ := json.Marshal(map[string]string{"value": text})
	fmt.Printf("told %s\nraw %s\nbase64 %s\nbasic %s\nurl %s\njson %s\n", what, text, base64.StdEncoding.EncodeToString([]byte(text)),
		base64.URLEncoding.EncodeToString([]byte("user:"+text)), url.QueryEscape(text), inJSON)
}

func serve() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	select {
	case <-ctx.Done():
		return nil
	case <-time.After(duration("STARTUP_DELAY")):
	}
	port := cmp.Or(os.Getenv("LISTEN_PORT"), os.Getenv("PORT"), "8080")
	server := &http.Server{Addr: ":" + port, Handler: routes(), ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.ListenAndServe() }()
	fmt.Printf("sampleapp %s: listening on port %s\n", name(), port)
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return server.Shutdown(ctx)
}

func routes() http.Handler {
	began, mux := time.Now(), http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		text := name()
		w.Header().Set("X-Version", text)
		fmt.Fprintln(w, text)
	})
	mux.HandleFunc("GET /up", func(w http.ResponseWriter, _ *http.Request) {
		switch {
		case os.Getenv("UNHEALTHY") == "1":
			http.Error(w, "unhealthy", http.StatusInternalServerError)
		case time.Since(began) < duration("UP_AFTER"):
			http.Error(w, "not yet", http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("GET /slow", func(w http.ResponseWriter, r *http.Request) {
		ms, _ := strconv.Atoi(r.URL.Query().Get("ms"))
		time.Sleep(time.Duration(ms) * time.Millisecond)
		fmt.Fprintln(w, name())
	})
	mux.HandleFunc("POST /echo", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // whole: HTTP/1 ends the request's body when the answer begins
		_, _ = w.Write(body)
	})
	return mux
}

func name() string {
	if text, err := os.ReadFile(os.Getenv("VERSION_FILE")); err == nil {
		return strings.TrimSpace(string(text))
	}
	return cmp.Or(os.Getenv("VERSION"), version)
}

func duration(env string) time.Duration {
	d, _ := time.ParseDuration(os.Getenv(env))
	return d
}

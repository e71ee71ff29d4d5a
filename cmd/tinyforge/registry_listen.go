package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/netutil"
)

// mostConnections is how many the registry has at a time: an engine pulls with 3 and pushes with 5. Who comes then waits.
const mostConnections = 1000

// imageServer serves a registry on an address.
type imageServer struct {
	images   http.Handler
	listener net.Listener
	tls      *tls.Config // nil for plain HTTP
	log      *slog.Logger
}

// newImageServer opens the address of the registry. A renewed certificate is used from the next connection on.
func newImageServer(ctx context.Context, c config, images http.Handler, log *slog.Logger) (imageServer, error) {
	s := imageServer{images: images, log: log}
	if c.RegistryCert != "" {
		load := func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(c.RegistryCert, c.RegistryKey)
			return &pair, err
		}
		if _, err := load(nil); err != nil {
			return s, fmt.Errorf("--registry-cert, --registry-key: %w", err)
		}
		s.tls = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: load, NextProtos: []string{"http/1.1"}}
	}
	var err error
	s.listener, err = listen(ctx, "registry-listen", c.RegistryListen)
	return s, err
}

// run serves until ctx is done, and then waits for requests in flight, but not for long: who pushes or pulls tries again.
func (s imageServer) run(ctx context.Context) error {
	listener := netutil.LimitListener(s.listener, mostConnections)
	if s.tls != nil {
		listener = tls.NewListener(listener, s.tls)
	}
	server := &http.Server{Handler: steady(s.images), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 32 << 10, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug)}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve images: %w", err)
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		_ = server.Close()
	}
	return nil
}

// A layer may take any time, but not stand still: these are for each read of a body, and for each write of an answer, which the server
// may begin only when it has waited for a body that nobody reads.
const (
	bodyStalls   = time.Minute
	answerStalls = 2 * time.Minute
)

// steady cuts off clients that stall, whatever the handler does.
func steady(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := steadyClient{w, http.NewResponseController(w)}
		if r.ContentLength != 0 {
			c.readOn()
			r.Body = steadyBody{r.Body, c}
		}
		next.ServeHTTP(c, r)
		c.writeOn()
	})
}

// steadyClient is an answer each part of which has its time.
type steadyClient struct {
	http.ResponseWriter
	control *http.ResponseController
}

func (c steadyClient) readOn()  { _ = c.control.SetReadDeadline(time.Now().Add(bodyStalls)) }
func (c steadyClient) writeOn() { _ = c.control.SetWriteDeadline(time.Now().Add(answerStalls)) }

// WriteHeader implements http.ResponseWriter.
func (c steadyClient) WriteHeader(status int) {
	c.writeOn()
	c.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (c steadyClient) Write(p []byte) (int, error) {
	c.writeOn()
	return c.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController find the writer's abilities.
func (c steadyClient) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// steadyBody is a body each part of which has its time.
type steadyBody struct {
	io.ReadCloser
	client steadyClient
}

// Read implements io.Reader. Behind the end there is no limit any more: the server waits for the client's going away, and one that
// is reached would end the request.
func (b steadyBody) Read(p []byte) (int, error) {
	b.client.readOn()
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) {
		_ = b.client.control.SetReadDeadline(time.Time{})
	}
	return n, err
}

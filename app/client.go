package app

import (
	"errors"
	"io"
	"net/http"
	"time"
)

// NewClient returns the HTTP client for all calls to one forge. It reaches public addresses and those in networks (see
// ParseNetworks), whatever DNS or a redirect says; a refusal is a *RefusedError. It uses no proxy from the environment,
// every step has a time-out, and headers and bodies of answers are limited. A GET or HEAD is redirected within its own
// scheme, host and port only; every other redirect is returned as it is.
func NewClient(networks []string) (*http.Client, error) {
	g, err := newGuard(networks)
	if err != nil {
		return nil, err
	}
	return newClient(g, timeouts{dial: 10 * time.Second, tls: 10 * time.Second, header: 20 * time.Second, whole: 30 * time.Second}), nil
}

// timeouts bound the steps of a request.
type timeouts struct {
	dial, tls time.Duration
	header    time.Duration // from the request being sent to the answer's headers
	whole     time.Duration // including the body
}

const (
	maxAnswerHeader = 64 << 10
	maxAnswerBody   = 16 << 20
	maxRedirects    = 5
)

func newClient(g *guard, t timeouts) *http.Client {
	return &http.Client{
		Timeout:       t.whole,
		CheckRedirect: checkRedirect,
		Transport: &limitedTransport{base: &http.Transport{
			Proxy:                  nil, // a proxy would dial for us, past the guard
			DialContext:            g.dialer(t.dial),
			TLSHandshakeTimeout:    t.tls,
			ResponseHeaderTimeout:  t.header,
			MaxResponseHeaderBytes: maxAnswerHeader,
			IdleConnTimeout:        60 * time.Second,
			MaxIdleConnsPerHost:    4,
			ForceAttemptHTTP2:      true,
		}},
	}
}

// checkRedirect follows GET and HEAD within one origin. For all else the answer is the redirect itself: a POST would
// become a GET and look like a success.
func checkRedirect(next *http.Request, via []*http.Request) error {
	first := via[0]
	switch {
	case first.Method != http.MethodGet && first.Method != http.MethodHead,
		next.URL.Scheme != first.URL.Scheme,
		next.URL.Host != first.URL.Host,
		len(via) > maxRedirects:
		return http.ErrUseLastResponse
	}
	return nil
}

var errAnswerTooLarge = errors.New("the forge's answer is too large")

// limitedTransport makes a body end in errAnswerTooLarge after maxAnswerBody bytes: SDKs read bodies whole.
type limitedTransport struct{ base *http.Transport }

func (t *limitedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := t.base.RoundTrip(r)
	if err == nil {
		resp.Body = &limitedBody{ReadCloser: resp.Body, left: maxAnswerBody}
	}
	return resp, err
}

func (t *limitedTransport) CloseIdleConnections() { t.base.CloseIdleConnections() }

type limitedBody struct {
	io.ReadCloser
	left int64
}

func (b *limitedBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		// The limit is an error only when there is more to come.
		if n, err := b.ReadCloser.Read(make([]byte, 1)); n == 0 {
			return 0, err
		}
		return 0, errAnswerTooLarge
	}
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.ReadCloser.Read(p)
	b.left -= int64(n)
	return n, err
}

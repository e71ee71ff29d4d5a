package deploy

import (
	"context"
	"net/http"
	"time"
)

// Probe asks what runs at an upstream once, as a gate does, and returns the status of its answer. host is sent as the
// request's Host; "" is the upstream's own address. The error is a *Failure.
func Probe(ctx context.Context, up Upstream, host, path string, timeout time.Duration) (status int, err error) {
	status, wrong := probe(ctx, up, host, path, timeout)
	if wrong != "" {
		return 0, &Failure{Text: "It " + wrong}
	}
	return status, nil
}

// probe returns what came in the place of an answer, or "".
func probe(ctx context.Context, up Upstream, host, path string, timeout time.Duration) (status int, wrong string) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+up.Addr+path, nil)
	if err != nil {
		return 0, "is not a request that can be sent"
	}
	if host != "" {
		request.Host = host
	}
	request.Header.Set("User-Agent", "Tinyforge-Gate")
	transport := &http.Transport{DisableKeepAlives: true}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return 0, refused(err, timeout, up)
	}
	_ = response.Body.Close()
	return response.StatusCode, ""
}

package deploy

import (
	"context"
	"net/http"
	"net/http/httptrace"
	"strings"
	"time"

	"tinyforge/db"
)

// Probe asks what runs at an upstream once, as a gate does, and returns the status of its answer. host is sent as the
// request's Host; "" is the upstream's own address. Of several addresses it asks the first. The error is a *Failure.
func Probe(ctx context.Context, up Upstream, host, path string, timeout time.Duration) (status int, err error) {
	status, wrong, fault := probe(ctx, up, host, path, timeout)
	if wrong != "" {
		return 0, &Failure{Text: "It " + wrong, Fault: fault}
	}
	return status, nil
}

// probe returns what came in the place of an answer, or "", and the code of that, where there is one.
func probe(ctx context.Context, up Upstream, host, path string, timeout time.Duration) (status int, wrong string, fault *db.Fault) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	addr, _, _ := strings.Cut(up.Addr, ",")
	connected := false
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected = true }})
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+path, nil)
	if err != nil {
		return 0, "is not a request that can be sent", nil
	}
	if host != "" {
		request.Host = host
	}
	request.Header.Set("User-Agent", "Tinyforge-Gate")
	transport := &http.Transport{DisableKeepAlives: true}
	response, err := transport.RoundTrip(request)
	if err != nil {
		plain, _, _ := strings.Cut(path, "?") // a query may hold a secret
		wrong, fault = refused(err, addr, connected, plain, timeout, up.Port)
		return 0, wrong, fault
	}
	_ = response.Body.Close()
	return response.StatusCode, "", nil
}

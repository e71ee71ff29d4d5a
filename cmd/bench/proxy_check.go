package main

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// check fails unless an answer is what is to be measured: the right text, over the right protocol, compressed where it is to be.
// The measured client looks at none of that.
func (t traffic) check(ctx context.Context, to place) (err error) {
	if t.answer == "" {
		return nil
	}
	transport := &http.Transport{TLSClientConfig: to.tls.Clone(), DisableCompression: true, DisableKeepAlives: true, ForceAttemptHTTP2: t.streams > 0}
	scheme, major := "http", 1
	if t.secure {
		scheme = "https"
	}
	if t.streams > 0 {
		major = 2
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+to.address+t.path, nil)
	if err != nil {
		return err
	}
	r.Host = host
	if t.compressed {
		r.Header.Set("Accept-Encoding", "gzip")
	}
	response, err := transport.RoundTrip(r)
	if err != nil {
		return fmt.Errorf("check answer: %w", err)
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	body := io.Reader(response.Body)
	if packed := response.Header.Get("Content-Encoding") == "gzip"; packed != t.compressed {
		return fmt.Errorf("check answer: compressed %t, want %t", packed, t.compressed)
	} else if packed {
		if body, err = gzip.NewReader(response.Body); err != nil {
			return fmt.Errorf("check answer: %w", err)
		}
	}
	text, err := io.ReadAll(body)
	if err != nil {
		return fmt.Errorf("check answer: %w", err)
	}
	if response.StatusCode != http.StatusOK || response.ProtoMajor != major || string(text) != t.answer {
		return fmt.Errorf("check answer: %s over %s with %d bytes, want HTTP/%d with %d, the ones that were to be sent",
			response.Status, response.Proto, len(text), major, len(t.answer))
	}
	return nil
}

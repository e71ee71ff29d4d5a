package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"syscall"
	"time"
)

// maxRetryAfter bounds what a forge may ask us to wait. GitHub's limits reset within an hour.
const maxRetryAfter = time.Hour

// NewStatusError describes an answer that is not the expected one. RetryAfter comes from Retry-After or, when nothing of
// the rate limit remains, from X-RateLimit-Reset, and is at most an hour. The body is neither read nor closed.
func NewStatusError(op string, resp *http.Response) *StatusError {
	return &StatusError{Op: op, Code: resp.StatusCode, RetryAfter: retryAfter(resp)}
}

func retryAfter(resp *http.Response) time.Duration {
	limited := resp.StatusCode == http.StatusForbidden || resp.StatusCode == http.StatusTooManyRequests
	if !limited && resp.StatusCode < 500 {
		return 0
	}
	var wait time.Duration
	if v := resp.Header.Get("Retry-After"); v != "" {
		if seconds, err := strconv.Atoi(v); err == nil {
			wait = time.Duration(min(seconds, int(maxRetryAfter/time.Second))) * time.Second
		} else if at, err := http.ParseTime(v); err == nil {
			wait = time.Until(at)
		}
	} else if limited && resp.Header.Get("X-RateLimit-Remaining") == "0" {
		if at, err := strconv.ParseInt(resp.Header.Get("X-RateLimit-Reset"), 10, 64); err == nil {
			wait = time.Until(time.Unix(at, 0))
		}
		wait = max(wait, time.Second) // a reset that is due is still a limit, not a refusal
	}
	return BoundRetryAfter(wait)
}

// BoundRetryAfter cuts what a forge asks for to what it can reasonably mean: 0 to one hour.
func BoundRetryAfter(wait time.Duration) time.Duration {
	return min(max(wait, 0), maxRetryAfter)
}

// CallError turns what an SDK or net/http returned for op into an error that is safe to log and to show: it holds
// nothing that the forge sent, which could reflect the token (malformed answers, redirect addresses and decoding errors
// are quoted by the standard library). A *StatusError, a *RefusedError, ErrNoGit and ctx's own error stay in the chain.
func CallError(ctx context.Context, op string, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", op, context.Cause(ctx))
	}
	if status, ok := errors.AsType[*StatusError](err); ok {
		return &StatusError{Op: op, Code: status.Code, RetryAfter: status.RetryAfter}
	}
	if refused, ok := errors.AsType[*RefusedError](err); ok {
		return fmt.Errorf("%s: %w", op, refused)
	}
	if errors.Is(err, ErrNoGit) || errors.Is(err, errRemote) {
		return fmt.Errorf("%s: %w", op, err)
	}
	return fmt.Errorf("%s: %w", op, classify(err))
}

var (
	errNoAnswer   = errors.New("the forge did not answer in time")
	errCutOff     = errors.New("the connection was closed before the answer was complete")
	errNotTLS     = errors.New("the forge does not speak TLS at this address; is it http instead of https?")
	errUnreadable = errors.New("the forge's answer could not be understood")
)

func classify(err error) error {
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return fmt.Errorf("cannot resolve %s: %s", dns.Name, dns.Err)
	}
	if cert, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return untrusted(cert.Err)
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok || errors.Is(err, http.ErrSchemeMismatch) {
		return errNotTLS
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return errNoAnswer
	}
	if dial, ok := errors.AsType[*net.OpError](err); ok && dial.Op == "dial" {
		return dial
	}
	switch {
	case errors.Is(err, errAnswerTooLarge):
		return errAnswerTooLarge
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return errCutOff
	}
	return errUnreadable
}

// untrusted says what is wrong with a certificate in our own words: its names are what the server wrote there.
func untrusted(err error) error {
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return errors.New("the forge's certificate is for another name")
	}
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.Expired {
		return errors.New("the forge's certificate has expired or is not valid yet")
	}
	return errors.New("the forge's certificate is not trusted; add its authority to the system's, or name it in SSL_CERT_FILE")
}

package npm

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"time"

	"tinyforge/db"
)

const (
	probesInRow = 8                     // both generations of nginx accept connections for 100 ms and more, and the old one need not meet each probe
	probePause  = 20 * time.Millisecond // between them
	refusedMost = 50                    // in a row: then nginx cannot reach it, which it has no reason to learn later
	probeMost   = 8 * time.Second       // one: nginx itself gives up connecting after two seconds, and answering after two more

	// probePath is the one path that a proxy host with forced TLS does not redirect.
	probePath = "/.well-known/acme-challenge/test-challenge"
)

// prober asks nginx, through the front, where it forwards a host to.
type prober struct {
	proxy string
	key   []byte
	http  *http.Client
}

func newProber(proxy string, key []byte) *prober {
	dialer := net.Dialer{Timeout: 5 * time.Second}
	return &prober{proxy: proxy, key: key, http: &http.Client{
		Timeout: probeMost,
		Transport: &http.Transport{
			DialContext:            dialer.DialContext,
			DisableKeepAlives:      true, // each probe may meet another generation of nginx
			MaxResponseHeaderBytes: 64 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// place is a host of a workload's, as nginx is asked about it.
type place struct {
	host     string
	workload int64
}

func placeOf(rt db.Route) place { return place{hostKey(rt.Host), rt.WorkloadID} }

// sight is what a probe saw.
type sight struct {
	known     bool   // our snippet answered
	target    target // to which it forwards
	connected bool   // and which let it connect
	status    int    // of the answer; 0 when there was none
}

// look sends one probe. What the release answers does not matter, only that nginx reached it.
func (p *prober) look(ctx context.Context, at place) sight {
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, "http://"+p.proxy+probePath, nil)
	if err != nil {
		return sight{}
	}
	question, answer := secretsOf(p.key, at.workload)
	req.Host = at.host
	req.Header.Set(probeHeader, question)
	req.Header.Set("User-Agent", "Tinyforge")
	res, err := p.http.Do(req)
	if err != nil {
		return sight{}
	}
	_ = res.Body.Close()
	s := sight{status: res.StatusCode}
	said, ours := strings.CutPrefix(res.Header.Get(answerHeader), answer+" ")
	if !ours {
		return s
	}
	said, took, _ := strings.Cut(said, " ")
	s.target, s.known = parseSaid(said)
	s.connected = strings.ContainsAny(took, "0123456789")
	return s
}

var (
	errElsewhere   = errors.New("nginx does not go there")
	errUnconnected = errors.New("nginx goes there, but cannot connect")
)

// settle waits until probes in a row, on fresh connections, see nginx forward to a target and, if connect, reach it. Else
// it returns errUnconnected or errElsewhere with the last that it saw, or ctx's error.
func (p *prober) settle(ctx context.Context, at place, to target, connect bool, most time.Duration) (last sight, err error) {
	limit, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	refused := 0
	for row := 0; row < probesInRow && refused < refusedMost; {
		seen := p.look(limit, at)
		if limit.Err() != nil && last != (sight{}) { // it may have been cut, and says nothing then
			break
		}
		last = seen
		switch {
		case !seen.known || seen.target.said() != to.said():
			row, refused, err = 0, 0, errElsewhere
		case connect && !seen.connected:
			row, refused, err = 0, refused+1, errUnconnected
		default:
			row, refused = row+1, 0
		}
		if row == probesInRow {
			return last, nil
		}
		if pause(limit, probePause) != nil {
			break
		}
	}
	if ctx.Err() != nil {
		return last, context.Cause(ctx)
	}
	return last, cmp.Or(err, errElsewhere)
}

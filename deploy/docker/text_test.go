package docker

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	buildkit "github.com/moby/buildkit/client"

	"tinyforge/deploy"
)

func TestSplitter(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", maxLine)
	for name, test := range map[string]struct {
		writes []string
		want   []string
	}{
		"parts":        {[]string{"a", "b\nc\n", "", "d"}, []string{"ab", "c", "d"}},
		"empty lines":  {[]string{"\n\na\n"}, []string{"", "", "a"}},
		"windows":      {[]string{"a\r\nb\r\n"}, []string{"a", "b"}},
		"progress bar": {[]string{"1%\r50%\r", "100%\n"}, []string{"100%"}},
		"not text":     {[]string{"a\x00b\xffc\n"}, []string{"ab\uFFFDc"}},
		"too long":     {[]string{long[:100], long[100:], "\nb\n"}, []string{long[:maxLine] + "…", "b"}},
		"half a rune":  {[]string{"x" + long + "\n"}, []string{"x" + long[:maxLine-2] + "…"}},
	} {
		var got []string
		s := &splitter{emit: func(line string) { got = append(got, line) }}
		for _, w := range test.writes {
			if n, err := s.Write([]byte(w)); n != len(w) || err != nil {
				t.Errorf("%s: Write returns %d, %v", name, n, err)
			}
		}
		s.flush()
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: got %.200q, want %.200q", name, got, test.want)
		}
	}
}

// Two stages that run at once, and a step that is found in the cache after it began.
func TestProgress(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	p := newProgress(&lines{w: &log, blot: blotter(nil)})
	now := time.Now()
	a := &buildkit.Vertex{Digest: "a", Name: "[a 1/1] RUN a", Started: &now}
	b := &buildkit.Vertex{Digest: "b", Name: "[b 1/1] RUN b", Started: &now}
	p.show(&buildkit.SolveStatus{Vertexes: []*buildkit.Vertex{
		{Digest: "i", Name: "[internal] load build context", Started: &now},
		{Digest: "later", Name: "[c] COPY"}, a, b,
	}})
	p.show(&buildkit.SolveStatus{Logs: []*buildkit.VertexLog{{Vertex: "a", Data: []byte("one\ntw")}, {Vertex: "b", Data: []byte("bee\n")}}})
	p.show(&buildkit.SolveStatus{Logs: []*buildkit.VertexLog{{Vertex: "a", Data: []byte("o\nthree")}}})
	p.show(&buildkit.SolveStatus{
		Vertexes: []*buildkit.Vertex{
			{Digest: "b", Name: b.Name, Started: &now, Completed: &now, Error: "context canceled: context canceled"},
			{Digest: "a", Name: a.Name, Started: &now, Completed: &now, Error: "exit code: 1"},
			{Digest: "later", Name: "[c] COPY", Started: &now, Completed: &now, Cached: true},
		},
		Warnings: []*buildkit.VertexWarning{{Vertex: "a", Short: []byte("old syntax")}},
	})
	p.finish()
	want := `[a 1/1] RUN a
[b 1/1] RUN b
[a 1/1] RUN a
    one
[b 1/1] RUN b
    bee
[a 1/1] RUN a
    two
CACHED [c] COPY
WARNING: old syntax
[a 1/1] RUN a
    three
`
	if log.String() != want {
		t.Errorf("log is\n%s\nwant\n%s", log.String(), want)
	}
	if p.failed == nil || p.failed.name != a.Name {
		t.Errorf("failed is %+v", p.failed)
	}
}

// What engines from 20.10 to 28 say.
func TestRegistryText(t *testing.T) {
	t.Parallel()
	const refused, unknown, silent = "refuses us", "has no such image", "does not answer"
	for text, want := range map[string]string{
		"manifest for 127.0.0.1:5000/web:2 not found: manifest unknown: Unknown manifest":                                                      unknown,
		"pull access denied for web, repository does not exist or may require 'docker login': denied: requested access to the resource":        unknown,
		"pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed": unknown,
		"unauthorized: authentication required":                                                                    refused,
		`Head "https://r.example/v2/web/manifests/1": no basic auth credentials`:                                   refused,
		"unauthorized: incorrect username or password":                                                             refused,
		`Get "https://r.example/v2/": dial tcp: lookup r.example: no such host`:                                    silent,
		`Get "http://127.0.0.1:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused`:                          silent,
		`Get "https://r.example/v2/": net/http: request canceled (Client.Timeout exceeded while awaiting headers)`: silent,
		`failed to resolve reference "r.example/web:1": failed to do request: Head "https://r.example": EOF`:       silent,
		"toomanyrequests: You have reached your pull rate limit":                                                   "too many requests",
		"received unexpected HTTP status: 502 Bad Gateway":                                                         "HTTP status 502",
		"unexpected status from HEAD request to https://r.example/v2/web/manifests/1: 503 Service Unavailable":     "HTTP status 503",
		"no matching manifest for linux/amd64 in the manifest list entries":                                        "kind of machine",
		"base:1: no match for platform in manifest: not found":                                                     "kind of machine",
		`Get "https://r.example/v2/": x509: certificate signed by unknown authority`:                               "certificate",
		`Get "https://r.example/v2/": http: server gave HTTP response to HTTPS client`:                             "plain HTTP",
	} {
		if got := registryText(text); !strings.Contains(got, want) {
			t.Errorf("%q is told as %q", text, got)
		}
	}
	for _, text := range []string{"", "weird", "unexpected status: Basic ZGVwbG95ZXI6", "HTTP status 123"} {
		if got := registryText(text); got != "" {
			t.Errorf("%q is told as %q", text, got)
		}
	}
}

// TestSecretsAreTakenOutBeforeTextsAreCut: no half of one is left in what a failure says.
func TestSecretsAreTakenOutBeforeTextsAreCut(t *testing.T) {
	t.Parallel()
	blot := blotter(map[string]string{"npm": "s3cret-s3cret-s3cret"})
	for n := range 80 {
		padded := strings.Repeat("x", n) + " s3cret-s3cret-s3cret"
		for what, failed := range map[string]step{
			"step":       {name: "[2/2] RUN " + padded, err: "process did not complete successfully: exit code: 3"},
			"base image": {name: "[internal] load metadata for " + padded, err: "not found"},
			"other":      {name: "[2/2] COPY " + padded, err: padded},
		} {
			err := buildFailure(padded, &failed, blot)
			var failure *deploy.Failure
			if !errors.As(err, &failure) {
				t.Fatalf("it is %v", err)
			}
			said := failure.Text + err.Error()
			if failure.Fault != nil {
				said += failure.Fault.Values["step"]
			}
			if strings.Contains(said, "s3cr") {
				t.Errorf("%s: %q", what, said)
			}
		}
	}
}

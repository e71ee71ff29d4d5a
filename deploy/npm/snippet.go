package npm

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
)

const (
	snippetBegin = "# Tinyforge begins: it adds and removes these lines itself."
	snippetEnd   = "# Tinyforge ends."

	probeHeader  = "X-Tinyforge-Probe"
	answerHeader = "X-Tinyforge-Upstream"
)

// secretsOf are what a probe of a workload's hosts carries, and what the snippet answers it with. Nobody without the key can
// know them; a release that is led to believe that it is asked, because the snippet is not there yet, learns the first alone.
func secretsOf(key []byte, workload int64) (question, answer string) {
	secret := func(of string) string {
		mac := hmac.New(sha256.New, key)
		fmt.Fprintf(mac, "%s of workload %d", of, workload)
		return hex.EncodeToString(mac.Sum(nil)[:20])
	}
	return secret("question"), secret("answer")
}

// snippet is what our proxy hosts have in their advanced configuration, inside of nginx's server block. A request that
// carries the first secret is led to a place of its own, past access lists and custom locations. There nginx forwards it as it
// forwards everything, and adds to the answer the second secret, where the generation that has it forwards to, and how long it took to
// connect: "-" or nothing when it could not. It stands in a location of its own because headers that are added to the
// server are lost in each location that adds one itself, as Nginx Proxy Manager's does. Without a release everybody else is
// answered 503, but for the certificate authority.
func snippet(question, answer string) string {
	const text = snippetBegin + `
if ($http_x_tinyforge_probe = "QUESTION") { rewrite ^ /.tinyforge-QUESTION last; }
set $tinyforge $server;
if ($uri ~ "^/\.well-known/acme-challenge/") { set $tinyforge ""; }
if ($tinyforge = "NOBODY") { return 503; }
location = /.tinyforge-QUESTION {
  internal;
  add_header X-Tinyforge-Upstream "ANSWER $forward_scheme://$server:$port $upstream_connect_time" always;
  if ($server = "NOBODY") { return 503; }
  resolver_timeout 2s;
  proxy_connect_timeout 2s;
  proxy_read_timeout 2s;
  proxy_hide_header X-Tinyforge-Upstream;
  proxy_set_header X-Tinyforge-Probe "";
  proxy_set_header Host $host;
  proxy_pass $forward_scheme://$server:$port/;
}
` + snippetEnd
	return strings.NewReplacer("QUESTION", question, "ANSWER", answer, "NOBODY", nobody.Host).Replace(text)
}

// withSnippet puts the snippet into an advanced configuration, in place of an older one.
func withSnippet(advanced, question, answer string) string {
	advanced = strings.TrimRight(withoutSnippet(advanced), "\n")
	if advanced != "" {
		advanced += "\n"
	}
	return advanced + snippet(question, answer) + "\n"
}

// withoutSnippet takes ours away and leaves what a person wrote.
func withoutSnippet(advanced string) string {
	before, rest, found := strings.Cut(advanced, snippetBegin)
	if !found {
		return advanced
	}
	_, after, found := strings.Cut(rest, snippetEnd)
	if !found {
		return advanced
	}
	return before + strings.TrimPrefix(after, "\n")
}

// ownRoot finds a "location /" in an advanced configuration. Nginx Proxy Manager leaves its own out then, and so what it
// forwards to has no meaning.
var ownRoot = regexp.MustCompile(`(?im)^(?:.*;)?\s*location\s*/\s*\{`)

package app

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"tinyforge/db"
)

// ErrNoGit is returned, wrapped with what to do, where the git command line is missing or too old.
var ErrNoGit = errors.New("git is not usable")

const (
	fetchTimeout = 15 * time.Minute
	headsTimeout = 2 * time.Minute
)

// Git reads repositories over HTTP with the git command line. It is safe for concurrent use. Its errors hold nothing that
// the server sent; HTTP answers are *StatusError, addresses that must not be called are *RefusedError.
type Git struct {
	guard   *guard
	limits  checkoutLimits
	process processLimits

	mu     sync.Mutex
	usable bool // the version was looked at
}

// NewGit returns a Git that reaches public addresses and those in networks (see ParseNetworks).
func NewGit(networks []string) (*Git, error) {
	g, err := newGuard(networks)
	if err != nil {
		return nil, err
	}
	return &Git{guard: g, limits: defaultLimits(), process: defaultProcessLimits()}, nil
}

// Remote is a repository to read.
type Remote struct {
	URL      string // "https://forge.example/acme/site.git"
	Username string
	Password string // never in an argv, a URL or a file; "" means anonymous
}

// String keeps the password out of what prints a Remote by chance.
func (r Remote) String() string { return r.URL }

// GoString is String.
func (r Remote) GoString() string { return r.URL }

// Fetch makes dir, which exists and is empty, a checkout of commit. Hooks, filters and submodules stay out of it, symbolic
// links are kept as such, and nothing of git is left in dir. It returns an error that wraps ErrNoCommit when the server
// does not have the commit, and one in words for people when the checkout would go beyond 250,000 files and folders or 5 GiB.
// When it fails or ctx ends, dir may hold part of the checkout. What the commit says of itself is left out where it is too long.
func (g *Git) Fetch(ctx context.Context, remote Remote, commit, dir string) (said db.CommitText, err error) {
	if !ValidHash(commit) || ZeroHash(commit) {
		return said, errors.New("fetch commit: not a full commit hash")
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	dest, err := g.pin(ctx, remote)
	if err != nil {
		return said, CallError(ctx, "fetch commit", err)
	}
	// The folder of git is also its home: whoever removes dir after a crash removes all of it.
	home := filepath.Join(dir, ".git")
	defer os.RemoveAll(home)
	if err := makeGitFolder(home, commit); err != nil {
		return said, fmt.Errorf("fetch commit: %w", err)
	}
	local := gitCommand{dir: dir, home: home, limits: g.process}
	online := gitCommand{dir: dir, home: home, config: dest.config, limits: g.process}
	err = online.do(ctx, "fetch", "--quiet", "--depth=1", "--no-tags", "--no-recurse-submodules", "--", dest.url, commit)
	if err == nil {
		said, err = g.checkout(ctx, local, commit)
	}
	if err != nil {
		return db.CommitText{}, gitError(ctx, "fetch commit", remote, err)
	}
	if err := os.RemoveAll(home); err != nil {
		return said, fmt.Errorf("remove git folder: %w", err)
	}
	return said, nil
}

// checkout writes the files of a commit that was fetched, as far as the limits allow, and reads meanwhile what it says of itself.
func (g *Git) checkout(ctx context.Context, local gitCommand, commit string) (said db.CommitText, err error) {
	var reading sync.WaitGroup
	read, cancel := context.WithCancel(ctx)
	defer cancel()
	reading.Go(func() { said = readText(read, local, commit) })
	if err = g.limits.check(ctx, local, commit); err == nil {
		err = local.do(ctx, "checkout", "--quiet", "--force", "--detach", commit+"^{commit}")
	}
	if err != nil {
		cancel()
	}
	reading.Wait()
	return said, err
}

// readText is what a commit says of itself; nothing where that cannot be read.
func readText(ctx context.Context, local gitCommand, commit string) db.CommitText {
	out, err := local.run(ctx, "log", "-1", "--encoding=UTF-8", "--format=%an%n%B", commit, "--")
	if err != nil {
		return db.CommitText{}
	}
	author, message, _ := strings.Cut(string(out), "\n")
	return db.CommitText{Message: FirstLine(message), Author: FirstLine(author)}
}

// Heads returns the commit of each branch and tag by full ref name; of an annotated tag, the commit that it names.
func (g *Git) Heads(ctx context.Context, remote Remote) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(ctx, headsTimeout)
	defer cancel()
	dest, err := g.pin(ctx, remote)
	if err != nil {
		return nil, CallError(ctx, "list refs", err)
	}
	home, err := os.MkdirTemp("", "tinyforge-git-")
	if err != nil {
		return nil, fmt.Errorf("make git folder: %w", err)
	}
	defer os.RemoveAll(home)
	out, err := gitCommand{dir: home, home: home, config: dest.config, limits: g.process}.run(ctx, "ls-remote", "--quiet", "--heads", "--tags", "--", dest.url)
	if err != nil {
		return nil, gitError(ctx, "list refs", remote, err)
	}
	return parseHeads(out), nil
}

func parseHeads(out []byte) map[string]string {
	heads := map[string]string{}
	for line := range strings.Lines(string(out)) {
		hash, ref, _ := strings.Cut(strings.TrimRight(line, "\n"), "\t")
		// The line of the object that an annotated tag names follows the tag's own.
		ref = strings.TrimSuffix(ref, "^{}")
		if ValidHash(hash) && ValidRef(ref) {
			heads[ref] = hash
		}
	}
	return heads
}

// destination is a remote whose addresses were checked, and the configuration that makes git go there and nowhere else.
type destination struct {
	url    string
	config [][2]string
}

// pin checks where the remote's host leads and nails it down, so that DNS cannot say otherwise to git.
func (g *Git) pin(ctx context.Context, remote Remote) (destination, error) {
	if err := g.ready(ctx); err != nil {
		return destination{}, err
	}
	u, err := parseRemote(remote.URL)
	if err != nil {
		return destination{}, err
	}
	addrs, err := g.guard.resolve(ctx, u.Hostname())
	if err != nil {
		return destination{}, err
	}
	origin := u.Scheme + "://" + u.Host + "/"
	d := destination{url: u.String(), config: [][2]string{{"http." + origin + ".proxy", ""}}}
	if host := u.Hostname(); !isAddr(host) {
		d.config = append(d.config, [2]string{"http.curloptResolve", resolveEntry(host, u, addrs)})
	}
	if remote.Password != "" {
		basic := base64.StdEncoding.EncodeToString([]byte(remote.Username + ":" + remote.Password))
		d.config = append(d.config, [2]string{"http." + origin + ".extraHeader", "Authorization: Basic " + basic})
	}
	return d, nil
}

// resolveEntry is curl's HOST:PORT:ADDRESS,ADDRESS.
func resolveEntry(host string, u *url.URL, addrs []netip.Addr) string {
	list := make([]string, len(addrs))
	for i, addr := range addrs {
		list[i] = addr.WithZone("").String()
		if addr.Is6() {
			list[i] = "[" + list[i] + "]"
		}
	}
	port := cmp.Or(u.Port(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
	return host + ":" + port + ":" + strings.Join(list, ",")
}

func isAddr(host string) bool {
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Zone() == ""
}

// hostName matches the names that git's HTTP library takes as they are. What it would rewrite into another name or into
// an address ("0x7f.1", "2130706433", "straße.example") would not meet its pin and be looked up again.
var hostName = regexp.MustCompile(`^([a-z0-9_]([a-z0-9_-]*[a-z0-9_])?\.)*[a-z_]([a-z0-9_-]*[a-z0-9_])?$`)

func parseRemote(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, fmt.Errorf("%w: it cannot be parsed", errRemote)
	}
	u.Host = strings.ToLower(u.Host)
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("%w: it must begin with https:// or http://", errRemote)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Opaque != "":
		return nil, fmt.Errorf("%w: it must be host and path only", errRemote)
	case !isAddr(u.Hostname()) && !hostName.MatchString(u.Hostname()):
		return nil, fmt.Errorf("%w: its host must be an address or a plain ASCII name", errRemote)
	}
	return u, nil
}

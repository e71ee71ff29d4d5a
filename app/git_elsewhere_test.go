package app

import (
	"crypto/sha1" //nolint:gosec // git's own hash
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// TestGitIsSentNowhereElse: a hostile forge answers a fetch with the address of a pack, which git asks for although it was
// never told to. Each spelling would get past somebody who reads addresses in another way than git's HTTP library.
func TestGitIsSentNowhereElse(t *testing.T) {
	var reached atomic.Int32
	elsewhere := serveAt(t, "127.0.0.2:0", func(net.Conn, http.ConnState) { reached.Add(1) })
	for _, spelling := range []string{
		"http://ELSEWHERE/p.pack",
		"https://ELSEWHERE/p.pack",
		"ftp://ELSEWHERE/p.pack",
		"http://FORGE/redirect",
		"HTTP://ELSEWHERE/p.pack",
		"http://x:y@ELSEWHERE/p.pack",
		"http://FORGE@ELSEWHERE/p.pack",
		`http://FORGE\@ELSEWHERE/p.pack`,
		`http://ELSEWHERE\@FORGE/p.pack`,
		"http://ELSEWHERE#@FORGE/p.pack",
		"http://ELSEWHERE?@FORGE/p.pack",
		"http://ELSEWHERE;@FORGE/p.pack",
		"http://ELSEWHERE%2f@FORGE/p.pack",
		"http:///ELSEWHERE/p.pack",
		"http:ELSEWHERE/p.pack",
		"http://FORGE/../../ELSEWHERE/p.pack",
		"ELSEWHERE/p.pack",
	} {
		t.Run(spelling, func(t *testing.T) {
			forge := &hostileForge{redirect: elsewhere.URL}
			s := serve(t, forge.ServeHTTP)
			forge.pack = strings.NewReplacer("ELSEWHERE", host(elsewhere), "FORGE", host(s)).Replace(spelling)
			_, err := testGit(t, "127.0.0.1/32").Fetch(t.Context(), Remote{URL: s.URL + "/a/b.git", Username: "x", Password: gitPassword}, forge.commit(), t.TempDir())
			if err == nil || strings.Contains(err.Error(), gitPassword) {
				t.Errorf("got %v", err)
			}
			if forge.fetched.Load() == 0 {
				t.Error("git did not come as far as the fetch")
			}
			if reached.Swap(0) != 0 {
				t.Error("the other server was reached")
			}
		})
	}
}

// TestGitSaysThatItWasSentElsewhere, so that nobody looks for a fault of the network.
func TestGitSaysThatItWasSentElsewhere(t *testing.T) {
	forge := &hostileForge{pack: "http://127.0.0.2:9/p.pack"}
	s := serve(t, forge.ServeHTTP)
	_, err := testGit(t, "127.0.0.1/32").Fetch(t.Context(), Remote{URL: s.URL + "/a/b.git"}, forge.commit(), t.TempDir())
	if !errors.Is(err, errElsewhere) {
		t.Errorf("got %v", err)
	}
}

// hostileForge speaks the second version of git's protocol just well enough to make git ask for a pack at an address.
type hostileForge struct {
	pack     string // its address
	redirect string // where all other requests are sent
	fetched  atomic.Int32
	answer   func(w io.Writer) // in place of the pack; nil sends git on to one
}

func (*hostileForge) commit() string { return strings.Repeat("c", 40) }

func (f *hostileForge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	switch {
	case strings.HasSuffix(r.URL.Path, "/info/refs"):
		w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
		_, _ = io.WriteString(w, pktLine("# service=git-upload-pack\n")+"0000"+pktLine("version 2\n")+pktLine("ls-refs\n")+
			pktLine("fetch=shallow packfile-uris\n")+pktLine("object-format=sha1\n")+"0000")
	case strings.Contains(string(body), "command=ls-refs"):
		w.Header().Set("Content-Type", "application/x-git-upload-pack-result")
		_, _ = io.WriteString(w, pktLine(f.commit()+" refs/heads/main\n")+"0000")
	case strings.Contains(string(body), "command=fetch"):
		f.fetched.Add(1)
		w.Header().Set("Content-Type", "application/x-git-upload-pack-result")
		if f.answer != nil {
			_, _ = io.WriteString(w, pktLine("shallow-info\n")+pktLine("shallow "+f.commit()+"\n")+"0001"+pktLine("packfile\n"))
			f.answer(w)
			return
		}
		_, _ = io.WriteString(w, pktLine("shallow-info\n")+pktLine("shallow "+f.commit()+"\n")+"0001"+
			pktLine("packfile-uris\n")+pktLine(strings.Repeat("d", 40)+" "+f.pack+"\n")+"0001"+
			pktLine("packfile\n")+pktLine("\x01"+emptyPack())+"0000")
	default:
		http.Redirect(w, r, f.redirect, http.StatusFound)
	}
}

func emptyPack() string {
	pack := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32([]byte("PACK"), 2), 0)
	return fmt.Sprintf("%s%s", pack, sha1Sum(pack))
}

func sha1Sum(b []byte) []byte {
	sum := sha1.Sum(b) //nolint:gosec // git's own hash
	return sum[:]
}

// serveAt listens on an address of choice and tells of connections.
func serveAt(t *testing.T, address string, state func(net.Conn, http.ConnState)) *httptest.Server {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.Config.ConnState = state
	_ = s.Listener.Close()
	s.Listener = listener
	s.Start()
	t.Cleanup(s.Close)
	return s
}

func host(s *httptest.Server) string { return s.Listener.Addr().String() }

package settings_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"tinyforge/app/settings"
	"tinyforge/db"
)

// healthy is what a server may say of itself.
type healthy struct{}

func (healthy) Facts(context.Context) []settings.Fact {
	return []settings.Fact{{Key: "go", Value: "1.26.8"}, {Key: "docker", Value: "28.2.2"}, {Key: "memory", Bytes: 8 << 30}, {Key: "started", At: time.Now()},
		{Key: "process", Value: "secret-machine: docker, swarm", Named: true}}
}

func (healthy) Proxy(context.Context) settings.Proxy {
	return settings.Proxy{Kind: "npm", Facts: []settings.Fact{{Key: "npm_url", Value: "http://127.0.0.1:81"}},
		Commands: []settings.ProxyCommand{{Kind: "npm", Text: "tinyforge serve --router npm"}}}
}

func (healthy) ProxyAway() bool { return false }

func (healthy) Database(context.Context) error         { return nil }
func (healthy) Docker(context.Context) (string, error) { return "29.1.2", nil }
func (healthy) Memory() (int64, error)                 { return 8_200_000_000, nil }
func (healthy) Free(context.Context) (int64, error)    { return 41_200_000_000, nil }

// ailing is a server whose Docker is away and whose disk is full.
type ailing struct{ healthy }

func (ailing) Docker(context.Context) (string, error) {
	return "", errors.New("Cannot connect to the Docker daemon\nat a socket")
}
func (ailing) Free(context.Context) (int64, error) { return 1000, nil }

// dark is a server whose proxy is a process of its own, and away.
type dark struct{ healthy }

func (dark) ProxyAway() bool { return true }
func (dark) Proxy(context.Context) settings.Proxy {
	return settings.Proxy{Kind: "apart", Facts: []settings.Fact{{Key: "proxy_https", Text: "about.off"}}}
}
func (dark) Facts(context.Context) []settings.Fact {
	return []settings.Fact{{Key: "proxy", Text: "about.kind_apart"}}
}

// TestProxyAway: pages that tell how the server is say the same of it, in the reader's language, and to all.
func TestProxyAway(t *testing.T) {
	w := newWorldOf(t, func(c *settings.Config) { c.Health = dark{} })
	b := w.ownerAt("https://tinyforge.example.com")
	for lang, words := range map[string][]string{
		"en": {"Sites may be unreachable: the proxy does not answer", "off", "does not answer", "built in, as a process of its own"},
		"ru": {"Сайты могут быть недоступны: прокси не отвечает", "выключен", "не отвечает", "встроенный, отдельным процессом"},
	} {
		b.post("/language", "language", lang, "back", "/")
		for _, path := range []string{"/workloads", "/start", "/about"} {
			if p := b.get(path); strings.Count(p.body, words[0]) != 1 {
				t.Errorf("%s in %s does not say it once:\n%s", path, lang, p.body)
			}
		}
		b.get("/settings/proxy").is(t, http.StatusOK, ">"+words[1]+"<", words[2])
		b.get("/about").is(t, http.StatusOK, ">"+words[3]+"<", "Proxy: built in, as a process of its own\n")
	}
	p := w.as(db.Viewer).get("/workloads")
	if p.is(t, http.StatusOK, "systemctl start tinyforge-proxy"); strings.Contains(p.body, "/settings/proxy") {
		t.Error("a viewer is sent to settings")
	}
}

func withHealth(c *settings.Config) {
	c.Health, c.Tidy = healthy{}, func(context.Context) error { return nil }
}

func TestAbout(t *testing.T) {
	w := newWorldOf(t, func(c *settings.Config) { withHealth(c); c.Health = ailing{} })
	b := w.ownerAt("https://secret.example.com")
	p := b.get("/about")
	p.is(t, http.StatusOK, "28.2.2", "does not answer", "Cannot connect to the Docker daemon<", "Start Docker", "Docker: failed\n", "Database: ok\n",
		"No build starts below the limit", "Deployments in the queue: 0\n", "Process on this database", "secret-machine: docker, swarm")
	_, text, found := strings.Cut(p.body, "<pre")
	if !found || strings.Contains(text, "secret") {
		t.Error("the text for a report names a host")
	}
	b.get("/settings/proxy").is(t, http.StatusOK, "Nginx Proxy Manager", "http://127.0.0.1:81", "--router npm")
	b.get("/settings/retention").is(t, http.StatusOK, "Free now: 1")
	b.post("/settings/retention/tidy").leads(t, "/settings/retention")
	w.audited("settings.tidied", "")
}

package settings_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"tinyforge/app/settings"
)

// healthy is what a server may say of itself.
type healthy struct{}

func (healthy) Facts(context.Context) []settings.Fact {
	return []settings.Fact{{Key: "go", Value: "1.26.8"}, {Key: "docker", Value: "28.2.2"}, {Key: "memory", Bytes: 8 << 30}, {Key: "started", At: time.Now()}}
}

func (healthy) Checks(context.Context) []settings.Check {
	return []settings.Check{{Key: "database", State: "ok"}, {Key: "docker", State: "failed", Detail: "does not answer"}, {Key: "address", State: "warn", Detail: "secret.example.com"}}
}

func (healthy) Proxy(context.Context) settings.Proxy {
	return settings.Proxy{Kind: "npm", Word: "does not answer", Facts: []settings.Fact{{Key: "npm_url", Value: "http://127.0.0.1:81"}}}
}

func (healthy) Free(context.Context) int64 { return 41_200_000_000 }

func withHealth(c *settings.Config) {
	c.Health, c.Tidy = healthy{}, func(context.Context) error { return nil }
}

func TestAbout(t *testing.T) {
	w := newWorldOf(t, withHealth)
	b := w.owner()
	p := b.get("/about")
	p.is(t, http.StatusOK, "28.2.2", "does not answer", "Start Docker", "Docker: failed\n", "Deployments in the queue: 0\n")
	_, text, _ := strings.Cut(p.body, "<pre")
	if strings.Contains(text, "secret.example.com") {
		t.Error("the text for a report names a host")
	}
	b.get("/settings/proxy").is(t, http.StatusOK, "Nginx Proxy Manager", "http://127.0.0.1:81", "--router npm")
	b.get("/settings/retention").is(t, http.StatusOK, "Free now: 41.2")
	b.post("/settings/retention/tidy").leads(t, "/settings/retention")
	w.audited("settings.tidied", "")
}

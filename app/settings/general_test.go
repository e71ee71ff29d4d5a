package settings_test

import (
	"net/http"
	"strings"
	"testing"

	"tinyforge/app/settings"
	"tinyforge/db"
)

func TestSetupAsksForTheAddress(t *testing.T) {
	w := newWorld(t)
	token, err := w.db.NewSignInLink(t.Context(), 0)
	must(t, err)
	b := w.browser()
	b.get("/setup?token="+token).is(t, http.StatusOK, `name="base_url" type="url" value="http://127.0.0.1`, "127.0.0.1 is this server&#39;s name for itself")
	for address, says := range map[string]string{
		"": "Fill in this field", "deploy.example.com": "Enter a full address", "https://deploy.example.com/a": "Leave only scheme and host",
		"https://u:p@deploy.example.com": "Leave user name and password out",
	} {
		b.post("/setup", "token", token, "username", "ann", "password", password, "language", "en", "base_url", address).
			is(t, http.StatusUnprocessableEntity, says)
	}
	b.post("/setup", "token", token, "username", "ann", "password", password, "language", "en", "base_url", "https://Deploy.Example.com/").leads(t, "/start")
	b.get("/settings").is(t, http.StatusOK, `value="https://deploy.example.com"`)
}

func TestSetupDoesNotAskForAnOption(t *testing.T) {
	w := newWorldOf(t, func(c *settings.Config) {
		c.Choices = settings.NewChoices(c.DB, map[string]string{settings.OptionPublicURL: "https://option.example.com"})
	})
	token, err := w.db.NewSignInLink(t.Context(), 0)
	must(t, err)
	b := w.browser()
	if p := b.get("/setup?token=" + token); strings.Contains(p.body, "base_url") {
		t.Error("it asks for the address")
	}
	b.post("/setup", "token", token, "username", "ann", "password", password, "language", "en").leads(t, "/start")
	b.get("/settings").is(t, http.StatusOK, "https://option.example.com", "--public-url")
	b.post("/settings", "language", "en", "time_zone", "UTC", "base_url", "https://other.example.com").leads(t, "/settings")
	b.get("/settings").is(t, http.StatusOK, "https://option.example.com")
}

func TestGeneralSettings(t *testing.T) {
	w := newWorld(t)
	b := w.ownerAt("https://deploy.example.com")
	w.forge()
	workload := w.workload("shop")
	for address, note := range map[string]string{
		"http://10.0.0.5": "10.0.0.5 is a private address", "https://deploy.lan": "deploy.lan is a private address", "https://tinyforge:8443": "tinyforge is a private address",
		"http://deploy.example.com": "unprotected", "http://localhost:4040": "localhost is this server&#39;s name for itself", "https://[fd00::1]": "fd00::1 is a private address", "https://deploy.example.com": "",
	} {
		b.post("/settings", "language", "en", "time_zone", "Asia/Tokyo", "base_url", address).leads(t, "/settings")
		p := b.get("/settings")
		p.is(t, http.StatusOK, address, note, "Saved.", address+"/webhooks/hub", "UTC&#43;9")
		if note == "" && strings.Contains(p.body, "note warn") {
			t.Error("a warning about nothing")
		}
	}
	b.post("/settings", "language", "xx", "time_zone", "Mars", "base_url", "https://"+workload.Host).is(t, http.StatusUnprocessableEntity,
		"Choose one of the options", "Enter a time zone", "shop.example.com is used by workload shop", `value="Mars"`)
	b.post("/settings", "language", "ru", "time_zone", "UTC", "base_url", "https://deploy.example.com").leads(t, "/settings")
	b.get("/settings").is(t, http.StatusOK, `<html lang="ru">`, "Куда приходят события")
	viewer := w.user("Eve", db.Viewer)
	if p := viewer.get("/settings"); p.StatusCode != http.StatusOK || strings.Contains(p.body, "base_url") || strings.Contains(p.body, "/settings/users") {
		t.Errorf("a viewer sees %d %s", p.StatusCode, p.body)
	}
	viewer.post("/settings", "language", "en", "base_url", "https://evil.example.com", "time_zone", "Asia/Tokyo").leads(t, "/settings")
	if got, err := w.db.Setting(t.Context(), settings.OptionPublicURL); err != nil || got != "https://deploy.example.com" {
		t.Errorf("a viewer changed the address to %q (%v)", got, err)
	}
	w.audited("settings.saved", "public_url")
}

func TestRetentionAndNetworks(t *testing.T) {
	w := newWorld(t)
	b := w.ownerAt("https://deploy.example.com")
	b.get("/settings/retention").is(t, http.StatusOK, `value="3"`, `value="90"`, `value="1G"`)
	b.post("/settings/retention", "keep_releases", "0", "keep_history", "x", "disk_floor", "much").is(t, http.StatusUnprocessableEntity,
		"from 1 to 50", "from 1 to 3650", "Enter a size", `value="much"`)
	b.post("/settings/retention", "keep_releases", "7", "keep_history", "14", "disk_floor", "512 MB").leads(t, "/settings/retention")
	b.get("/settings/retention").is(t, http.StatusOK, `value="7"`, `value="14"`, `value="512M"`)
	chosen, err := settings.NewChoices(w.db, map[string]string{settings.OptionKeepReleases: "9"}).Read(t.Context())
	must(t, err)
	if chosen.KeepReleases != 9 || chosen.KeepLogs.Hours() != 14*24 || chosen.MinFree != 512<<20 {
		t.Errorf("chosen %+v", chosen)
	}
	b.post("/settings/networks", "networks", "10.0.0.0/8\n\nlan").is(t, http.StatusUnprocessableEntity, "Line 3 is not a network", "lan</textarea>")
	b.post("/settings/networks", "networks", " 127.0.0.0/8 \r\nfd00::/8\r\n").leads(t, "/settings/networks")
	row := w.forge()
	row.Networks = nil
	must(t, w.db.SaveForge(t.Context(), &row))
	b.post("/settings/networks", "networks", "fd00::/8").is(t, http.StatusUnprocessableEntity, "Without these networks hub could not be reached")
	b.post("/settings/networks", "networks", "loopback").leads(t, "/settings/networks")
	b.get("/settings/networks").is(t, http.StatusOK, "loopback</textarea>", "hub")
	for _, path := range []string{"/settings/proxy", "/about"} {
		b.get(path).is(t, http.StatusOK)
	}
}

func TestPages(t *testing.T) {
	for _, lang := range []string{"en", "ru"} {
		w := newWorld(t)
		b := w.ownerAt("https://deploy.example.com")
		must(t, w.db.SetLanguage(t.Context(), 1, lang))
		for range 2 { // with empty data, then with full
			for _, path := range []string{"/settings", "/settings/password", "/settings/sessions", "/settings/tokens", "/settings/users", "/settings/users/new",
				"/settings/users/1", "/settings/proxy", "/settings/networks", "/settings/retention", "/audit", "/audit?what=token", "/about"} {
				b.get(path).is(t, http.StatusOK, `<html lang="`+lang+`">`)
			}
			w.forge()
			w.user("Боб 🚀", db.Deployer)
			b.post("/settings/tokens", "token_name", "<script>", "token_life", "never", "password_now", password)
		}
		b.get("/settings/sign-in/1").is(t, http.StatusOK, "/sign-in/callback")
		b.get("/settings/users/99").is(t, http.StatusNotFound)
		b.get("/settings/users/x").is(t, http.StatusNotFound)
	}
}

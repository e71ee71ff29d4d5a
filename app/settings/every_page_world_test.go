package settings_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"tinyforge/app/settings"
	"tinyforge/db"
)

// nasty is what people write where they may write anything.
const nasty = `Корзина 🚀 <script>document.title = "broken"</script> "quoted" & <img src=x onerror="document.title = 'broken'">`

// nastyLine is a line of a log that tries to be more than that.
const nastyLine = "\x1b[31mошибка\x1b[0m \x1b]0;title\x07\x1b[2J <b>жирно</b> <script>document.title = 'broken'</script> 🚀 " +
	"https://example.com/" + "long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long"

const longName = "the-service-with-a-name-of-40-characters" // the most that there may be

// full is a world with much of everything, of which its addresses are told.
type full struct {
	*shop
	failed, running, queued *db.Deployment
	owner                   *browser
	github                  db.Forge
	request                 int64
}

func newFull(t *testing.T) *full {
	t.Helper()
	running := &releases{}
	w := newWorldOf(t, func(c *settings.Config) { withHealth(c); c.Releases = running })
	f := &full{owner: w.owner(), shop: newShop(w)}
	f.connectForges()
	f.deployMuch()
	f.addLongWorkload()
	w.user("Боб 🚀 с довольно длинным именем", db.Deployer)
	_, err := w.db.NewAPIToken(t.Context(), &db.APIToken{UserID: 1, Name: nasty[:60]})
	must(t, err)
	must(t, w.db.Audit(t.Context(), db.AuditEntry{Actor: "Аня <b>", Action: "workload.saved", Subject: longName, Detail: nasty, Address: "2001:db8::1"}))
	return f
}

func (f *full) connectForges() {
	ctx := f.t.Context()
	site := db.Repository{ForgeID: f.repo.ForgeID, ExternalID: 8, FullName: "acme/site", DefaultBranch: "main"}
	must(f.t, f.db.SaveRepository(ctx, &site))
	forge, err := f.db.Forge(ctx, f.repo.ForgeID)
	must(f.t, err)
	forge.Credentials = db.Credentials{Token: "token", WebhookSecret: "secret"}
	must(f.t, f.db.SaveForge(ctx, &forge))
	f.fill(forge)
	f.request = 1
	f.github = db.Forge{Name: "github", Kind: "github", URL: "https://github.com", AppID: 7, AppURL: "https://github.com/apps/tinyforge-x7k2", AppSlug: "tinyforge-x7k2", Owner: "acme"}
	must(f.t, f.db.SaveForge(ctx, &f.github))
	must(f.t, f.db.SaveInstallation(ctx, &db.Installation{ForgeID: f.github.ID, ExternalID: 9, Account: "acme", Suspended: true}))
}

// deployMuch leaves one deployment in each state that pages tell apart.
func (f *full) deployMuch() {
	f.live("A", nasty)
	f.push("B", "Корзина считает скидку\n\n"+strings.Repeat("слово ", 60))
	f.finishOn("swarm", 2, f.claim())
	_, err := f.db.QueueScale(f.t.Context(), f.workload.ID)
	must(f.t, err)
	f.finishOn("swarm", 3, f.claim())
	f.failed = f.shop.failed("C", nasty)
	f.log(f.failed, nastyLine)
	f.push("D", nasty)
	f.running = f.claim()
	f.log(f.running, nastyLine, "ok")
	other, err := f.db.QueueCommit(f.t.Context(), f.workload.ID, "refs/heads/feature/<script>alert(1)</script>", hash("E"), nasty, "Аня <b> 🚀")
	must(f.t, err)
	f.queued = &other
}

// addLongWorkload adds one that is paused, of which every field has something in it.
func (f *full) addLongWorkload() {
	w := db.Workload{
		Name: longName, RepositoryID: f.repo.ID, Source: "dockerfile", RefPattern: "release/*", Paths: []string{"web/**", "!web/docs/**"},
		Host: strings.Repeat("a-very-long-label-of-a-domain.", 7) + "example.com",
		Config: json.RawMessage(`{"port":3000,"context":"веб","build_args":{"A":"1"},"target":"last","memory":"256MB","cpus":0.5,"healthcheck":{"path":"/up","interval":"2s"},` +
			`"user":"1000","runtime":"swarm","replicas":3,"constraints":["node.hostname==one"],"volumes":[{"name":"data","path":"/data"}]}`),
		Routing: db.Routing{Aliases: []string{"shop.example.org"}, Redirects: []string{"www.shop.example.org"}, RouteOptions: db.RouteOptions{MaxBody: 10 << 20, Timeout: time.Minute}},
		Env:     map[string]string{"TITLE": nasty, "TOKEN": "s3cret"}, Plain: []string{"TITLE"},
	}
	must(f.t, f.db.SaveWorkload(f.t.Context(), &w))
}

// address fills in what stands for an id in an address of the table.
func (f *full) address(pattern string) string {
	return strings.NewReplacer(
		"{repo}", fmt.Sprint(f.repo.ID), "{failed}", fmt.Sprint(f.failed.ID), "{running}", fmt.Sprint(f.running.ID), "{queued}", fmt.Sprint(f.queued.ID),
		"{long}", longName, "{forge}", fmt.Sprint(f.repo.ForgeID), "{github}", fmt.Sprint(f.github.ID), "{request}", fmt.Sprint(f.request),
	).Replace(pattern)
}

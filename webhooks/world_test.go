package webhooks_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"tinyforge/app"
	"tinyforge/app/gitea"
	"tinyforge/app/github"
	"tinyforge/app/gitlab"
	"tinyforge/db"
	"tinyforge/db/migratedtest"
	"tinyforge/webhooks"
)

const secret = "tinyforge-test-secret"

// onBoth runs a test on each dialect.
func onBoth(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	for dialect, address := range migratedtest.Databases(t) {
		t.Run(dialect, func(t *testing.T) { test(t, newWorld(t, address)) })
	}
}

// world is a real database behind a real server that receives deliveries.
type world struct {
	t       testing.TB
	db      *db.DB
	keys    *db.Keyring
	handler *webhooks.Handler
	url     string
	log     *lockedBuffer

	meanwhile  func()                    // what happens before a delivery is recorded; nil for nothing
	afterwards func(http.ResponseWriter) // what happens when a delivery is recorded, before it is answered; nil for nothing
}

func newWorld(t testing.TB, address string) *world {
	t.Helper()
	keys, err := db.NewKeyring()
	must(t, err)
	store, err := db.Open(t.Context(), address, keys)
	must(t, err)
	t.Cleanup(func() { _ = store.Close() })

	w := &world{t: t, db: store, keys: keys, log: new(lockedBuffer)}
	forges := app.NewForges(store, map[string]app.Opener{"github": github.New, "gitea": gitea.New, "forgejo": gitea.New, "gitlab": gitlab.New})
	w.handler = webhooks.New(store, forges.OpenRow, slog.New(slog.NewTextHandler(w.log, nil)))
	mux := http.NewServeMux()
	mux.HandleFunc("POST /webhooks/{forge}", func(rw http.ResponseWriter, r *http.Request) {
		if w.meanwhile != nil {
			w.meanwhile()
		}
		if do := w.afterwards; do != nil {
			rw = unanswered{rw, do}
		}
		w.handler.ServeHTTP(rw, r)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	w.url = server.URL
	return w
}

// unanswered is told when an answer begins.
type unanswered struct {
	http.ResponseWriter
	begins func(http.ResponseWriter)
}

func (u unanswered) WriteHeader(code int) {
	u.begins(u.ResponseWriter)
	u.ResponseWriter.WriteHeader(code)
}

func (u unanswered) Unwrap() http.ResponseWriter { return u.ResponseWriter }

func (w *world) with(t testing.TB) *world {
	changed := *w
	changed.t = t
	return &changed
}

// forge adds a forge of a kind whose hooks have the secret.
func (w *world) forge(name, kind string) db.Forge {
	w.t.Helper()
	row := db.Forge{Name: name, Kind: kind, URL: "https://forge.example.com", Credentials: db.Credentials{WebhookSecret: secret}}
	switch kind {
	case "github":
		row.AppID, row.Credentials.PrivateKey = 1, privateKey()
	default:
		row.Credentials.Token = "0123456789abcdef0123456789abcdef01234567"
	}
	must(w.t, w.db.SaveForge(w.t.Context(), &row))
	return row
}

// privateKey is what a GitHub App cannot be opened without.
var privateKey = sync.OnceValue(func() string {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
})

func (w *world) repository(forge db.Forge, externalID int64, name, branch string) db.Repository {
	w.t.Helper()
	row := db.Repository{ForgeID: forge.ID, ExternalID: externalID, FullName: name, DefaultBranch: branch}
	must(w.t, w.db.SaveRepository(w.t.Context(), &row))
	return row
}

// workload adds one that follows pattern. change may be nil.
func (w *world) workload(repo db.Repository, name, pattern string, change func(*db.Workload)) db.Workload {
	w.t.Helper()
	row := db.Workload{
		Name: name, RepositoryID: repo.ID, Source: "dockerfile", Config: json.RawMessage(`{}`), RefPattern: pattern, Enabled: true,
	}
	if change != nil {
		change(&row)
	}
	must(w.t, w.db.SaveWorkload(w.t.Context(), &row))
	return row
}

// queued tells how many deployments of a workload there are.
func (w *world) queued(workload db.Workload) int {
	w.t.Helper()
	list, err := w.db.DeploymentsOf(w.t.Context(), workload.ID, 1000)
	must(w.t, err)
	return len(list)
}

func (w *world) repositoryRow(forge db.Forge, externalID int64) db.Repository {
	w.t.Helper()
	row, err := w.db.RepositoryByExternalID(w.t.Context(), forge.ID, externalID)
	must(w.t, err)
	return row
}

// reply is an answer of the handler.
type reply struct {
	code int
	webhooks.Answer
}

// post delivers over HTTP.
func (w *world) post(forge string, h http.Header, body io.Reader) reply {
	w.t.Helper()
	r, err := w.send(forge, h, body)
	must(w.t, err)
	return r
}

// send is post for goroutines.
func (w *world) send(forge string, h http.Header, body io.Reader) (reply, error) {
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.url+"/webhooks/"+forge, body)
	if err != nil {
		return reply{}, err
	}
	req.Header = h.Clone()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	return readReply(resp)
}

func readReply(resp *http.Response) (reply, error) {
	r := reply{code: resp.StatusCode}
	if kind := resp.Header.Get("Content-Type"); kind != "application/json" {
		return r, errors.New("the answer is " + kind)
	}
	return r, json.NewDecoder(resp.Body).Decode(&r.Answer)
}

// want checks code and text of an answer.
func (w *world) want(r reply, code int, text string) {
	w.t.Helper()
	if r.code != code || !strings.Contains(r.Decision, text) {
		w.t.Errorf("answered %d %q, want %d %q", r.code, r.Decision, code, text)
	}
	if r.code != http.StatusAccepted && len(r.Deployments) != 0 {
		w.t.Errorf("answered %d with deployments %v", r.code, r.Deployments)
	}
}

// deployed names what an answer queued: "api@2222222 web@2222222".
func (w *world) deployed(r reply) string {
	w.t.Helper()
	var names []string
	for _, id := range r.Deployments {
		dep, err := w.db.Deployment(w.t.Context(), id)
		must(w.t, err)
		workload, err := w.db.Workload(w.t.Context(), dep.WorkloadID)
		must(w.t, err)
		name, _, _ := strings.Cut(workload.Name, ".")
		names = append(names, name+"@"+dep.Commit[:7])
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

// hexMAC is what a forge signs a text with.
func hexMAC(key string, text []byte) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write(text)
	return hex.EncodeToString(mac.Sum(nil))
}

// signed are the headers of a delivery as the kind of forge sends them.
func signed(kind, event, id string, body []byte) http.Header {
	h := http.Header{"Content-Type": {"application/json"}}
	switch kind {
	case "github":
		h.Set("X-GitHub-Event", event)
		h.Set("X-GitHub-Delivery", id)
		h.Set("X-Hub-Signature-256", "sha256="+hexMAC(secret, body))
	case "gitea":
		h.Set("X-Gitea-Event", event)
		h.Set("X-Gitea-Delivery", id)
		h.Set("X-Gitea-Signature", hexMAC(secret, body))
	case "gitlab":
		h.Set("X-Gitlab-Event", map[string]string{"push": "Push Hook", "tag_push": "Tag Push Hook", "issue": "Issue Hook"}[event])
		h.Set("Idempotency-Key", id)
		h.Set("X-Gitlab-Token", secret)
	}
	return h
}

// deliver posts a body, signed.
func (w *world) deliver(forge db.Forge, event, id string, body []byte) reply {
	w.t.Helper()
	return w.post(forge.Name, signed(forge.Kind, event, id, body), bytes.NewReader(body))
}

// pushed is a push event, in the words that all kinds of forge use.
type pushed struct {
	Kind       string      `json:"object_kind"`
	Checkout   string      `json:"checkout_sha"`
	Ref        string      `json:"ref"`
	Before     string      `json:"before"`
	After      string      `json:"after"`
	Commits    []committed `json:"commits"`
	HeadCommit *committed  `json:"head_commit"`
	Repository struct {
		ID            int64  `json:"id"`
		FullName      string `json:"full_name"`
		DefaultBranch string `json:"default_branch"`
		Private       bool   `json:"private"`
	} `json:"repository"`
	Project struct { // filled in by body
		ID            int64  `json:"id"`
		FullName      string `json:"path_with_namespace"`
		DefaultBranch string `json:"default_branch"`
		Visibility    int    `json:"visibility_level"`
	} `json:"project"`
}

type committed struct {
	ID       string   `json:"id"`
	Message  string   `json:"message"`
	Modified []string `json:"modified"`
}

// push is a move of a ref of acme/site, which is repository 4711.
func push(ref, before, after string, files ...string) pushed {
	head := committed{ID: after, Message: "change", Modified: files}
	p := pushed{Kind: "push", Checkout: after, Ref: ref, Before: before, After: after, Commits: []committed{head}, HeadCommit: &head}
	p.Repository.ID, p.Repository.FullName, p.Repository.DefaultBranch = 4711, "acme/site", "main"
	return p
}

func (p pushed) body() []byte {
	p.Project.ID, p.Project.FullName, p.Project.DefaultBranch = p.Repository.ID, p.Repository.FullName, p.Repository.DefaultBranch
	if !p.Repository.Private {
		p.Project.Visibility = 20
	}
	text, err := json.Marshal(p)
	if err != nil {
		panic(err)
	}
	return text
}

// hash is a commit's full hash, told apart by one digit.
func hash(digit string) string { return strings.Repeat(digit, 40) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// lockedBuffer is a log that tests read while it is written.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

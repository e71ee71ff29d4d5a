package webhooks_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tinyforge/db"
	"tinyforge/db/migratedtest"
)

// recordings holds what real forges sent, see its README. It is beside a checkout of the project, not in it.
const recordings = "../../shared/payloads"

// recorded is one delivery as it was sent, byte for byte.
type recorded struct {
	header http.Header
	body   []byte
}

// answered is what a delivery is to be answered with. deployed names workloads and commits: the workload any follows every
// branch, web the default branch, tags every tag.
type answered struct {
	code     int
	text     string // part of the decision
	deployed string
}

// answerAll posts each delivery to a forge of its own, on which the repositories are known, and compares.
func (w *world) answerAll(kind string, all map[string]recorded, repositories []db.Repository, table map[string]answered) {
	w.t.Helper()
	for name := range table {
		if _, ok := all[name]; !ok {
			w.t.Errorf("%s: there is no such delivery", name)
		}
	}
	for n, name := range slices.Sorted(maps.Keys(all)) {
		want, ok := table[name]
		if !ok {
			w.t.Errorf("%s: no row of the table says how it is to be answered", name)
			continue
		}
		w.t.(*testing.T).Run(name, func(t *testing.T) {
			w := w.with(t)
			forge := w.stage(fmt.Sprintf("%s-%d", kind, n), kind, repositories)
			r := w.post(forge.Name, all[name].header, bytes.NewReader(all[name].body))
			w.want(r, want.code, want.text)
			if got := w.deployed(r); got != want.deployed {
				t.Errorf("deploys %q, want %q", got, want.deployed)
			}
			w.again(forge, all[name], r)
		})
	}
}

// again posts once more, as a button of the forge does: nothing is deployed a second time.
func (w *world) again(forge db.Forge, sent recorded, first reply) {
	w.t.Helper()
	r := w.post(forge.Name, sent.header, bytes.NewReader(sent.body))
	switch {
	case first.code == http.StatusAccepted:
		w.want(r, http.StatusOK, "received before: "+first.Decision)
	case r.code != first.code || len(r.Deployments) > 0:
		w.t.Errorf("answered %d, then %d %v", first.code, r.code, r.Deployments)
	}
}

func (w *world) stage(name, kind string, repositories []db.Repository) db.Forge {
	w.t.Helper()
	forge := w.forge(name, kind)
	for _, r := range repositories {
		repo := w.repository(forge, r.ExternalID, r.FullName, r.DefaultBranch)
		for workload, pattern := range map[string]string{"any": "**", "web": "", "tags": "tags/**"} {
			w.workload(repo, fmt.Sprintf("%s.%s.%d", workload, name, r.ExternalID), pattern, nil)
		}
	}
	return forge
}

// readRecorded reads every delivery of a folder. A checkout that stands alone has none: then the test is over.
func readRecorded(t *testing.T, kind string) map[string]recorded {
	t.Helper()
	dir := filepath.Join(recordings, kind)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		t.Skipf("%s is not there; TestDeliveries is without it", dir)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.headers"))
	must(t, err)
	all := map[string]recorded{}
	for _, file := range files {
		base := strings.TrimSuffix(file, ".headers")
		body, err := os.ReadFile(base + ".json")
		if errors.Is(err, fs.ErrNotExist) {
			body, err = os.ReadFile(base + ".body")
		}
		must(t, err)
		all[filepath.Base(base)] = recorded{readHeader(t, file), body}
	}
	bodies, err := filepath.Glob(filepath.Join(dir, "*.*"))
	must(t, err)
	if len(all) == 0 || len(bodies) != 2*len(all) {
		t.Fatalf("%s holds %d files for %d deliveries", dir, len(bodies), len(all))
	}
	return all
}

func readHeader(t *testing.T, file string) http.Header {
	t.Helper()
	text, err := os.ReadFile(file)
	must(t, err)
	h := http.Header{}
	for line := range strings.Lines(string(text)) {
		name, value, ok := strings.Cut(strings.TrimRight(line, "\r\n"), ":")
		if !ok {
			t.Fatalf("%s: not a header: %q", file, line)
		}
		h.Add(name, strings.TrimSpace(value))
	}
	h.Del("Content-Length") // the client's
	return h
}

func TestRecordedGitHubDeliveries(t *testing.T) {
	t.Parallel()
	const moves, deleted, works = "moves nothing", "nothing is deployed", "the webhook works"
	newWorld(t, migratedtest.SQLite(t)).answerAll("github", readRecorded(t, "github"), []db.Repository{
		{ExternalID: 186853002, FullName: "Codertocat/Hello-World", DefaultBranch: "master"},
		{ExternalID: 135493233, FullName: "Codertocat/Hello-World", DefaultBranch: "master"},
		{ExternalID: 186853261, FullName: "Octocoders/Hello-World", DefaultBranch: "master"},
		{ExternalID: 185882436, FullName: "Codertocat/hello-world-npm", DefaultBranch: "master"},
		{ExternalID: 13933572, FullName: "bradrydzewski/drone-test-go", DefaultBranch: "master"},
		{ExternalID: 300029405, FullName: "octo-org/octo-repo", DefaultBranch: "master"},
	}, map[string]answered{
		"push.branch":                     {202, "queued", "any@199eddf web@199eddf"},
		"push.branch.form":                {202, "queued", "any@199eddf web@199eddf"},
		"push.branch-create":              {202, "queued", "any@d2b75aa"},
		"push.branch-create.installation": {202, "queued", "any@6113728 web@6113728"},
		"push.no-username-committer":      {202, "queued", "any@6113728 web@6113728"},
		"push.tag-create":                 {202, "queued", "tags@d2b75aa"},

		"push.branch-delete":           {200, "feature-branch was deleted: " + deleted, ""},
		"push.tag-delete":              {200, "tags/simple-tag was deleted: " + deleted, ""},
		"push.tag-delete.2":            {200, "tags/v0.0.1 was deleted: " + deleted, ""},
		"push.tag-delete.installation": {200, "tags/simple-tag was deleted: " + deleted, ""},
		"push.tag-delete.organization": {200, "tags/simple-tag was deleted: " + deleted, ""},
		"delete.branch":                {200, "told by the push event", ""},
		"delete.tag":                   {200, "told by the push event", ""},
		"delete.tag.installation":      {200, "told by the push event", ""},

		"installation.created":                  {200, "installation of Codertocat noted", ""},
		"installation.created.requester":        {200, "installation of Codertocat noted", ""},
		"installation.new_permissions_accepted": {200, "installation of Codertocat noted", ""},
		"installation.suspend":                  {200, "installation of Codertocat noted", ""},
		"installation.unsuspend":                {200, "installation of Codertocat noted", ""},
		"installation.deleted":                  {200, "installation of octocat noted", ""},
		"installation_repositories.added":       {200, "installation of Codertocat noted", ""},
		"installation_repositories.removed":     {200, "installation of octocat noted", ""},

		"ping":              {200, works, ""},
		"ping.app":          {200, works, ""},
		"ping.organization": {200, works, ""},

		"package.published.docker":          {200, "package ghcr.io/codertocat/hello-world: no workload runs it", ""},
		"package.published.npm":             {200, "no container image", ""},
		"registry_package.published.docker": {200, "package ghcr.io/codertocat/hello-world: no workload runs it", ""},

		"check_run.completed":                    {200, moves, ""},
		"check_run.created":                      {200, moves, ""},
		"check_suite.completed":                  {200, moves, ""},
		"check_suite.requested":                  {200, moves, ""},
		"create.branch":                          {200, moves, ""},
		"create.tag":                             {200, moves, ""},
		"create.tag.installation":                {200, moves, ""},
		"deployment.created":                     {200, moves, ""},
		"deployment_status.created":              {200, moves, ""},
		"deployment_status.created.installation": {200, moves, ""},
		"github_app_authorization.revoked":       {200, moves, ""},
		"pull_request.closed":                    {200, moves, ""},
		"pull_request.opened":                    {200, moves, ""},
		"pull_request.synchronize":               {200, moves, ""},
		"release.published":                      {200, moves, ""},
		"repository.privatized":                  {200, moves, ""},
		"repository.renamed":                     {200, moves, ""},
		"repository.transferred.installation":    {200, moves, ""},
		"status":                                 {200, moves, ""},
		"workflow_run.completed":                 {200, moves, ""},
		"workflow_run.requested":                 {200, moves, ""},
	})
}

func TestRecordedGiteaDeliveries(t *testing.T) {
	t.Parallel()
	const moves, deleted = "moves nothing", "nothing is deployed"
	newWorld(t, migratedtest.SQLite(t)).answerAll("gitea", readRecorded(t, "gitea"), []db.Repository{
		{ExternalID: 1, FullName: "acme/site", DefaultBranch: "main"},
		{ExternalID: 3, FullName: "dev/notes", DefaultBranch: "master"},
	}, map[string]answered{
		"push.first-branch":               {202, "queued", "any@ff4ad1c web@ff4ad1c"},
		"push.first-branch.org-hook":      {202, "queued", "any@ff4ad1c web@ff4ad1c"},
		"push.single-commit":              {202, "queued", "any@db654f8 web@db654f8"},
		"push.three-commits":              {202, "queued", "any@b363d1b web@b363d1b"},
		"push.eight-commits":              {202, "queued", "any@951169d web@951169d"},
		"push.empty-commits":              {202, "queued", "any@262664e web@262664e"},
		"push.force-amend":                {202, "queued", "any@0cf2438 web@0cf2438"},
		"push.force-back":                 {202, "queued", "any@bad9401 web@bad9401"},
		"push.merge-commit":               {202, "queued", "any@467612d web@467612d"},
		"push.contents-api":               {202, "queued", "any@edacc56 web@edacc56"},
		"push.authorization-header":       {202, "queued", "any@8bc61cd web@8bc61cd"},
		"push.form":                       {202, "queued", "any@8bc61cd web@8bc61cd"},
		"push.two-refs-1of2":              {202, "queued", "any@428d087 web@428d087"},
		"push.two-refs-2of2":              {202, "queued", "any@e3e4c88"},
		"push.branch-create-no-commits":   {202, "queued", "any@bad9401"},
		"push.branch-create-with-commits": {202, "queued", "any@3e1af74"},
		"push.user-repo":                  {202, "queued", "any@7347c3f web@7347c3f"},
		"push.tag-by-release":             {202, "queued", "tags@467612d"},
		"push.tag-lightweight":            {202, "queued", "tags@bad9401"},
		"push.tag-moved":                  {202, "queued", "tags@bc0deee"},

		"push.no-secret": {401, "signature does not verify", ""},

		"push.test-delivery": {200, "a test delivery; the webhook works", ""},
		"push.tag-delete":    {200, "tags/v1.0.0 was deleted: " + deleted, ""},
		"delete.branch":      {200, "staging was deleted: " + deleted, ""},
		"delete.tag":         {200, "tags/v1.0.0 was deleted: " + deleted, ""},

		"package.container.org-hook":        {200, "package forge.example.com/acme/site:1.0.0: no workload runs it", ""},
		"package.container-latest.org-hook": {200, "package forge.example.com/acme/site:latest: no workload runs it", ""},
		"package.generic.org-hook":          {200, "no container image", ""},

		"create.branch-main":          {200, moves, ""},
		"create.branch-master":        {200, moves, ""},
		"create.branch-no-commits":    {200, moves, ""},
		"create.tag":                  {200, moves, ""},
		"pull_request.closed":         {200, moves, ""},
		"pull_request.merged":         {200, moves, ""},
		"pull_request.opened":         {200, moves, ""},
		"pull_request.reopened":       {200, moves, ""},
		"pull_request.synchronized":   {200, moves, ""},
		"release.published":           {200, moves, ""},
		"repository.created.org-hook": {200, moves, ""},
		"status.pending":              {200, moves, ""},
	})
}

func TestRecordedGitLabDeliveries(t *testing.T) {
	t.Parallel()
	const moves, deleted = "moves nothing", "nothing is deployed"
	newWorld(t, migratedtest.SQLite(t)).answerAll("gitlab", readRecorded(t, "gitlab"), []db.Repository{
		{ExternalID: 15, FullName: "mike/diaspora", DefaultBranch: "master"},
		{ExternalID: 1, FullName: "jsmith/example", DefaultBranch: "master"},
		{ExternalID: 4861503, FullName: "gitlab-org/hello-world", DefaultBranch: "master"},
	}, map[string]answered{
		"push":               {202, "queued", "any@da15608 web@da15608"},
		"push.real":          {202, "queued", "any@2adc946 web@2adc946"},
		"push.subgroup":      {202, "queued", "any@2adc946 web@2adc946"},
		"push.merge":         {202, "queued", "any@78a76ee web@78a76ee"},
		"push.branch-create": {202, "queued", "any@c4c7922"},
		"tag_push":           {202, "queued", "tags@82b3d5a"},
		"tag_push.create":    {202, "queued", "tags@2adc946"},

		"push.branch-delete":          {200, "feature was deleted: " + deleted, ""},
		"push.branch-delete.subgroup": {200, "feature was deleted: " + deleted, ""},
		"tag_push.delete":             {200, "tags/v1.0.0 was deleted: " + deleted, ""},
		"tag_push.delete.subgroup":    {200, "tags/v1.0.0 was deleted: " + deleted, ""},

		"merge_request": {200, moves, ""},
		"pipeline":      {200, moves, ""},
		"release":       {200, moves, ""},
		"deployment":    {200, moves, ""},
		"job":           {200, moves, ""},
	})
}

// A form is signed as it is sent by GitHub, and as the JSON in it by Gitea: each is refused where the other is expected.
func TestRecordedFormsAreVerifiedPerForge(t *testing.T) {
	t.Parallel()
	w := newWorld(t, migratedtest.SQLite(t))
	forms := map[string]recorded{
		"github": readRecorded(t, "github")["push.branch.form"],
		"gitea":  readRecorded(t, "gitea")["push.form"],
	}
	for _, at := range []string{"github", "gitea"} {
		forge := w.forge(at, at)
		for from, form := range forms {
			if at == from {
				continue // accepted, see above
			}
			w.want(w.post(forge.Name, form.header, bytes.NewReader(form.body)), http.StatusUnauthorized, "signature does not verify")
		}
	}
}

// One push, seen by the hook of the repository and by the hook of its organisation, which have ids of their own.
func TestRecordedTwinsDeployOnce(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, w *world) {
		all := readRecorded(t, "gitea")
		for n, order := range [][]string{
			{"push.first-branch", "push.first-branch.org-hook"},
			{"push.first-branch.org-hook", "push.first-branch"},
		} {
			forge := w.stage(fmt.Sprint("twins", n), "gitea", []db.Repository{{ExternalID: 1, FullName: "acme/site", DefaultBranch: "main"}})
			first := w.post(forge.Name, all[order[0]].header, bytes.NewReader(all[order[0]].body))
			w.want(first, http.StatusAccepted, "queued")
			if got := w.deployed(first); got != "any@ff4ad1c web@ff4ad1c" {
				t.Errorf("deploys %q", got)
			}
			w.want(w.post(forge.Name, all[order[1]].header, bytes.NewReader(all[order[1]].body)), http.StatusOK, "already delivered")
		}
	})
}

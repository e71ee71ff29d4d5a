package deploy_test

import (
	"log/slog"
	"strings"
	"testing"

	"tinyforge/db"
)

// warnings passes the texts of warnings on.
type warnings chan string

func (w warnings) Write(line []byte) (int, error) {
	if strings.Contains(string(line), "level=WARN") {
		w <- string(line)
	}
	return len(line), nil
}

// TestTellsWhatNobodyDeploys: once of each workload.
func TestTellsWhatNobodyDeploys(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "dockerfile", blueGreen)
	said := make(warnings, 16)
	w.deployer.Offers, w.deployer.Log = []string{"swarm"}, slog.New(slog.NewTextHandler(said, nil))
	w.push("a")
	defer w.runInBackground()()
	if text := <-said; !strings.Contains(text, "no running process deploys to docker: start one without --runtimes, or with docker in it") || !strings.Contains(text, "workload=web") {
		t.Errorf("said is %s", text)
	}
	w.workload = db.Workload{Name: "api", RepositoryID: w.repo.ID, Source: "dockerfile", Config: []byte(blueGreen), Enabled: true}
	must(t, w.db.SaveWorkload(t.Context(), &w.workload))
	w.push("b")
	if text := <-said; !strings.Contains(text, "workload=api") {
		t.Errorf("said then is %s", text)
	}
}

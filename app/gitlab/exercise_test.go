package gitlab_test

import (
	"testing"

	"tinyforge/app"
	"tinyforge/app/forgetest"
	"tinyforge/app/gitlab"
	"tinyforge/db"
)

func open(t *testing.T, row db.Forge) (app.Forge, error) {
	t.Helper()
	client, err := app.NewClient(row.Networks)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseIdleConnections)
	git, err := app.NewGit(row.Networks)
	if err != nil {
		t.Fatal(err)
	}
	return gitlab.New(row, app.Access{Client: client, Git: git})
}

func openServer(t *testing.T, s *forgetest.Server) app.Forge {
	t.Helper()
	forge, err := open(t, s.Row("forge"))
	if err != nil {
		t.Fatal(err)
	}
	return forge
}

func TestExercise(t *testing.T) { forgetest.Exercise(t, openServer, forgetest.GitLab) }

package main

import (
	"path/filepath"
	"strings"
	"testing"

	"tinyforge/app/forgetest"
	"tinyforge/db/dbtest"
)

// TestRestoredGoesOn: a backup that was made while a Tinyforge serves is put into an empty folder and an empty database, of the
// other kind; what starts there knows the container that runs, serves it, and deploys the next push. In between the key is
// replaced.
func TestRestoredGoesOn(t *testing.T) {
	t.Parallel()
	for name, databases := range map[string][2]string{
		"SQLite to PostgreSQL": {dbtest.SQLite(t), dbtest.Postgres(t)}, "PostgreSQL to SQLite": {dbtest.Postgres(t), dbtest.SQLite(t)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			forge := newForge(t, forgetest.Options{Kind: forgetest.Gitea})
			s := newService(t, "TINYFORGE_DATABASE="+databases[0])
			c, web := newClone(t, forge, "acme/site"), unique("web")
			s.apply(forge, manifestOf(web, "dockerfile", blueGreen, "env: {SITE_SECRET: s3cret-of-the-site}"))
			c.ends(c.release("one"), "success")
			s.serves(web, "one")
			was := s.releases(web)[0]

			file := filepath.Join(s.dir, "backup.gz")
			s.command("backup", file, "--with-key")
			s.process.terminate(stopMost)
			s.must(s.store.Close())
			s.store = nil
			s.env = append(s.env, "TINYFORGE_DATA="+filepath.Join(s.dir, "restored"), "TINYFORGE_DATABASE="+databases[1])
			s.command("restore", file)
			if said := s.command("rotate-key"); !strings.Contains(said, "All is sealed with a new key") {
				t.Errorf("rotate-key says %q", said)
			}
			s.start()
			s.serves(web, "one")
			if is := s.releases(web)[0]; is.ID != was.ID {
				t.Errorf("the container %s was replaced by %s", was.ID, is.ID)
			}
			if env := s.workload(web).Env["SITE_SECRET"]; env != "s3cret-of-the-site" {
				t.Errorf("the secret is %q", env)
			}
			c.ends(c.release("two"), "success")
			s.serves(web, "two")
			if all := s.deployments(web); len(all) != 2 || all[0].ID != 2 {
				t.Errorf("there are %d deployments, the last is %d", len(all), all[0].ID)
			}
		})
	}
}

// command runs a command of the service's in its environment, and returns what it says.
func (s *service) command(args ...string) string {
	s.Helper()
	out, err := runWith(s.T, s.env, args...)
	if err != nil {
		s.Fatalf("%q: %v", args, err)
	}
	return out
}

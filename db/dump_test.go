package db_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"tinyforge/db"
	"tinyforge/db/dbtest"
)

// dump is all records of a database as JSON, a line each.
func dump(t *testing.T, d *db.DB) (migrations []string, text string) {
	t.Helper()
	s, err := d.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var all bytes.Buffer
	e := json.NewEncoder(&all)
	if err := s.Records(t.Context(), func(r db.Record) error { return e.Encode(r) }); err != nil {
		t.Fatal(err)
	}
	return s.Migrations, all.String()
}

// reader reads what dump wrote.
func reader(text string) func() (db.Record, error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	return func() (r db.Record, err error) {
		err = d.Decode(&r)
		return r, err
	}
}

// filled puts something into every table that people and pushes fill.
func filled(f *fixture) {
	ctx := f.t.Context()
	f.check(f.CheckKey(ctx))
	_, err := f.InstanceID(ctx)
	f.check(err)
	dep := withSecrets(f)
	f.check(f.AppendLog(ctx, db.LogLine{DeploymentID: dep.ID, Phase: db.PhaseBuilding, At: time.Now(), Text: "ä ? 'x' \\ \"$1\"\t\x1b[31mred"}))
	user := f.user("ann", db.Administrator)
	_, err = f.NewSignInLink(ctx, user.ID)
	f.check(err)
	f.check(f.CreateAppRequest(ctx, &db.AppRequest{Name: "begun", Networks: []string{"private"}, UserID: user.ID}))
	gone := db.Forge{Name: "gone", Kind: "gitea"}
	f.check(f.SaveForge(ctx, &gone))
	f.check(f.DeleteForge(ctx, gone.ID))
}

// TestDumpIsPortable: from either database into either, everything is the same, the ids that come next included.
func TestDumpIsPortable(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		filled(f)
		migrations, text := dump(t, f.DB)
		for _, table := range []string{"forges", "workloads", "deployments", "log_lines", "users", "app_requests", "hosts", "settings", "deliveries"} {
			if i := strings.Index(text, `"table":"`+table+`"`); i < 0 || !strings.Contains(text[i:i+strings.Index(text[i:], "\n")+8], `{"row"`) {
				t.Errorf("nothing of %s is in it", table)
			}
		}
		for dialect, address := range dbtest.Databases(t) {
			t.Run("to "+dialect, func(t *testing.T) {
				other := open(t, address, f.keys)
				f.check(other.Load(t.Context(), migrations, reader(text)))
				if _, again := dump(t, other); canonical(t, again) != canonical(t, text) {
					t.Errorf("it became\n%s\nfrom\n%s", again, text)
				}
				next := db.Forge{Name: "next", Kind: "gitea"}
				f.check(other.SaveForge(t.Context(), &next))
				if next.ID != 3 {
					t.Errorf("the next forge has the id %d, which one had that is gone", next.ID)
				}
				if err := other.Load(t.Context(), migrations, reader(text)); !errors.Is(err, db.ErrNotEmpty) {
					t.Errorf("a second time: %v", err)
				}
			})
		}
	})
}

// canonical is a dump without the freedoms that the databases have: the order of rows, and the spaces in JSON.
func canonical(t *testing.T, text string) string {
	t.Helper()
	var lines []string
	for next := reader(text); ; {
		r, err := next()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		for i, v := range r.Row {
			var inner any
			if s, ok := v.(string); ok && json.Unmarshal([]byte(s), &inner) == nil {
				r.Row[i] = inner
			}
		}
		line, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, string(line))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// TestLoadOfAnOlderSnapshot: the schema is brought to where it was, and then up to date; what is newer than we are is refused.
func TestLoadOfAnOlderSnapshot(t *testing.T) {
	names := migrations(t)
	for i := range names {
		names[i], _, _ = strings.Cut(names[i], "_")
	}
	for dialect, address := range dbtest.Databases(t) {
		t.Run(dialect, func(t *testing.T) {
			d := open(t, address, newKeys(t))
			if err := d.Load(t.Context(), append(slices.Clone(names), "30000101000000"), reader("")); !errors.Is(err, db.ErrNewer) {
				t.Errorf("of a newer one: %v", err)
			}
			const old = `{"table":"forges","columns":["id","name","kind","url","api_url","networks","app_id","created_at","updated_at"],"last":5}
				{"row":[3,"hub","github","https://github.com","","[]",7,"2026-01-02T03:04:05.6Z","2026-01-02T03:04:05.6Z"]}`
			for _, broken := range []string{"{", strings.Replace(old, `[3,`, `["x",`, 1), strings.Replace(old, `,7,`, `,`, 1), strings.Replace(old, `"forges"`, `"x"`, 1), old + `{"row":[3]}`} {
				if err := d.Load(t.Context(), names[:1], reader(broken)); err == nil {
					t.Errorf("%q was loaded", broken)
				}
				if err := d.Empty(t.Context()); err != nil {
					t.Errorf("after %q: %v", broken, err)
				}
				if ok, err := d.Migrated(t.Context()); ok || err != nil {
					t.Errorf("after %q it is up to date: %v", broken, err)
				}
			}
			if err := d.Load(t.Context(), names[:1], reader(old)); err != nil {
				t.Fatal(err)
			}
			f, err := d.ForgeByName(t.Context(), "hub")
			if err != nil || f.ID != 3 || f.AppID != 7 || f.AppSlug != "" || f.CreatedAt.Format(time.RFC3339Nano) != "2026-01-02T03:04:05.6Z" {
				t.Errorf("got %+v, %v", f, err)
			}
			migrated(t, d, true)
		})
	}
}

// TestSnapshotStandsStill: it shows one moment, and keeps nobody from writing.
func TestSnapshotStandsStill(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.check(f.CheckKey(t.Context()))
		_, err := f.InstanceID(t.Context())
		f.check(err)
		s, err := f.Snapshot(t.Context())
		f.check(err)
		defer s.Close()
		f.check(f.SetSettings(t.Context(), map[string]string{"written": "meanwhile"}))
		if !f.keys.Opens(s.Check) || newKeys(t).Opens(s.Check) || f.keys.Opens("") {
			t.Error("the key of the snapshot is not known")
		}
		f.check(s.Records(t.Context(), func(r db.Record) error {
			if slices.Contains(r.Row, any("meanwhile")) {
				t.Error("it has what was written later")
			}
			return nil
		}))
	})
}

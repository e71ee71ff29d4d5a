package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSizes(t *testing.T) {
	t.Parallel()
	for text, good := range map[string]bool{"100": true, "100,1000": true, "": false, "1000,100": false, "10,10": false, "5": false, "x": false, "10,": false} {
		var s sizes
		if err := s.Set(text); (err == nil) != good {
			t.Errorf("%q: %v", text, err)
		} else if good && s.String() != text {
			t.Errorf("%q is read as %q", text, s.String())
		}
	}
}

func TestPushOfAnotherRepository(t *testing.T) {
	t.Parallel()
	body := `{"ref":"refs/heads/main","pusher":{"id":7},"repository":{"id":7,"full_name":"acme/a","private":true},"size":12345678901234567}`
	got, err := ofRepository([]byte(body), 100000042, "acme/site-000042")
	if err != nil {
		t.Fatal(err)
	}
	var push struct {
		Pusher     struct{ ID int64 }
		Size       json.Number
		Repository struct {
			ID       int64
			FullName string `json:"full_name"`
			Private  bool
		}
	}
	if err := json.Unmarshal(got, &push); err != nil {
		t.Fatal(err)
	}
	if r := push.Repository; r.ID != 100000042 || r.FullName != "acme/site-000042" || !r.Private || push.Pusher.ID != 7 || push.Size != "12345678901234567" {
		t.Errorf("it became %s", got)
	}
	if _, err := ofRepository([]byte(`{"ref":"x"}`), 1, "a/b"); err == nil {
		t.Error("a push of no repository is taken")
	}
}

// TestIntoItsOwnSection: curves go between their marks, all else between the others, and what was not measured stays.
func TestIntoItsOwnSection(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "README.md")
	text := "a\n" + tablesBegin + "old tables\n" + tablesEnd + "b\n" + scaleBegin + "old curves\n" + tablesEnd + "c\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	curve := work{Name: "curve", Curve: true, Base: "10"}
	for _, who := range []string{"10", "1,000"} {
		curve.add(who, "claim", "ms", float64(len(who)))
	}
	r := &report{Works: []work{curve}}
	if err := r.into(file); err != nil {
		t.Fatal(err)
	}
	got, _ := os.ReadFile(file)
	before, after, _ := strings.Cut(string(got), scaleBegin)
	if !strings.Contains(before, "old tables") || strings.Contains(after, "old curves") || !strings.HasSuffix(after, tablesEnd+"c\n") {
		t.Errorf("it became\n%s", got)
	}
	if want := "| | 10 | 1,000 | 1,000 / 10 |\n|---|---|---|---|\n| claim, ms | 2.00 | 5.00 | 2.50 |\n"; !strings.Contains(after, want) {
		t.Errorf("the curve is not %s\nbut\n%s", want, after)
	}
	r.Works[0].Curve = false
	if err := r.into(file); err != nil {
		t.Fatal(err)
	}
	if again, _ := os.ReadFile(file); strings.Contains(string(again), "old tables") || !strings.HasSuffix(string(again), after) {
		t.Errorf("it became\n%s", again)
	}
}

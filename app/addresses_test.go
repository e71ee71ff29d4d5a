package app_test

import (
	"cmp"
	"strings"
	"testing"

	"tinyforge/app"
	"tinyforge/app/forgetest"
	"tinyforge/db"
)

// Who has several forges is told which of them is down, and where it was looked for.
func TestAForgeThatIsDownIsNamed(t *testing.T) {
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			d := newDesk(t)
			p := d.place(kind, "site")
			forge, err := d.forges.OpenRow(p.row)
			must(t, err)
			must(t, p.forge.Close())
			_, heads := forge.Heads(t.Context(), p.repo)
			_, fetched := forge.Fetch(t.Context(), p.repo, p.first, t.TempDir())
			faults := []error{
				forge.SetStatus(t.Context(), p.repo, app.Status{Commit: p.first, State: db.StatusSuccess}),
				fetched, heads,
			}
			for _, err := range forge.Repositories(t.Context()) {
				faults = append(faults, err)
			}
			if hooker, ok := forge.(app.Hooker); ok {
				_, err := forgetest.EnsureHook(t.Context(), hooker, p.repo, deployURL)
				faults = append(faults, err)
			}
			who := "forge site at " + strings.TrimRight(cmp.Or(p.row.APIURL, p.row.URL), "/")
			for i, err := range faults {
				if err == nil || !strings.Contains(err.Error(), ": "+who) || !strings.Contains(err.Error(), ": dial tcp ") {
					t.Errorf("error %d is %q, want it to name %q", i, err, who)
				}
				if token := p.row.Credentials.Token; err != nil && token != "" && strings.Contains(err.Error(), token) {
					t.Errorf("error %d holds the token", i)
				}
			}
		})
	}
}

func TestAddresses(t *testing.T) {
	for _, tt := range []struct{ url, api, token, want, says string }{
		{"https://git.example.com/", "", "t", "https://git.example.com https://git.example.com", ""},
		{"https://git.example.com/sub", "http://10.0.0.1:3000/api/v1/", "t", "https://git.example.com/sub http://10.0.0.1:3000", ""},
		{"https://git.example.com", "", "", " ", "the access token is missing"},
		{"git.example.com", "", "t", " ", "must look like https://HOST"},
		{"", "", "t", " ", "must look like https://HOST"},
		{"ftp://git.example.com", "", "t", " ", "must look like https://HOST"},
		{"https://git.example.com", "https://me:secret@git.example.com", "t", " ", "must look like https://HOST"},
		{"https://git.example.com?token=secret", "", "t", " ", "must look like https://HOST"},
		{"https://git.example.com#part", "", "t", " ", "must look like https://HOST"},
	} {
		web, api, err := app.Addresses(db.Forge{URL: tt.url, APIURL: tt.api, Credentials: db.Credentials{Token: tt.token}}, "/api/v1")
		if web+" "+api != tt.want || (err == nil) != (tt.says == "") || err != nil && !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s and %q: %q %q, %v", tt.url, tt.api, web, api, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("the error holds the secret: %v", err)
		}
	}
}

// No forge is asked for a status that it would take for something else.
func TestStatusesThatNoForgeIsTold(t *testing.T) {
	d := newDesk(t)
	for _, kind := range kinds {
		p := d.place(kind, string(kind))
		forge, err := d.forges.OpenRow(p.row)
		must(t, err)
		for want, s := range map[string]app.Status{
			"set commit status: not a full commit hash": {Commit: p.first[:7], State: db.StatusSuccess},
			"set commit status: unknown state":          {Commit: p.first, State: "SUCCESS"},
		} {
			if err := forge.SetStatus(t.Context(), p.repo, s); err == nil || err.Error() != want {
				t.Errorf("%s: %v, want %q", kind, err, want)
			}
		}
		p.wantStates(p.first, "")
	}
}

package db_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"tinyforge/db"
)

// TestSecretsOfAWorkload: what is looked for in logs, and what is not, so that they can be read.
func TestSecretsOfAWorkload(t *testing.T) {
	w := db.Workload{
		Config: json.RawMessage(`{"env": {"IN_CONFIG": "in-config-1", "MODE": "production"}, "build_secrets": {"npm_token": "build"},
			"registry": {"password": "registry"}, "registries": {"r.example.com": {"username": "u", "password": "registries"}}}`),
		Env: map[string]string{
			"SHOWN": "shown-value-1", "HIDDEN": "hidden-value-1", "NODE_ENV": "production", "PORT": "8080", "SRV": "/srv1", "KEY": "/key1", "DEBUG": "true", "WAIT": "30s",
			"BIND": "127.0.0.1:8080", "RELEASE": "v1.2.3", "ADMIN_PASSWORD": "swordfish", "DATABASE_URL": "postgres://app:hunter%32@db/app",
		},
		Plain: []string{"SHOWN"},
	}
	var got []string
	for _, s := range w.Secrets() {
		got = append(got, s.Name+"="+s.Value)
	}
	slices.Sort(got)
	want := []string{
		"ADMIN_PASSWORD=swordfish", "DATABASE_URL=hunter2", "DATABASE_URL=postgres://app:hunter%32@db/app", "HIDDEN=hidden-value-1",
		"IN_CONFIG=in-config-1", "KEY=/key1", "npm_token=build", "password=registries", "password=registry",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
	if of := (db.Release{Origin: w.Origin(), Env: map[string]string{"X": "x-y-z-1"}}).Secrets(); len(of) != len(want) {
		t.Errorf("of its release: %q", of)
	}
	if of := (db.Release{Env: map[string]string{"X": "x-y-z-1"}}).Secrets(); !slices.Contains(of, db.Secret{Name: "X", Value: "x-y-z-1"}) {
		t.Errorf("of a release of unknown origin: %q", of)
	}
}

// TestSecretsOfAForge: every field of its credentials that is no time or public id.
func TestSecretsOfAForge(t *testing.T) {
	c := db.Credentials{WebhookSecret: "a", SigningToken: "b", Token: "c", PrivateKey: "d", ClientSecret: "e", OldSecret: "f", ClientID: "public"}
	var values []string
	for _, s := range c.Secrets() {
		values = append(values, s.Value)
	}
	slices.Sort(values)
	if strings.Join(values, "") != "abcdef" {
		t.Errorf("got %q", values)
	}
}

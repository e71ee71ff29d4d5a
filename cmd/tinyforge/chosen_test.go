package main

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"tinyforge/app"
	"tinyforge/app/settings"
	"tinyforge/db"
	"tinyforge/deploy"
)

// stumbling is a gateway that leads no host at the first time, and says when it leads one.
type stumbling struct {
	gateway
	stumbled bool
	led      chan string
}

func (s *stumbling) Lead(host, address string) error {
	if !s.stumbled {
		s.stumbled = true
		return errors.New("it stumbles")
	}
	err := s.gateway.Lead(host, address)
	s.led <- host
	return err
}

// TestChosenKeeper: a host is led as soon as it can be, and one that was let go may be a workload's.
func TestChosenKeeper(t *testing.T) {
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	store := emptyStore(t)
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	router, err := newBuiltin(config{Data: t.TempDir(), ProxyHTTP: "127.0.0.1:0", ACMECA: "https://acme.test/directory"}, nil, "", log)
	check(err)
	s := &stumbling{gateway: router, led: make(chan string)}
	k := &chosenKeeper{choices: settings.NewChoices(store, nil), db: store, forges: app.NewForges(store, nil), router: s,
		address: "127.0.0.1:1", log: log, retry: time.Millisecond}
	choose := func(url string) {
		t.Helper()
		check(store.SetSettings(t.Context(), map[string]string{settings.OptionPublicURL: url}))
	}
	choose("https://old.example.com")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- k.Run(ctx) }()
	if host := <-s.led; host != "old.example.com" {
		t.Errorf("it leads %s", host)
	}
	old := db.Route{WorkloadID: 7, Host: "old.example.com"}
	if router.Upsert(t.Context(), old, deploy.Upstream{}) == nil {
		t.Error("a workload took the host of this Tinyforge")
	}
	choose("https://new.example.com")
	if host := <-s.led; host != "new.example.com" {
		t.Errorf("it leads %s", host)
	}
	cancel()
	check(<-ended)
	check(router.Upsert(t.Context(), old, deploy.Upstream{}))
	if router.Upsert(t.Context(), db.Route{WorkloadID: 7, Host: "new.example.com"}, deploy.Upstream{}) == nil {
		t.Error("a workload took the new host of this Tinyforge")
	}
}

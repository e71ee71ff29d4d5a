package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strconv"
	"time"

	"tinyforge/app"
	"tinyforge/app/settings"
	"tinyforge/db"
	"tinyforge/deploy"
)

// chosen are the options that were given of those that people could choose on a page.
func (c *config) chosen() map[string]string {
	options := map[string]string{}
	if c.Given.PublicURL {
		options[settings.OptionPublicURL] = c.PublicURL
	}
	if c.Given.KeepReleases {
		options[settings.OptionKeepReleases] = strconv.Itoa(c.KeepReleases)
	}
	if c.Given.MinFree {
		options[settings.OptionMinFree] = strconv.FormatInt(int64(max(1, c.MinFree)), 10)
	}
	return options
}

// limitsOf asks for what is chosen each time.
func limitsOf(choices *settings.Choices) func(context.Context) (deploy.Limits, error) {
	return func(ctx context.Context) (deploy.Limits, error) {
		chosen, err := choices.Read(ctx)
		return deploy.Limits{KeepReleases: chosen.KeepReleases, KeepLogs: chosen.KeepLogs, MinFree: chosen.MinFree}, err
	}
}

// chosenKeeper hands on what people choose to those who have to be told: the forges their networks, and the router the host
// that is Tinyforge's own. A host that was it before leads here until a workload takes it, at most until the end of the process.
type chosenKeeper struct {
	choices *settings.Choices
	db      *db.DB
	forges  *app.Forges
	router  gateway
	address string // where the router leads the host
	log     *slog.Logger
	retry   time.Duration // after an error

	led   string // the host that it leads
	begun bool   // it has led one, or none
}

// Run applies every change until ctx is done.
func (k *chosenKeeper) Run(ctx context.Context) error {
	changed, cancel := k.db.Subscribe(db.TopicSettings)
	defer cancel()
	for {
		var again <-chan time.Time
		if err := k.apply(ctx); err != nil && ctx.Err() == nil {
			if !isAway(err) && !errors.Is(err, db.ErrAway) { // which others say, once
				k.log.ErrorContext(ctx, "apply settings", "error", err)
			}
			again = time.After(k.retry)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-again:
		}
	}
}

func (k *chosenKeeper) apply(ctx context.Context) error {
	chosen, err := k.choices.Read(ctx)
	if err != nil {
		return err
	}
	if err := k.forges.Allow(chosen.Networks); err != nil {
		return err
	}
	public, err := url.Parse(chosen.PublicURL)
	if err != nil {
		return fmt.Errorf("parse public URL: %w", err)
	}
	host := public.Hostname()
	if host == k.led && k.begun {
		return nil
	}
	if err := k.router.Lead(host, k.address); err != nil {
		return err
	}
	if k.led, k.begun = host, true; host == "" {
		return nil
	}
	k.log.InfoContext(ctx, "this Tinyforge has an address", "url", chosen.PublicURL)
	return nil
}

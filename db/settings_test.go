package db_test

import (
	"errors"
	"strings"
	"testing"

	"tinyforge/db"
)

func TestInstanceIDStays(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ids := make(chan string, 8)
		for range cap(ids) {
			go func() {
				id, err := f.InstanceID(t.Context())
				if err != nil {
					t.Error(err)
				}
				ids <- id
			}()
		}
		first := <-ids
		for range cap(ids) - 1 {
			if id := <-ids; id != first {
				t.Errorf("got %s and %s", first, id)
			}
		}
		if again, err := f.again().InstanceID(t.Context()); err != nil || again != first || len(first) != 8 || strings.ToLower(first) != first {
			t.Errorf("got %s, %v after %s", again, err, first)
		}
	})
}

func TestCheckKey(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		for i := range 2 {
			if sealed, err := f.Sealed(t.Context()); err != nil || sealed != (i > 0) {
				t.Errorf("sealed: %v, %v", sealed, err)
			}
			if err := f.CheckKey(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		other, err := db.NewKeyring()
		f.check(err)
		if err := open(t, f.address, other).CheckKey(t.Context()); !errors.Is(err, db.ErrSealed) {
			t.Errorf("another key: %v", err)
		}
	})
}

func TestSettings(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		if value, err := f.Setting(ctx, "public_url"); value != "" || err != nil {
			t.Errorf("at first: %q, %v", value, err)
		}
		wake, cancel := f.Subscribe(db.TopicSettings)
		defer cancel()
		f.check(f.SetSettings(ctx, nil))
		f.check(f.SetSettings(ctx, map[string]string{"public_url": "https://a.example.com", "time_zone": "Europe/Moscow"}))
		<-wake
		f.check(f.SetSettings(ctx, map[string]string{"public_url": "https://b.example.com"}))
		if value, err := f.again().Setting(ctx, "public_url"); value != "https://b.example.com" || err != nil {
			t.Errorf("then: %q, %v", value, err)
		}
		all, err := f.Settings(ctx)
		f.check(err)
		if len(all) != 2 || all["time_zone"] != "Europe/Moscow" {
			t.Errorf("all: %v", all)
		}
	})
}

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
		for range 2 {
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

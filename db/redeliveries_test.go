package db_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tinyforge/db"
)

func TestRedeliveriesAreClaimedOnce(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		forge := f.forge.ID
		var claimed atomic.Int32
		var asking sync.WaitGroup
		for range 8 {
			asking.Go(func() {
				what, err := f.ClaimRedelivery(t.Context(), forge, "a")
				if err != nil {
					t.Errorf("claim: %v", err)
				}
				if what == db.RedeliverNow {
					claimed.Add(1)
				}
			})
		}
		asking.Wait()
		if n := claimed.Load(); n != 1 {
			t.Errorf("%d callers are to ask for one delivery", n)
		}
		what, err := f.ClaimRedelivery(t.Context(), forge, "b")
		f.check(err)
		same(t, what, db.RedeliverNow)
	})
}

func TestRedeliveriesEnd(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		forge := f.forge.ID
		claim := func() db.Redelivery {
			t.Helper()
			what, err := f.ClaimRedelivery(t.Context(), forge, "a")
			f.check(err)
			return what
		}
		pause := time.Minute
		for range 8 {
			same(t, claim(), db.RedeliverNow)
			same(t, claim(), db.RedeliverLater)
			var row struct{ AgainAt time.Time }
			f.check(f.Bun().NewSelect().Table("redeliveries").Column("again_at").Scan(t.Context(), &row))
			if left := time.Until(row.AgainAt); left > pause || left < pause-time.Minute/2 {
				t.Errorf("again in %v, want %v", left, pause)
			}
			f.exec("UPDATE redeliveries SET again_at = ?", time.Now().UTC().Add(-time.Second))
			pause *= 2
		}
		same(t, claim(), db.RedeliverNever)

		_, err := f.Enqueue(t.Context(), &db.Delivery{ForgeID: forge, ExternalID: "here", Event: "push"}, nil)
		f.check(err)
		what, err := f.ClaimRedelivery(t.Context(), forge, "here")
		f.check(err)
		same(t, what, db.RedeliverNever)
	})
}

func TestLooksAreRemembered(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		other := db.Forge{Name: "other", Kind: "github"}
		f.check(f.SaveForge(t.Context(), &other))
		one := f.forge.ID
		until, err := f.LookedUntil(t.Context(), one)
		f.check(err)
		if !until.IsZero() {
			t.Errorf("looked until %v before the first time", until)
		}
		for _, at := range []time.Time{time.Unix(1_800_000_000, 0).UTC(), time.Unix(1_800_000_100, 0).UTC()} {
			f.check(f.SetLookedUntil(t.Context(), one, at))
			until, err = f.LookedUntil(t.Context(), one)
			f.check(err)
			same(t, until, at)
		}
		until, err = f.LookedUntil(t.Context(), other.ID)
		f.check(err)
		if !until.IsZero() {
			t.Errorf("the other forge has it too: %v", until)
		}
	})
}

package proxy

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"tinyforge/db"
	"tinyforge/deploy"
)

func up(name string) deploy.Upstream {
	return deploy.Upstream{Name: name, Addr: "127.0.0.1:1", Port: 1}
}

func TestHostKey(t *testing.T) {
	for in, want := range map[string]string{
		"www.example.com":      "www.example.com",
		"WWW.Example.COM:8080": "www.example.com",
		"www.example.com.":     "www.example.com",
		"www.example.com.:443": "www.example.com",
		"[::1]:80":             "[::1]",
		"[::1]":                "[::1]",
		"":                     "",
	} {
		if got := hostKey(in); got != want {
			t.Errorf("hostKey(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestUpsertRefusesWhatItCannotServe(t *testing.T) {
	tb := newTable(time.Second, 1)
	for name, c := range map[string]struct {
		host string
		up   deploy.Upstream
	}{
		"no host":     {"", up("a")},
		"no address":  {"a.test", deploy.Upstream{Name: "a"}},
		"no port":     {"a.test", deploy.Upstream{Name: "a", Addr: "127.0.0.1"}},
		"empty port":  {"a.test", deploy.Upstream{Name: "a", Addr: "127.0.0.1:"}},
		"network":     {"a.test", deploy.Upstream{Name: "a", Addr: "unix//run/x:1"}},
		"placeholder": {"a.test", deploy.Upstream{Name: "a", Addr: "{env.X}:1"}},
	} {
		if err := tb.Upsert(t.Context(), db.Route{Host: c.host}, c.up); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if n := len(tb.Stats()); n != 0 {
		t.Errorf("%d routes, want none", n)
	}
}

// What serves is not drained by mistake.
func TestDrainOfWhatServesIsRefused(t *testing.T) {
	tb := newTable(time.Second, 1)
	rt := db.Route{Host: "a.test"}
	must(t, tb.Upsert(t.Context(), rt, up("a")))
	if err := tb.Drain(t.Context(), rt, up("a")); !errors.Is(err, ErrServing) {
		t.Errorf("drain: %v, want ErrServing", err)
	}
	must(t, tb.Hold(t.Context(), rt))
	must(t, tb.Drain(t.Context(), rt, up("a")))
}

// An upstream that was routed, left and routed again is a new target: ending the old one does not end the new one.
func TestComingBackIsNotEnded(t *testing.T) {
	tb := newTable(time.Second, 1)
	rt := db.Route{Host: "a.test"}
	must(t, tb.Upsert(t.Context(), rt, up("a")))
	before := tb.lookup("a.test").acquire()
	must(t, tb.Upsert(t.Context(), rt, up("b")))
	must(t, tb.Upsert(t.Context(), rt, up("a")))
	now := tb.lookup("a.test").acquire()
	must(t, tb.Upsert(t.Context(), rt, up("c")))
	if before == now {
		t.Fatal("the target was used a second time")
	}
	now.release()
	ctx, cancel := context.WithDeadline(t.Context(), time.Now())
	defer cancel()
	if err := tb.Drain(ctx, rt, up("a")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("drain: %v", err)
	}
	if before.ctx.Err() == nil {
		t.Error("the old target is not ended")
	}
	before.release()
	must(t, tb.Drain(ctx, rt, up("a")))
	if len(tb.retired) != 0 {
		t.Errorf("%d hosts with replaced targets, want none", len(tb.retired))
	}
}

func TestHoldIsBoundedInTimeAndNumber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tb := newTable(30*time.Second, 2)
		rt := db.Route{Host: "a.test"}
		must(t, tb.Upsert(t.Context(), rt, up("a")))
		must(t, tb.Hold(t.Context(), rt))
		r := tb.lookup("a.test")
		errs := make(chan error, 2)
		start := time.Now()
		for range 2 {
			go func() {
				_, err := tb.begin(t.Context(), r, guest{size: 1})
				errs <- err
			}()
		}
		synctest.Wait()
		if _, err := tb.begin(t.Context(), r, guest{size: 1}); !errors.Is(err, errCrowded) {
			t.Errorf("the third: %v, want errCrowded", err)
		}
		if s := r.stats(); s.Waiting != 2 {
			t.Errorf("%d waiting, want 2", s.Waiting)
		}
		for range 2 {
			if err := <-errs; !errors.Is(err, errImpatient) || time.Since(start) != 30*time.Second {
				t.Errorf("after %v: %v, want errImpatient after 30s", time.Since(start), err)
			}
		}
	})
}

func TestWaitingEndsWithTheClientAndWithTheRoute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tb := newTable(time.Hour, 10)
		rt := db.Route{Host: "a.test"}
		must(t, tb.Upsert(t.Context(), rt, up("a")))
		must(t, tb.Hold(t.Context(), rt))
		r := tb.lookup("a.test")
		ctx, cancel := context.WithCancel(t.Context())
		gone, deleted := make(chan error, 1), make(chan error, 1)
		go func() { _, err := tb.begin(ctx, r, guest{size: 1}); gone <- err }()
		go func() { _, err := tb.begin(t.Context(), r, guest{size: 1}); deleted <- err }()
		synctest.Wait()
		cancel()
		if err := <-gone; !errors.Is(err, context.Canceled) {
			t.Errorf("client gone: %v", err)
		}
		must(t, tb.Delete(t.Context(), rt))
		if err := <-deleted; !errors.Is(err, errDeleted) {
			t.Errorf("route gone: %v", err)
		}
	})
}

// Requests and swaps race; when all is done every target is back at zero and nothing is remembered.
func TestCountsAddUp(t *testing.T) {
	tb := newTable(time.Minute, 100)
	rt := db.Route{Host: "a.test"}
	must(t, tb.Upsert(t.Context(), rt, up("tf-0")))
	r := tb.lookup("a.test")
	done := make(chan error)
	for range 8 {
		go func() {
			for range 2000 {
				x, err := tb.begin(context.Background(), r, guest{size: 1})
				if err != nil {
					done <- err
					return
				}
				runtime.Gosched()
				if x.target.isIdle() {
					done <- errors.New("a target was drained with a request in flight")
					return
				}
				x.close()
			}
			done <- nil
		}()
	}
	for i := range 500 {
		if i%5 == 0 {
			must(t, tb.Hold(t.Context(), rt))
		}
		must(t, tb.Upsert(t.Context(), rt, up(fmt.Sprintf("tf-%d", i+1))))
		must(t, tb.Drain(t.Context(), rt, up(fmt.Sprintf("tf-%d", i))))
	}
	for range 8 {
		must(t, <-done)
	}
	must(t, tb.Drain(t.Context(), rt, up("tf-0"))) // forgets what has become idle by itself
	if n := r.target.Load().inflight.Load(); n != 0 || len(tb.retired) != 0 {
		t.Errorf("%d in flight, %d hosts with replaced targets, want none", n, len(tb.retired))
	}
}

func BenchmarkSwap(b *testing.B) {
	for _, routes := range []int{10, 1000, 100_000} {
		b.Run(fmt.Sprint(routes), func(b *testing.B) {
			tb := newTable(time.Second, 1)
			for i := range routes {
				_ = tb.Upsert(b.Context(), db.Route{Host: fmt.Sprintf("h%d.test", i)}, up("a"))
			}
			ups := []deploy.Upstream{up("b"), up("c")}
			for i := 0; b.Loop(); i++ {
				_ = tb.Upsert(b.Context(), db.Route{Host: "h7.test"}, ups[i%2])
			}
		})
	}
}

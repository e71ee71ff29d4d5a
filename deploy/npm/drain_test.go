package npm

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"tinyforge/db"
	"tinyforge/deploy"
)

// TestS15_DrainLetsAGracePass since the route left, since nobody tells what is in flight.
func TestS15_DrainLetsAGracePass(t *testing.T) {
	t.Parallel()
	rt, blue := db.Route{Host: "www.example.com"}, deploy.Upstream{Name: "tf-web-1"}
	synctest.Test(t, func(t *testing.T) {
		r := &Router{cfg: Config{Grace: 5 * time.Second}, memory: newMemory()}
		waits := func(want time.Duration, old deploy.Upstream) {
			t.Helper()
			begun := time.Now()
			if err := r.Drain(t.Context(), rt, old); err != nil || time.Since(begun) != want {
				t.Errorf("it waits %s, want %s: %v", time.Since(begun), want, err)
			}
		}
		waits(5*time.Second, blue) // this process may have begun after the route left
		waits(0, blue)
		time.Sleep(time.Hour)
		r.memory.believe(rt.Host, belief{up: deploy.Upstream{Name: "tf-web-2"}, at: time.Now()}, blue.Name)
		time.Sleep(2 * time.Second)
		waits(3*time.Second, blue)
		waits(0, blue)
		waits(0, deploy.Upstream{Name: "tf-web-9"})

		r.memory.believe(rt.Host, belief{up: blue, at: time.Now()}, "tf-web-2")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := r.Drain(ctx, rt, deploy.Upstream{Name: "tf-web-2"}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("past its bound it returns %v", err)
		}
	})
}

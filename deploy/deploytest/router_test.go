package deploytest

import (
	"errors"
	"slices"
	"testing"

	"tinyforge/db"
	"tinyforge/deploy"
)

func TestRouter(t *testing.T) {
	ExerciseRouter(t, func(*testing.T) RouterFixture {
		r := NewRouter(nil)
		return RouterFixture{Router: r, Get: r.Get, Do: r.Do}
	})
}

func TestRouterWithoutHold(t *testing.T) {
	ExerciseRouter(t, func(*testing.T) RouterFixture {
		r := NewRouter(nil)
		r.NoHold = true
		return RouterFixture{Router: r, Get: r.Get, Do: r.Do}
	})
}

func TestRouterRecords(t *testing.T) {
	r := NewRouter(nil)
	rt, up := db.Route{Host: "a.example.com"}, deploy.Upstream{Name: "tf-a-1", Addr: "127.0.0.1:1"}
	noFault(t, "hold", r.Hold(t.Context(), rt))
	noFault(t, "upsert", r.Upsert(t.Context(), rt, up))
	noFault(t, "drain", r.Drain(t.Context(), rt, deploy.Upstream{Name: "tf-a-0"}))
	if got := r.Routes()["a.example.com"]; got != "tf-a-1" {
		t.Errorf("routed to %q", got)
	}
	noFault(t, "delete", r.Delete(t.Context(), rt))
	want := []string{"hold a.example.com", "upsert a.example.com tf-a-1", "drain a.example.com tf-a-0", "delete a.example.com"}
	if got := r.Calls(); !slices.Equal(got, want) {
		t.Errorf("calls %q, want %q", got, want)
	}
	noFault(t, "upsert", r.Upsert(t.Context(), rt, up))
	r.Forget()
	if len(r.Routes()) != 0 {
		t.Error("Forget left a route")
	}
}

func TestRouterFailsAndDies(t *testing.T) {
	rt, up := db.Route{Host: "a.example.com"}, deploy.Upstream{Name: "tf-a-1", Addr: "127.0.0.1:1"}
	broken := errors.New("broken")

	r := NewRouter(FailOnce("router.upsert:before", broken))
	if err := r.Upsert(t.Context(), rt, up); !errors.Is(err, broken) || len(r.Routes()) != 0 {
		t.Errorf("before: %v, routes %v, want an error and no effect", err, r.Routes())
	}
	noFault(t, "upsert after the failure", r.Upsert(t.Context(), rt, up))

	r = NewRouter(FailAt("router.upsert:after", broken))
	if err := r.Upsert(t.Context(), rt, up); !errors.Is(err, broken) || len(r.Routes()) != 1 {
		t.Errorf("after: %v, routes %v, want an error and the effect", err, r.Routes())
	}

	var points []string
	r = NewRouter(Chain(Record(func(p string) { points = append(points, p) }), KillAt(2)))
	if err := r.Upsert(t.Context(), rt, up); !errors.Is(err, ErrKilled) || len(r.Routes()) != 1 {
		t.Errorf("killed at the 2nd point: %v, routes %v, want the effect of the first call", err, r.Routes())
	}
	if err := r.Delete(t.Context(), rt); !errors.Is(err, ErrKilled) || len(r.Routes()) != 1 {
		t.Errorf("delete after death: %v, routes %v, want no effect", err, r.Routes())
	}
	if want := []string{"router.upsert:before", "router.upsert:after", "router.delete:before"}; !slices.Equal(points, want) {
		t.Errorf("points %q, want %q", points, want)
	}
	r.SetHook(nil)
	noFault(t, "delete by the next process", r.Delete(t.Context(), rt))
}

func TestPanicAt(t *testing.T) {
	r := NewRouter(PanicAt(2))
	defer func() {
		if d, ok := recover().(Death); !ok || d.Point != "router.upsert:after" {
			t.Errorf("recovered %v, want the death after the upsert", d)
		}
	}()
	_ = r.Upsert(t.Context(), db.Route{Host: "a.example.com"}, deploy.Upstream{})
	t.Error("upsert returned")
}

package deploytest

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"tinyforge/db"
)

// routerDrainAbandoned: who is told to stop, or is killed, leaves what is in flight to the one who drains after it.
func routerDrainAbandoned(t *testing.T, f RouterFixture) {
	if f.Blind {
		return
	}
	rt, blue, _, slow := f.moved(t)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.Router.Drain(ctx, rt, blue.up); !errors.Is(err, context.Canceled) {
		t.Errorf("abandoned drain: %v, want the context's error", err)
	}
	blue.release()
	slow.wants(t, http.StatusOK, blue.up.Name)
	noFault(t, "drain again", f.Router.Drain(t.Context(), rt, blue.up))
}

// moved is a route that has moved on from blue to green while a request to blue is under way.
func (f RouterFixture) moved(t *testing.T) (rt db.Route, blue, green *site, slow visit) {
	t.Helper()
	rt = db.Route{WorkloadID: 1, Host: routeHost}
	blue, green = newSite(t, "tf-web-1"), newSite(t, "tf-web-2")
	noFault(t, "upsert", f.Router.Upsert(t.Context(), rt, blue.up))
	slow = blue.slowGet(t, f)
	noFault(t, "upsert", f.Router.Upsert(t.Context(), rt, green.up))
	return rt, blue, green, slow
}

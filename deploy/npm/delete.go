package npm

import (
	"context"
	"net/http"

	"tinyforge/db"
)

// Delete implements deploy.Router. It deletes a proxy host that it made, gives one back that it adopted as it was before,
// and leaves those of others alone.
func (r *Router) Delete(ctx context.Context, rt db.Route) error {
	at := placeOf(rt)
	if r.isReserved(at.host) {
		return nil
	}
	unlock, err := r.lock(ctx)
	if err != nil {
		return failure("The route of "+at.host+" was not removed", err)
	}
	defer unlock()
	r.memory.forget(at.host)
	row, err := r.find(ctx, at.host)
	if err != nil {
		return failure("The route of "+at.host+" was not removed", err)
	}
	if row == nil {
		return nil
	}
	m := row.mark()
	if m == nil || m.Instance != r.cfg.Instance || m.Host != at.host {
		r.log.InfoContext(ctx, "a proxy host is left as it is: it is not ours to delete", "host", at.host)
		return nil
	}
	if m.Adopted != nil {
		err = r.giveBack(ctx, row, m.Adopted.Target)
	} else {
		err = r.erase(ctx, at, row)
	}
	if err != nil {
		return failure("The route of "+at.host+" was not removed", err)
	}
	r.vanish(ctx, at)
	return nil
}

// giveBack makes an adopted proxy host what it was.
func (r *Router) giveBack(ctx context.Context, row *proxyHost, was target) error {
	body := was.fields().with(fields{"meta": row.metaWith(nil), "advanced_config": withoutSnippet(row.Advanced)})
	return tries(ctx, func() error {
		_, err := r.api.put(ctx, row.ID, body)
		return err
	})
}

// erase deletes a proxy host. An answer of 500 or none may have done so.
func (r *Router) erase(ctx context.Context, at place, row *proxyHost) error {
	return tries(ctx, func() error {
		failed := r.api.remove(ctx, row.ID)
		if failed == nil || statusOf(failed) == http.StatusNotFound {
			return nil
		}
		if !passing(failed) {
			return failed
		}
		left, err := r.find(ctx, at.host)
		if err != nil {
			return err
		}
		if left == nil {
			r.log.WarnContext(ctx, "a proxy host is deleted, but nginx was not told", "host", at.host, "error", failed)
			return nil
		}
		return failed
	})
}

// vanish waits, bounded, until nginx no longer knows the host as ours.
func (r *Router) vanish(ctx context.Context, at place) {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Settle)
	defer cancel()
	for row := 0; row < probesInRow && ctx.Err() == nil; row++ {
		if r.probes.look(ctx, at).known {
			row = -1
		}
		if pause(ctx, probePause) != nil {
			return
		}
	}
}

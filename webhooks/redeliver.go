package webhooks

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"tinyforge/app"
	"tinyforge/db"
)

const (
	redeliverMost   = 100             // deliveries that a forge is asked for at a time
	attemptsMost    = 5000            // attempts that are looked at, at a time
	attemptsOverlap = 5 * time.Minute // attempts may be listed later than they are dated
	attemptsOldest  = 72 * time.Hour  // GitHub remembers no longer
)

// redeliver asks a forge that can for what it could not deliver since the last look, and returns for how many deliveries.
// What reached us although the forge does not know it, or was asked for a short while ago, is not asked for. Repeating it is
// harmless. A forge that cannot is no error.
func (h *Handler) redeliver(ctx context.Context, row db.Forge, forge app.Forge) (asked int, err error) {
	again, ok := forge.(app.Redeliverer)
	if !ok {
		return 0, nil
	}
	before, err := h.db.LookedUntil(ctx, row.ID)
	if err != nil {
		return 0, err
	}
	since := latest(before, row.CreatedAt, time.Now().Add(-attemptsOldest)).Add(-attemptsOverlap)
	missing, until, from, err := missingSince(ctx, again, since)
	if err != nil {
		return 0, err
	}
	if now := time.Now(); until.After(now) { // its clock is not ours
		until = now
	}
	calls := 0
	if from.After(since) {
		h.log.WarnContext(ctx, "the forge tried too many deliveries since it was asked last: what it could not deliver before is not asked for",
			"forge", row.Name, "attempts", attemptsMost, "since", since, "before", from)
	}
	for _, one := range slices.Backward(missing) { // as they were sent
		var now, settled bool
		if err == nil && calls < redeliverMost {
			now, settled, err = h.ask(ctx, row, again, one, &calls)
		}
		if now {
			asked++
		}
		if !settled && one.At.Before(until) {
			until = one.At
		}
	}
	if until.After(before) {
		err = errors.Join(err, h.db.SetLookedUntil(ctx, row.ID, until))
	}
	return asked, err
}

// ask asks for one delivery, if it is its time, and counts the calls. settled tells that it need not be looked at again.
func (h *Handler) ask(ctx context.Context, row db.Forge, again app.Redeliverer, one app.Attempt, calls *int) (now, settled bool, err error) {
	what, err := h.db.ClaimRedelivery(ctx, row.ID, one.DeliveryID)
	if err != nil || what != db.RedeliverNow {
		return false, err == nil && what == db.RedeliverNever, err
	}
	*calls++
	err = again.Redeliver(ctx, one.ID)
	if status, answered := errors.AsType[*app.StatusError](err); answered && status.Code == http.StatusNotFound {
		return false, true, nil // forgotten
	}
	if err != nil {
		return false, false, fmt.Errorf("delivery %s: %w", one.DeliveryID, err)
	}
	return true, false, nil
}

// missingSince returns the last attempt of each delivery that none delivered, the newest first, and when the newest attempt
// of all was. Attempts before from were not looked at: it is since, unless there are more than attemptsMost.
func missingSince(ctx context.Context, forge app.Redeliverer, since time.Time) (missing []app.Attempt, newest, from time.Time, err error) {
	from = since
	var all []app.Attempt
	delivered := map[string]bool{}
	for one, err := range forge.Attempts(ctx) {
		if err != nil {
			return nil, newest, from, err
		}
		if one.At.Before(since) {
			break
		}
		if len(all) == attemptsMost {
			from = all[len(all)-1].At
			break
		}
		all, newest = append(all, one), latest(newest, one.At)
		delivered[one.DeliveryID] = delivered[one.DeliveryID] || one.Delivered
	}
	seen := map[string]bool{}
	for _, one := range all {
		if !seen[one.DeliveryID] && !delivered[one.DeliveryID] {
			missing = append(missing, one)
		}
		seen[one.DeliveryID] = true
	}
	return missing, newest, from, nil
}

func latest(times ...time.Time) time.Time { return slices.MaxFunc(times, time.Time.Compare) }

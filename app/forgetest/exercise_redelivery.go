package forgetest

import (
	"errors"
	"net/http"
	"slices"

	"tinyforge/app"
)

// redelivery finds what was not delivered and has it sent again, where the forge can do that.
func (e *exercise) redelivery() {
	again, ok := e.forge.(app.Redeliverer)
	if !ok {
		return
	}
	if all := e.attempts(again); len(all) != 0 {
		e.Errorf("before there was a webhook: %+v", all)
	}
	e.listen()
	first := e.first()
	_, err := e.s.Settle(e.ctx)
	e.must(err)
	e.s.Disturb(Disturbance{Drop: 1})
	lost := e.commit("Lost")
	e.must(e.work.Push(e.ctx, "main"))
	_, err = e.s.Settle(e.ctx)
	e.must(err)
	all := e.attempts(again)
	if len(all) != 2 || all[0].Delivered || !all[1].Delivered || all[0].DeliveryID == all[1].DeliveryID || all[0].At.Before(all[1].At) {
		e.Fatalf("one was delivered, one not: %+v", all)
	}
	failed := all[0]

	e.s.Disturb(Disturbance{})
	e.moved(e.caused(func() { e.must(again.Redeliver(e.ctx, failed.ID)) }), "refs/heads/main", first, lost)
	all = e.attempts(again)
	if len(all) != 3 || all[0].DeliveryID != failed.DeliveryID || !all[0].Delivered || all[0].ID == failed.ID || all[1] != failed {
		e.Errorf("after the redelivery: %+v", all)
	}
	err = again.Redeliver(e.ctx, failed.ID+1_000_000)
	if status, answered := errors.AsType[*app.StatusError](err); !answered || status.Code != http.StatusNotFound {
		e.Errorf("redelivery of what there never was: %v", err)
	}
	e.manyAttempts(again, failed.DeliveryID)
}

// manyAttempts are listed by pages, none twice.
func (e *exercise) manyAttempts(again app.Redeliverer, id string) {
	e.Helper()
	e.s.Disturb(Disturbance{Drop: 1})
	for range 250 {
		e.must(e.s.Redeliver(id))
	}
	_, err := e.s.Settle(e.ctx)
	e.must(err)
	var ids []int64
	for _, one := range e.attempts(again) {
		ids = append(ids, one.ID)
	}
	if !slices.IsSortedFunc(ids, func(a, b int64) int { return int(b - a) }) || len(slices.Compact(ids)) != 253 {
		e.Errorf("%d attempts are listed: %v", len(ids), ids)
	}
}

func (e *exercise) attempts(again app.Redeliverer) (all []app.Attempt) {
	e.Helper()
	for one, err := range again.Attempts(e.ctx) {
		e.must(err)
		all = append(all, one)
	}
	return all
}

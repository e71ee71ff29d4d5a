package deploy

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestWorkloadIsHandedOn: who waits for a workload has it in the moment in which it is given back, before anybody who does not
// wait; and ends waiting with its context.
func TestWorkloadIsHandedOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var l workloadLocks
		if !l.tryLock(1) || l.tryLock(1) || !l.tryLock(2) {
			t.Error("not each workload is had by one")
		}
		got := make(chan time.Time)
		go func() {
			if err := l.lock(t.Context(), 1); err != nil {
				t.Error(err)
			}
			got <- time.Now()
		}()
		time.Sleep(3 * time.Millisecond)
		given := time.Now() // the bubble's time: nothing passes while somebody can go on
		l.unlock(1)
		if l.tryLock(1) {
			t.Error("who did not wait has it")
			l.unlock(1)
		}
		if at := <-got; !at.Equal(given) {
			t.Errorf("it was waited for %s longer", at.Sub(given))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := l.lock(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("waiting ends with %v", err)
		}
		l.unlock(1)
		if !l.tryLock(1) {
			t.Error("it is not given back")
		}
	})
}

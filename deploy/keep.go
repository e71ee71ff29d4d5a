package deploy

import (
	"context"
	"crypto/rand"
	"sync"
	"time"

	"tinyforge/db"
)

// keep keeps the runners of all processes from a workload, before the commit point, until let is called: what runs of it may be started
// and stopped meanwhile, if that is decided under kept, which ends when it may not any more. It returns db.ErrMoved while another process
// keeps it.
func (r *Recovery) keep(ctx context.Context, id int64) (kept context.Context, let func(), err error) {
	owner, expires := rand.Text(), time.Now().Add(r.Config.Lease)
	ok, err := r.DB.KeepWorkload(ctx, id, owner, r.Config.Lease)
	if err == nil && !ok {
		err = db.ErrMoved
	}
	if err != nil {
		return nil, nil, err
	}
	kept, end := context.WithCancel(ctx)
	var keeper sync.WaitGroup
	keeper.Go(func() {
		defer end()
		for Sleep(kept, r.Config.Lease/4) == nil {
			begun := time.Now()
			renewing, done := context.WithDeadline(kept, expires)
			ok, err := r.DB.KeepWorkload(renewing, id, owner, r.Config.Lease)
			done()
			switch {
			case ok:
				expires = begun.Add(r.Config.Lease)
			case err == nil, time.Now().After(expires):
				return
			}
		}
	})
	return kept, func() {
		end()
		keeper.Wait()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		_ = r.DB.LetWorkload(ctx, id, owner) // or its lease ends
	}, nil
}

// untilLet waits until no process keeps the workload. Who keeps it from now on knows of the phase that was written down.
func (j *job) untilLet(ctx context.Context) error {
	const look = 100 * time.Millisecond
	for {
		if kept, err := j.DB.IsKept(ctx, j.workload.ID); err == nil && !kept {
			return nil
		}
		if err := Sleep(ctx, look); err != nil {
			return err
		}
	}
}

package deploy

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"time"
)

// errKept is that another process does what is to be done about a workload.
var errKept = errors.New("another process keeps the workload")

// keep keeps the runners of all processes from a workload, before the commit point, until let is called: what runs of it may be started
// and stopped meanwhile, if that is decided under kept, which ends when it may not any more. It returns errKept while another process keeps it.
func (r *Recovery) keep(ctx context.Context, id int64) (kept context.Context, let func(), err error) {
	owner, expires := rand.Text(), time.Now().Add(r.Config.Lease)
	ok, err := r.DB.KeepWorkload(ctx, id, owner, r.Config.Lease)
	if err == nil && !ok {
		err = errKept
	}
	if err != nil {
		return nil, nil, err
	}
	kept, end := context.WithCancel(ctx)
	var keeper sync.WaitGroup
	keeper.Go(func() {
		defer end()
		r.renew(kept, id, owner, expires)
	})
	return kept, func() {
		end()
		keeper.Wait()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		_ = r.DB.LetWorkload(ctx, id, owner) // or its lease ends
	}, nil
}

// renew renews what keeps a workload, which expires then, until ctx is done or that could not be done in time.
func (r *Recovery) renew(ctx context.Context, id int64, owner string, expires time.Time) {
	for Sleep(ctx, min(r.Config.Lease/4, time.Until(expires)/2)) == nil {
		begun := time.Now()
		renewing, done := context.WithDeadline(ctx, expires)
		ok, err := r.DB.KeepWorkload(renewing, id, owner, r.Config.Lease)
		done()
		switch {
		case ok:
			expires = begun.Add(r.Config.Lease)
		case err == nil, time.Now().After(expires):
			return
		}
	}
}

// untilLet waits until no process keeps the workload, and says so in the log when that lasts. Who keeps it from now on knows of the phase
// that was written down.
func (j *job) untilLet(ctx context.Context) error {
	const look, patient = 100 * time.Millisecond, 10 // looks
	for n := 0; ; n++ {
		if kept, err := j.DB.IsKept(ctx, j.workload.ID); err == nil && !kept {
			return nil
		}
		if n == patient {
			j.log.Printf("Waiting for another Tinyforge, which starts what should run of this workload")
		}
		if err := Sleep(ctx, look); err != nil {
			return err
		}
	}
}

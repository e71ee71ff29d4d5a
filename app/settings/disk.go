package settings

import (
	"context"
	"sync"
	"time"
)

// diskFor is how long what was free on the disk is taken to be free still.
const diskFor = time.Minute

// disk remembers what is free, for pages that must not wait to know it. It is safe for concurrent use.
type disk struct {
	mutex  sync.Mutex
	asked  time.Time
	free   int64
	known  bool
	asking sync.WaitGroup
}

// look returns what was free when that was last known. It asks again when that is long ago, and does not wait for it.
func (d *disk) look(ctx context.Context, health Health) (free int64, known bool) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	if now := time.Now(); health != nil && now.Sub(d.asked) >= diskFor {
		d.asked = now
		d.asking.Go(func() {
			free, err := health.Free(context.WithoutCancel(ctx))
			d.mutex.Lock()
			defer d.mutex.Unlock()
			d.free, d.known = free, err == nil
		})
	}
	return d.free, d.known
}

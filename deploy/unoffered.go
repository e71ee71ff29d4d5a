package deploy

import (
	"context"
	"time"
)

// tellUnoffered logs until ctx is done what nobody deploys or takes down, since no running process offers what that needs: once, until
// somebody does.
func (d *Deployer) tellUnoffered(ctx context.Context) {
	if len(d.Offers) == 0 {
		return
	}
	tick := time.NewTicker(d.Config.Reconcile)
	defer tick.Stop()
	for said := map[int64]bool{}; ; {
		list, err := d.DB.UnofferedWorkloads(ctx, d.Offers...)
		if err == nil {
			still := map[int64]bool{}
			for _, u := range list {
				if still[u.WorkloadID] = true; !said[u.WorkloadID] {
					d.Log.WarnContext(ctx, "a workload waits: "+u.String(), "workload", u.Workload)
				}
			}
			said = still
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

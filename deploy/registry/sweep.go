package registry

import (
	"context"
	"errors"
	"fmt"
	"path"
	"regexp"
	"time"

	"github.com/distribution/distribution/v3/registry/storage"
	"github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/distribution/distribution/v3/registry/storage/driver/filesystem"
)

// Run sweeps once in Config.Keep until ctx is done. The first time is not sooner: which pushes were under way is unknown to a
// process that has just begun.
func (g *Registry) Run(ctx context.Context) error {
	tick := time.NewTicker(g.cfg.Keep)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		removed, freed, err := g.Sweep(ctx)
		if err != nil && ctx.Err() == nil {
			g.cfg.Log.WarnContext(ctx, "sweep", "error", err)
		}
		if removed > 0 {
			g.cfg.Log.InfoContext(ctx, "swept what no image needs", "blobs", removed, "bytes", freed)
		}
	}
}

// Sweep removes the blobs that no image needs and that nobody has asked for or sent within Config.Keep, and uploads that began
// before that. Meanwhile images can be pulled and their blobs sent; what changes an image waits, which clients do not notice. It
// returns how many blobs and bytes it removed, also with an error.
func (g *Registry) Sweep(ctx context.Context) (removed int, freed int64, err error) {
	params := filesystem.DriverParameters{RootDirectory: g.cfg.Dir, MaxThreads: 100}
	d := &sparing{StorageDriver: filesystem.New(params), touched: g.touched, since: g.touched.now().Add(-g.cfg.Keep)}
	for _, folder := range []string{"blobs", "repositories"} {
		if _, err := d.Stat(ctx, "/docker/registry/v2/"+folder); errors.As(err, &driver.PathNotFoundError{}) {
			return 0, 0, nil // nobody has sent anything yet
		}
	}
	all, err := storage.NewRegistry(ctx, d, storage.EnableDelete)
	if err != nil {
		return 0, 0, fmt.Errorf("open registry: %w", err)
	}
	if _, faults := storage.PurgeUploads(ctx, d.StorageDriver, d.since, true); len(faults) > 0 { // others ended while it looked
		g.cfg.Log.DebugContext(ctx, "remove old uploads; those left go the next time", "error", errors.Join(faults...))
	}
	g.sweeping.Lock()
	err = storage.MarkAndSweep(ctx, d, all, storage.GCOpts{Quiet: true})
	g.sweeping.Unlock()
	g.touched.forget(d.since)
	return d.removed, d.freed, err
}

// sparing is a driver that does not delete what was touched since a time.
type sparing struct {
	driver.StorageDriver
	touched *touched
	since   time.Time
	removed int
	freed   int64 // bytes
}

// stored finds the digest in the name of a file, and whether it is a blob: ".../blobs/sha256/01/0123...".
var stored = regexp.MustCompile(`(/blobs)?/(sha256|sha512)/(?:[0-9a-f]{2}/)?([0-9a-f]{64,128})(?:/|$)`)

// Delete implements driver.StorageDriver.
func (d *sparing) Delete(ctx context.Context, name string) error {
	parts := stored.FindStringSubmatch(name)
	if parts == nil {
		return d.StorageDriver.Delete(ctx, name)
	}
	return d.touched.unless(parts[2]+"/"+parts[3], d.since, func() error {
		var size int64
		if info, err := d.Stat(ctx, path.Join(name, "data")); err == nil {
			size = info.Size()
		}
		err := d.StorageDriver.Delete(ctx, name)
		if err == nil && parts[1] != "" {
			d.removed, d.freed = d.removed+1, d.freed+size
		}
		return err
	})
}

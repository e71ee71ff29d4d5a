package deploytest

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"tinyforge/deploy"
)

// Disk is a deploy.Images of which only the free space is imagined. Set its fields before it is used.
type Disk struct {
	Unknown   bool  // FreeSpace cannot tell
	ByImages  int64 // what PruneImages frees
	ByCache   int64 // what PruneBuildCache frees
	Untouched error // what both return then, and free nothing

	mu    sync.Mutex
	free  int64
	calls []string
	kept  deploy.Kept
}

var _ deploy.Images = (*Disk)(nil)

var errUnknown = fmt.Errorf("look for free space: %w", errors.ErrUnsupported)

// NewDisk returns a Disk with so many free bytes.
func NewDisk(free int64) *Disk { return &Disk{free: free} }

// FreeSpace implements deploy.Images.
func (d *Disk) FreeSpace(ctx context.Context) (int64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.Unknown {
		return 0, errUnknown
	}
	return d.free, ctx.Err()
}

// PruneImages implements deploy.Images.
func (d *Disk) PruneImages(ctx context.Context, keep func(context.Context) (deploy.Kept, error)) ([]string, error) {
	kept, err := keep(ctx)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	d.kept = kept
	d.mu.Unlock()
	return nil, d.gain("images", d.ByImages)
}

// PruneBuildCache implements deploy.Images.
func (d *Disk) PruneBuildCache(context.Context) error { return d.gain("cache", d.ByCache) }

// Calls returns what was pruned so far, in order: "images", "cache".
func (d *Disk) Calls() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]string{}, d.calls...)
}

// Kept returns what had to stay at the last PruneImages.
func (d *Disk) Kept() deploy.Kept {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.kept
}

func (d *Disk) gain(what string, bytes int64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls = append(d.calls, what)
	if d.Untouched != nil {
		return d.Untouched
	}
	d.free += bytes
	return nil
}

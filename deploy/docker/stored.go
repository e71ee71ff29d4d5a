package docker

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"tinyforge/db"
	"tinyforge/deploy"
)

// storedMost bounds what is looked at in a registry: a build may be waiting for room.
const storedMost = 2 * time.Minute

// stored is one manifest in the registry that Tinyforge pushed, with all its tags.
type stored struct {
	ref      name.Digest
	workload string
	tags     []string
}

// pruneStored deletes from Config.Registry what this Tinyforge pushed there and no release of Kept names. Only repositories below
// the prefix are looked at, those with a deployment that has not ended are left for the next time, and so is a manifest to which
// somebody else gave a tag. A registry that deletes nothing is said so in the log, once.
func (e *Engine) pruneStored(ctx context.Context, keep func(context.Context) (deploy.Kept, error)) (removed []string, err error) {
	if e.cfg.Registry == nil {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, storedMost)
	defer cancel()
	c, err := e.registryClient(ctx)
	if err != nil {
		return nil, err
	}
	defer c.close()
	workloads, err := c.workloads(ctx, keep)
	if err != nil {
		return nil, e.storedError(ctx, "list repositories", err)
	}
	var errs []error
	for _, w := range workloads {
		all, err := c.stored(ctx, w)
		if err != nil {
			errs = append(errs, e.storedError(ctx, "list images of "+w, err))
			continue
		}
		kept, err := keep(ctx)
		if err != nil {
			return removed, errors.Join(append(errs, err)...)
		}
		for _, s := range all {
			if e.keepsStored(s, kept) {
				continue
			}
			if err := remote.Delete(s.ref, c.options(ctx)...); err != nil && !isStatus(err, http.StatusNotFound) {
				errs = append(errs, e.storedError(ctx, "delete "+s.ref.String(), err))
				continue
			}
			removed = append(removed, s.ref.String())
		}
	}
	return removed, errors.Join(errs...)
}

// keepsStored tells whether a manifest has to stay.
func (e *Engine) keepsStored(s stored, kept deploy.Kept) bool {
	if slices.Contains(kept.Images, e.cfg.Registry.repository(s.workload)+"@"+s.ref.DigestStr()) {
		return true
	}
	release := func(deployment string) db.ReleaseID { return db.ReleaseID("tf-" + s.workload + "-" + deployment) }
	for _, id := range kept.Begun {
		if number, found := strings.CutPrefix(string(id), string(release(""))); found {
			if _, err := strconv.ParseUint(number, 10, 64); err == nil {
				return true
			}
		}
	}
	return slices.ContainsFunc(s.tags, func(tag string) bool {
		deployment, ours := e.pushedBy(tag)
		return !ours || slices.Contains(kept.Releases, release(deployment))
	})
}

// refusals are what registries answer who do not let us list or delete.
var refusals = []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusMethodNotAllowed, http.StatusNotImplemented}

// storedError says once that a registry does not let us tidy up, which is no error of ours. What it answered is not told: it could
// reflect the account.
func (e *Engine) storedError(ctx context.Context, op string, err error) error {
	if !isStatus(err, refusals...) {
		return fmt.Errorf("%s in registry %s: %s", op, e.cfg.Registry.Host, plainly(err))
	}
	if !e.storedSaid.Swap(true) {
		e.cfg.Log.WarnContext(ctx, "the registry does not let its images be listed or deleted: remove old ones there, or give an account that may",
			"registry", e.cfg.Registry.Host, "op", op, "error", plainly(err))
	}
	return nil
}

func isStatus(err error, statuses ...int) bool {
	answer, ok := errors.AsType[*transport.Error](err)
	return ok && slices.Contains(statuses, answer.StatusCode)
}

// plainly is an error without the text of a registry.
func plainly(err error) string {
	if answer, ok := errors.AsType[*transport.Error](err); ok {
		return fmt.Sprintf("it answered with HTTP status %d", answer.StatusCode)
	}
	return cleanLine(err.Error())
}

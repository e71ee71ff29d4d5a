package docker

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/build"
	"github.com/docker/docker/api/types/image"

	"tinyforge/db"
	"tinyforge/deploy"
)

// FreeSpace implements deploy.Images. It can tell where the engine runs on this machine and we see its folder.
func (e *Engine) FreeSpace(ctx context.Context) (int64, error) {
	if !strings.HasPrefix(e.docker.DaemonHost(), "unix://") {
		return 0, fmt.Errorf("look for free space: docker is on another machine: %w", errors.ErrUnsupported)
	}
	root, err := e.rootFolder(ctx)
	if err != nil {
		return 0, e.explain("look for free space", err)
	}
	free, err := deploy.FreeSpace(root)
	if err != nil {
		return 0, fmt.Errorf("look for free space in %s: %w: %w", root, errors.ErrUnsupported, err)
	}
	return free, nil
}

// PruneImages implements deploy.Images. An image that is of no workload, on which others are built, stays as long as it is
// the newest of its name. Shared networks that no container names go too, and what of Config.Registry nobody can go back to.
func (e *Engine) PruneImages(ctx context.Context, keep func(context.Context) (deploy.Kept, error)) (removed []string, err error) {
	all, err := e.docker.ImageList(ctx, image.ListOptions{})
	if err != nil {
		return nil, e.explain("remove images", err)
	}
	kept, used, err := e.needed(ctx, keep)
	if err != nil {
		return nil, e.explain("remove images", err)
	}
	bases, err := e.newestBases(ctx, all)
	if err != nil {
		return nil, e.explain("remove images", err)
	}
	var errs []error
	for _, i := range all {
		if used[i.ID] || bases[i.ID] || builtFor(i, kept.Releases) {
			continue
		}
		gone, err := e.pruneImage(ctx, i, kept.Since)
		if errs = append(errs, err); gone {
			removed = append(removed, nameOf(i))
		}
	}
	errs = append(errs, e.pruneNetworks(ctx))
	gone, err := e.pruneStored(ctx, keep)
	removed, errs = append(removed, gone...), append(errs, err)
	return removed, e.explain("remove images", errors.Join(errs...))
}

// nameOf is what people know an image by.
func nameOf(i image.Summary) string {
	return append(slices.DeleteFunc(tagsOf(i), isMark), i.ID)[0]
}

// tagsOf are the tags of an image, sorted. Engines before 25 list one without any as "<none>:<none>".
func tagsOf(i image.Summary) []string {
	return slices.DeleteFunc(slices.Sorted(slices.Values(i.RepoTags)), func(tag string) bool { return tag == "<none>:<none>" })
}

// pruneImage removes an image, which no container uses and no row names, if it is ours alone. One that got another tag since
// it was listed is left: a build may have made it again.
func (e *Engine) pruneImage(ctx context.Context, i image.Summary, since time.Time) (gone bool, err error) {
	if _, marked := e.marksOf(i.RepoTags); marked {
		return e.removePulled(ctx, i.ID, since)
	}
	if i.Labels[labelBuiltBy] != e.cfg.Instance {
		return false, nil
	}
	tags := tagsOf(i)
	if slices.ContainsFunc(tags, func(tag string) bool { return !strings.HasPrefix(tag, deploy.BuiltPrefix) && !e.isPushed(tag) }) {
		return false, nil
	}
	found, err := e.docker.ImageInspect(ctx, i.ID)
	if err != nil || !slices.Equal(slices.Sorted(slices.Values(found.RepoTags)), tags) {
		return false, ignoreGone(err)
	}
	if len(tags) == 0 {
		tags = []string{i.ID}
	}
	return e.removeNames(ctx, i.ID, tags)
}

// needed returns what must stay, also by the ids of the images.
func (e *Engine) needed(ctx context.Context, keep func(context.Context) (deploy.Kept, error)) (deploy.Kept, map[string]bool, error) {
	kept, err := keep(ctx)
	if err != nil {
		return kept, nil, err
	}
	all, err := e.find(ctx)
	if err != nil {
		return kept, nil, err
	}
	used := map[string]bool{}
	for _, c := range all {
		used[c.ImageID] = true
	}
	for _, ref := range kept.Images {
		found, err := e.docker.ImageInspect(ctx, ref)
		if err != nil && !errdefs.IsNotFound(err) {
			return kept, nil, err
		}
		used[found.ID] = true
	}
	return kept, used, nil
}

// builtTag matches the tags of built images: "tinyforge/web:17-0123...", of a stack's services "tinyforge/web:17-0123...-db", and of old "tinyforge/web:17".
var builtTag = regexp.MustCompile(`^tinyforge/([a-z0-9-]+):([0-9]+)(?:[^0-9]|$)`)

// builtFor tells whether an image was built for one of the releases. The images of stacks have no label that says so, since
// a service that did not change is to get the same image again; their tags do.
func builtFor(i image.Summary, releases []db.ReleaseID) bool {
	ids := []db.ReleaseID{db.ReleaseID(i.Labels[labelRelease])}
	for _, tag := range i.RepoTags {
		if parts := builtTag.FindStringSubmatch(tag); parts != nil {
			ids = append(ids, db.ReleaseID("tf-"+parts[1]+"-"+parts[2]))
		}
	}
	return slices.ContainsFunc(ids, func(id db.ReleaseID) bool { return id != "" && slices.Contains(releases, id) })
}

// newestBases are the ids of those images of ours that are of no workload and the newest of a name. When an image was
// named tells its age: one that a build made out of its cache says that it was created when the cache was.
func (e *Engine) newestBases(ctx context.Context, images []image.Summary) (map[string]bool, error) {
	type base struct {
		id string
		at time.Time
	}
	newest := map[string]base{}
	for _, i := range images {
		if i.Labels[labelBuiltBy] != e.cfg.Instance || i.Labels[labelRelease] != "" || i.Labels[labelWorkload] != "" {
			continue
		}
		found, err := e.docker.ImageInspect(ctx, i.ID)
		if err != nil && !errdefs.IsNotFound(err) {
			return nil, err
		}
		for _, tag := range found.RepoTags {
			name, at := repository(tag), found.Metadata.LastTagTime
			if known, ok := newest[name]; !ok || at.After(known.at) {
				newest[name] = base{found.ID, at}
			}
		}
	}
	ids := map[string]bool{}
	for _, b := range newest {
		ids[b.id] = true
	}
	return ids, nil
}

// removeNames takes names from an image in their order, and with the last one the image. Nothing is forced: it stays when
// it got another name in the meantime, with the last one when a container uses it, and where others are built on it. What
// is begun is brought to its end.
func (e *Engine) removeNames(ctx context.Context, id string, names []string) (gone bool, err error) {
	ctx = context.WithoutCancel(ctx)
	for _, name := range names {
		done, err := e.docker.ImageRemove(ctx, name, image.RemoveOptions{PruneChildren: true})
		switch {
		case errdefs.IsConflict(err):
			return false, nil
		case errdefs.IsNotFound(err): // it went with the one before
		case err != nil:
			return false, err
		}
		gone = gone || slices.ContainsFunc(done, func(r image.DeleteResponse) bool { return r.Deleted == id })
	}
	return gone, nil
}

// PruneBuildCache implements deploy.Images. The cache is shared by all who build on this engine.
func (e *Engine) PruneBuildCache(ctx context.Context) error {
	_, err := e.docker.BuildCachePrune(ctx, build.CachePruneOptions{All: true})
	return e.explain("prune the build cache", err)
}

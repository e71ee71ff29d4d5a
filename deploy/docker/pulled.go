package docker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/docker/docker/api/types/image"
)

// pulledBy is the repository of the tags by which a Tinyforge knows the images that it brought to an engine, since those
// carry no label of ours: "<instance>.<image>.<repository>.<name>.<when it was last asked for>". An image that was there
// before has none, and is never removed.
const pulledBy = "tinyforge/pulled-by"

// marks are those of one Tinyforge on one image.
type marks struct {
	tags         []string
	repositories map[string]bool // short hashes of what it was pulled as
	names        map[string]bool
	last         time.Time
}

// marksOf reads those of this Tinyforge among the tags of an image.
func (e *Engine) marksOf(tags []string) (p marks, marked bool) {
	p.repositories, p.names = map[string]bool{}, map[string]bool{}
	for _, tag := range tags {
		rest, found := strings.CutPrefix(tag, pulledBy+":"+e.cfg.Instance+".")
		parts := strings.Split(rest, ".")
		if !found || len(parts) != 4 {
			continue
		}
		micros, err := strconv.ParseInt(parts[3], 10, 64)
		if err != nil {
			continue
		}
		p.tags = append(p.tags, tag)
		p.repositories[parts[1]], p.names[parts[2]] = true, true
		if at := time.UnixMicro(micros); at.After(p.last) {
			p.last = at
		}
	}
	return p, len(p.tags) > 0
}

func (e *Engine) markOf(id string, named reference.Named, at time.Time) string {
	return fmt.Sprintf("%s:%s.%.12s.%s.%s.%d", pulledBy, e.cfg.Instance, strings.TrimPrefix(id, "sha256:"),
		shortHash(named.Name()), shortHash(named.String()), at.UnixMicro())
}

func shortHash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:4])
}

// isMark tells whether a tag is a mark, of whatever Tinyforge.
func isMark(tag string) bool { return strings.HasPrefix(tag, pulledBy+":") }

// strangers are the ids of the images that no Tinyforge brought to the engine.
func (e *Engine) strangers(ctx context.Context) (map[string]bool, error) {
	all, err := e.docker.ImageList(ctx, image.ListOptions{})
	if err != nil {
		return nil, err
	}
	ids := map[string]bool{}
	for _, i := range all {
		ids[i.ID] = !slices.ContainsFunc(i.RepoTags, isMark)
	}
	return ids, nil
}

// mark notes that an image, which was just pulled or found, is asked for now, unless it is one of strangers. It reports
// whether the image is there: somebody may have removed it in between.
func (e *Engine) mark(ctx context.Context, named reference.Named, strangers map[string]bool) (there bool, err error) {
	e.pulledMu.Lock()
	defer e.pulledMu.Unlock()
	found, err := e.docker.ImageInspect(ctx, named.String())
	if errdefs.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	old, marked := e.marksOf(found.RepoTags)
	if !marked && strangers[found.ID] {
		return true, nil
	}
	mark := e.markOf(found.ID, named, time.Now())
	if err := e.docker.ImageTag(ctx, found.ID, mark); err != nil {
		return !errdefs.IsNotFound(err), ignoreGone(err)
	}
	same := mark[:strings.LastIndexByte(mark, '.')+1]
	for _, tag := range old.tags {
		if tag != mark && strings.HasPrefix(tag, same) {
			if err := e.untag(ctx, tag); err != nil {
				return true, err
			}
		}
	}
	return true, nil
}

func (e *Engine) untag(ctx context.Context, tag string) error {
	_, err := e.docker.ImageRemove(ctx, tag, image.RemoveOptions{})
	return ignoreGone(err)
}

func ignoreGone(err error) error {
	if errdefs.IsNotFound(err) {
		return nil
	}
	return err
}

// removePulled removes an image that we brought to the engine before a time, if nobody else has a name for it and no
// container uses it. Where another Tinyforge asked for it too, it is left to that one.
func (e *Engine) removePulled(ctx context.Context, id string, before time.Time) (gone bool, err error) {
	e.pulledMu.Lock()
	defer e.pulledMu.Unlock()
	found, err := e.docker.ImageInspect(ctx, id)
	if err != nil {
		return false, ignoreGone(err)
	}
	p, marked := e.marksOf(found.RepoTags)
	if !marked || !p.last.Before(before) || p.foreign(e.notPushed(found.RepoTags), e.notPushed(found.RepoDigests)) {
		return false, nil
	}
	if others := func(tag string) bool { return isMark(tag) && !slices.Contains(p.tags, tag) }; slices.ContainsFunc(found.RepoTags, others) {
		for _, tag := range p.tags {
			if err := e.untag(ctx, tag); err != nil {
				return false, err
			}
		}
		return false, nil
	}
	return e.removeNames(ctx, id, p.inOrder(found.RepoTags, found.RepoDigests))
}

// inOrder are the names of an image, ours first: whoever began to use it while it is removed keeps it under the name that
// it was pulled as, and it is theirs.
func (p marks) inOrder(tags, digests []string) []string {
	names := slices.Clone(p.tags)
	for _, tag := range tags {
		if named, err := reference.ParseNormalizedNamed(tag); err == nil && ownVersion(named) && !isMark(tag) {
			names = append(names, tag)
		}
	}
	for _, name := range slices.Concat(tags, digests) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// foreign tells whether an image has a name that is neither a mark nor what it was pulled as.
func (p marks) foreign(tags, digests []string) bool {
	for _, tag := range tags {
		named, err := reference.ParseNormalizedNamed(tag)
		switch {
		case isMark(tag):
		case err != nil:
			return true
		case p.names[shortHash(named.String())], p.repositories[shortHash(named.Name())] && ownVersion(named):
		default:
			return true
		}
	}
	return slices.ContainsFunc(digests, func(digest string) bool {
		return repository(digest) != repository(pulledBy) && !p.repositories[shortHash(repository(digest))]
	})
}

// ownVersion tells whether a name is one of those that Tinyforge itself gives to an image of a platform.
func ownVersion(named reference.Named) bool {
	tagged, ok := named.(reference.Tagged)
	return ok && strings.HasPrefix(tagged.Tag(), "tinyforge-")
}

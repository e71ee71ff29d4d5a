package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/docker/docker/api/types"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/registry"
	"github.com/docker/docker/pkg/jsonmessage"
	"github.com/opencontainers/go-digest"

	"tinyforge/db"
	"tinyforge/deploy"
	"tinyforge/deploy/shorten"
)

// Push sends the image of a release, which this engine has, to Config.Registry, and returns the release with Image pinned there:
// "host/prefix/workload@sha256:...". One that is pinned there already is returned as it is, another workload's is refused; repeating it
// sends only what is missing. The log gets a line for each layer, and none of what the image is pinned to.
//
// A registry that does not answer, refuses the account or is full, and an image that is gone, are each a *deploy.Failure. What the
// registry said is in no error: it could reflect the account.
func (e *Engine) Push(ctx context.Context, r db.Release, log io.Writer) (db.Release, error) {
	to := e.cfg.Registry
	if to == nil {
		return r, &deploy.Failure{Text: "Images for the Swarm go through a registry, and none is set: start tinyforge serve with --registry"}
	}
	if r.Stack != nil || r.Image == "" {
		return r, fmt.Errorf("push release %s: it has not one image", r.ID)
	}
	if named, found := to.find(r.Image); found {
		if named.Name() != to.repository(r.Workload) {
			return r, &deploy.Failure{Text: shorten.To(fmt.Sprintf("Image %s %s", shorten.To(reference.FamiliarString(named), 60), e.refused(named)), textLimit)}
		}
		if _, pinned := named.(reference.Canonical); pinned {
			return r, nil
		}
	}
	out := &lines{w: log, blot: blotter(map[string]string{"TINYFORGE_REGISTRY_PASSWORD": to.Password})}
	sum, err := e.push(ctx, r.Image, to.repository(r.Workload)+":"+e.pushedTag(r), out)
	if err != nil {
		return r, e.explain("push image "+shown(r.Image), err)
	}
	out.emit("Pushed to " + to.repository(r.Workload))
	r.Image = to.repository(r.Workload) + "@" + sum.String()
	return r, nil
}

// push names an image as what it is to be in the registry, for as long as that takes.
func (e *Engine) push(ctx context.Context, ref, target string, out *lines) (digest.Digest, error) {
	encoded, err := e.cfg.Registry.auth()
	if err != nil {
		return "", err
	}
	if err := e.checkAccount(ctx); err != nil {
		return "", err
	}
	if err := e.docker.ImageTag(ctx, ref, target); errdefs.IsNotFound(err) {
		return "", &deploy.Failure{Text: shorten.To(fmt.Sprintf("Image %s is not on this Docker any more: redeploy, and it is made again", shown(ref)), textLimit), Err: err}
	} else if err != nil {
		return "", err
	}
	defer e.dropPushed(context.WithoutCancel(ctx), target)
	answer, err := e.docker.ImagePush(ctx, target, image.PushOptions{RegistryAuth: encoded})
	if err != nil {
		return "", e.pushFailure(err)
	}
	defer answer.Close()
	sum, err := readPush(ctx, answer, out)
	if err != nil {
		return "", e.pushFailure(err)
	}
	return sum, nil
}

// checkAccount finds an account that the registry does not know: a push tries for 50 s before it says so. What else is wrong the push
// finds.
func (e *Engine) checkAccount(ctx context.Context) error {
	to := e.cfg.Registry
	if to.User == "" || to.Host == "docker.io" { // which has another address for this
		return nil
	}
	_, err := e.docker.RegistryLogin(ctx, registry.AuthConfig{Username: to.User, Password: to.Password, ServerAddress: to.Host})
	if err != nil && (errdefs.IsUnauthorized(err) || isUnauthorized(err.Error())) {
		return e.pushFailure(errors.New("unauthorized"))
	}
	return nil
}

// CheckRegistry asks Config.Registry, through the engine, whether it answers and knows the account. It is nil where none is set, and of
// what the engine cannot ask without a push. A registry that does not is a *deploy.Failure.
func (e *Engine) CheckRegistry(ctx context.Context) error {
	to := e.cfg.Registry
	if to == nil || to.Host == "docker.io" {
		return nil
	}
	_, err := e.docker.RegistryLogin(ctx, registry.AuthConfig{Username: to.User, Password: to.Password, ServerAddress: to.Host})
	switch {
	case err == nil, isUnreachable(err): // that Docker is away is said elsewhere
		return nil
	case errdefs.IsUnauthorized(err), isUnauthorized(err.Error()):
		return e.pushFailure(errors.New("unauthorized"))
	case registryText(err.Error()) == "":
		return fmt.Errorf("ask registry: %w", errAsked)
	}
	return e.pushFailure(err)
}

var errAsked = errors.New("it does not answer as a registry does: check --registry")

// dropPushed takes the name again, if the image has another one: without any it would be gone. Where that fails PruneImages
// knows the name.
func (e *Engine) dropPushed(ctx context.Context, target string) {
	found, err := e.docker.ImageInspect(ctx, target)
	if err == nil && len(e.notPushed(slices.Concat(found.RepoTags, found.RepoDigests))) > 0 {
		err = e.untag(ctx, target)
	}
	if err = ignoreGone(err); err != nil {
		e.cfg.Log.WarnContext(ctx, "remove the name of a pushed image; it goes with the image", "name", shown(target), "error", shown(err.Error()))
	}
}

// readPush reads what the engine says of a push, and returns what it is pinned to.
func readPush(ctx context.Context, r io.Reader, out *lines) (sum digest.Digest, err error) {
	progress := newPushProgress(out)
	err = readMessages(ctx, r, func(m jsonmessage.JSONMessage) {
		var pushed types.PushResult
		if m.Aux != nil && json.Unmarshal(*m.Aux, &pushed) == nil && pushed.Digest != "" {
			sum = digest.Digest(pushed.Digest)
		}
		progress.show(m)
	})
	switch {
	case err != nil:
		return "", err
	case sum == "":
		return "", errors.New("read the engine's answer: it does not say what was pushed")
	}
	return sum, sum.Validate()
}

// pushFailure says in one short sentence why a push failed and what to do.
func (e *Engine) pushFailure(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || isUnreachable(err) {
		return err
	}
	host, text := e.cfg.Registry.Host, err.Error()
	why := registryText(text)
	switch {
	case deploy.IsFull(text), mentions(text, "registry is full", "insufficient storage", "status: 507", "quota"):
		why = "its disk, or our share of it, is full: make room there, then redeploy"
	case isUnauthorized(text), mentions(text, "denied", "forbidden", "status: 403"):
		why = "it refuses the account: check TINYFORGE_REGISTRY_USER, its password, and that it may push there"
	case why == "":
		why = "the image could not be pushed; Docker's own log, and the registry's, say why"
	}
	return &deploy.Failure{Text: shorten.To("Registry "+host+": "+why, textLimit)}
}

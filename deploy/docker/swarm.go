package docker

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/docker/docker/api/types/swarm"

	"tinyforge/db"
	"tinyforge/deploy"
)

// SwarmConfig says how releases run on a Swarm.
type SwarmConfig struct {
	Look     time.Duration // how often Watch looks at the tasks, which have no events; 0 means 1 s
	Patience time.Duration // for which all replicas may take to run; 0 means 5 min
	Homeless time.Duration // for which a replica may find no node that has room for it; 0 means 20 s
}

// Swarm is a deploy.Runtime on a Docker Swarm of which the engine is a manager: a release is one service, whose name is the
// release's ID. Each replica publishes its port on its node, on one that Docker chooses, and that is where the release answers: no
// routing mesh, no virtual address. It is safe for concurrent use, and so are several processes on several managers.
//
// A stopped release is a service that no node may run, so that the logs and the exit codes of its tasks stay.
type Swarm struct {
	engine *Engine
	cfg    SwarmConfig
}

// NewSwarm returns the Swarm of the engine. It makes no network call.
func NewSwarm(engine *Engine, cfg SwarmConfig) *Swarm {
	cfg.Look = cmp.Or(cfg.Look, time.Second)
	cfg.Patience = cmp.Or(cfg.Patience, 5*time.Minute)
	cfg.Homeless = cmp.Or(cfg.Homeless, 20*time.Second)
	return &Swarm{engine: engine, cfg: cfg}
}

// Start implements deploy.Runtime: it returns when all replicas run, or when one has ended by itself. A service of this release that was
// made from another config is changed in place, one replica after the other; a *deploy.Failure says so when Swarm takes that back.
// One of the same name that is not ours is left alone and is a *deploy.Failure.
func (s *Swarm) Start(ctx context.Context, r db.Release) (deploy.Instance, error) {
	in, err := s.start(ctx, r)
	return in, s.explain("start release "+string(r.ID), err)
}

func (s *Swarm) start(ctx context.Context, r db.Release) (deploy.Instance, error) {
	if err := checkRelease(r); err != nil {
		return deploy.Instance{}, err
	}
	w, err := retried(ctx, func() (settling, error) { return s.converge(ctx, r) })
	if err != nil {
		return deploy.Instance{}, err
	}
	return s.settle(ctx, r.ID, w)
}

// converge makes the service what the release needs, or returns errAgain when it has to look again.
func (s *Swarm) converge(ctx context.Context, r db.Release) (w settling, err error) {
	networks, err := s.ensureNetworks(ctx, r)
	if err != nil {
		return w, err
	}
	secrets, err := s.ensureSecrets(ctx, r)
	if err != nil {
		return w, err
	}
	w.spec = s.spec(r, networks, secrets)
	service, err := s.named(ctx, r.ID)
	switch {
	case err != nil:
		return w, err
	case service == nil:
		return w, s.create(ctx, w.spec)
	case !s.owns(r.ID, service.Spec):
		return w, &deploy.Failure{Text: fmt.Sprintf("A service named %s exists in the Swarm and is not ours: remove it or rename it, then deploy again", r.ID)}
	}
	v, err := s.view(ctx, *service)
	if err != nil {
		return w, err
	}
	w.rolls, err = s.change(ctx, v, w.spec)
	return w, err
}

// change makes a service that is there what spec says, and tells whether its running tasks are replaced one after the other for that.
func (s *Swarm) change(ctx context.Context, v *view, spec swarm.ServiceSpec) (rolls bool, err error) {
	was := v.service.Spec
	spec.TaskTemplate.ForceUpdate = was.TaskTemplate.ForceUpdate // another number replaces all tasks
	same := was.Labels[labelConfig] == spec.Labels[labelConfig] && replicasOf(was) == replicasOf(spec)
	rolls = templateOf(was) != templateOf(spec)
	switch {
	case isStopped(was.TaskTemplate):
		rolls, spec.UpdateConfig = false, atOnce()
	case same && !v.unreached(): // and it may have been changed by a process that has ended since
		return v.rolls(), nil
	case same:
		rolls = true
		spec.TaskTemplate.ForceUpdate++
	case !rolls && v.unreached():
		return false, failedSwarm("Swarm does not know any more on which ports the release answers: deploy it again, as often as it is to run")
	}
	spec.Labels[labelEnded] = v.endedBefore()
	return rolls, s.update(ctx, v.service, spec)
}

func (s *Swarm) create(ctx context.Context, spec swarm.ServiceSpec) error {
	auth, err := s.auth(spec.TaskTemplate.ContainerSpec.Image)
	if err != nil {
		return err
	}
	_, err = s.engine.docker.ServiceCreate(ctx, spec, swarm.ServiceCreateOptions{EncodedRegistryAuth: auth})
	return refusedService(err)
}

// update changes a service as it was read; errAgain says that somebody else has changed it since.
func (s *Swarm) update(ctx context.Context, was swarm.Service, spec swarm.ServiceSpec) error {
	auth, err := s.auth(spec.TaskTemplate.ContainerSpec.Image)
	if err != nil {
		return err
	}
	_, err = s.engine.docker.ServiceUpdate(ctx, was.ID, was.Version, spec, swarm.ServiceUpdateOptions{EncodedRegistryAuth: auth})
	return refusedService(err)
}

// refusedService tells what Docker says of a service from what has to be tried again.
func refusedService(err error) error {
	switch {
	case err == nil:
		return nil
	case isChanged(err):
		return errAgain
	}
	text := daemonText(err)
	if _, why, refused := strings.Cut(text, "rpc error: code = "); refused {
		code, why, _ := strings.Cut(why, " desc = ")
		if code == "InvalidArgument" || code == "Unknown" { // the Swarm's manager; all else is that there is none
			return failedSwarm("Swarm refuses the service: " + why)
		}
	}
	if errdefs.IsInvalidArgument(err) {
		return failedSwarm("Swarm refuses the service: " + text)
	}
	return err
}

// isChanged tells whether somebody else has changed, made or removed the same thing since it was read.
func isChanged(err error) bool {
	return err != nil && (strings.Contains(err.Error(), "out of sequence") || errdefs.IsNotFound(err) || errdefs.IsConflict(err))
}

// named returns the service of a release, whoever's it is; nil when there is none.
func (s *Swarm) named(ctx context.Context, id db.ReleaseID) (*swarm.Service, error) {
	service, _, err := s.engine.docker.ServiceInspectWithRaw(ctx, string(id), swarm.ServiceInspectOptions{})
	switch {
	case errdefs.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, err
	case service.Spec.Name != string(id): // found by an id that begins so
		return nil, nil
	}
	return &service, nil
}

// ours is named, without one that is not ours.
func (s *Swarm) ours(ctx context.Context, id db.ReleaseID) (*swarm.Service, error) {
	service, err := s.named(ctx, id)
	if service != nil && !s.owns(id, service.Spec) {
		service = nil
	}
	return service, err
}

func (s *Swarm) owns(id db.ReleaseID, spec swarm.ServiceSpec) bool {
	return spec.Name == string(id) && spec.Labels[labelRelease] == string(id) && spec.Labels[labelInstance] == s.engine.cfg.Instance
}

const noLeader = "The Swarm has no leader: more than half of its managers have to be up before anything can be changed"

// explain is the engine's, and knows what a Swarm can lack.
func (s *Swarm) explain(op string, err error) error {
	text := ""
	switch {
	case err == nil:
		return nil
	case mentions(err.Error(), "needs to be unlocked"):
		text = "The Swarm is locked on this node: run docker swarm unlock there, then deploy again"
	case mentions(err.Error(), "is being prepared or has trouble connecting"):
		text = noLeader
	case mentions(err.Error(), "not a swarm manager", "swarm is not active"):
		text = "This Docker is no manager of a Swarm: make it one with docker swarm init or docker node promote, or set runtime to docker"
	case mentions(err.Error(), "does not have a leader", "lost quorum", "rpc error: code = DeadlineExceeded", "rpc error: code = Unavailable"):
		text = noLeader
	default:
		return s.engine.explain(op, err)
	}
	return &deploy.Failure{Text: text, Err: fmt.Errorf("%s: %w", op, err)}
}

// Scales implements deploy.Scaler.
func (*Swarm) Scales(db.Release) bool { return true }

// Ready implements deploy.Runtime: the registry has the image.
func (s *Swarm) Ready(ctx context.Context, r db.Release) error {
	auth, err := s.auth(r.Image)
	if err != nil {
		return err
	}
	_, err = s.engine.docker.DistributionInspect(ctx, r.Image, auth)
	switch {
	case err == nil:
		return nil
	case errdefs.IsNotFound(err), isUnknown(err.Error()):
		return &deploy.Failure{Text: fmt.Sprintf("The registry has the image of release %s no more: redeploy its commit", r.ID), Err: err}
	case isOutside(err):
		return s.explain("ask the registry for the image of release "+string(r.ID), err)
	}
	named, parseErr := reference.ParseNormalizedNamed(r.Image)
	if parseErr != nil {
		return fmt.Errorf("ask the registry for an image: %w", parseErr)
	}
	return pullFailure(reference.TrimNamed(named), "", err)
}

// Publish implements deploy.Publisher: it pushes the image to Config.Registry of the engine, from where the nodes pull it.
func (s *Swarm) Publish(ctx context.Context, r db.Release, log io.Writer) (db.Release, error) {
	return s.engine.Push(ctx, r, log)
}

// auth is the account with which nodes pull an image; "" is none. That of our registry goes to no other one: it may have been another
// when the image was pushed.
func (s *Swarm) auth(image string) (string, error) {
	ours := s.engine.cfg.Registry
	if ours == nil {
		return "", nil
	}
	if _, found := ours.find(image); !found {
		return "", nil
	}
	return ours.nodesAuth()
}

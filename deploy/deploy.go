// Package deploy makes a queued deployment what its workload runs, without a failed request, and undoes it when it
// cannot. It knows nothing of forges: it moves the phase of rows, and whoever reports reads them.
package deploy

import (
	"context"
	"encoding/json"
	"io"
	"strings"

	"tinyforge/db"
)

// Source turns a commit into a release. There is one for each source kind.
type Source interface {
	// Validate checks a config completely, Strategy included, and returns every fault at once, each with its path.
	Validate(config json.RawMessage) error

	// Strategy returns the effective strategy of a valid config and, where that is not the one that the config asks for,
	// why, in words for the user; "" where it is.
	Strategy(config json.RawMessage) (s db.Strategy, why string, err error)

	// Build makes the images of a release. All of db.Release but ID, WorkloadID, Workload, DeploymentID and Commit is
	// filled in by it. Repeating it reuses what is there. What it writes to log is shown to the user line by line.
	Build(ctx context.Context, in BuildInput, log io.Writer) (db.Release, error)
}

// BuildInput is what a Source may look at.
type BuildInput struct {
	ID       db.ReleaseID // of the release to be
	Tag      string       // names its image, or begins the names of its images; see builtTag
	Workload db.Workload
	Ref      string
	Commit   string

	// Checkout makes a checkout of the commit and returns its folder, which is removed after Build. A source that needs
	// no files does not call it.
	Checkout func(ctx context.Context) (string, error)

	// RegistryAuth returns the account that the workload's forge gives us for a registry by its host, nil where that
	// registry is not the forge's own. It may be nil itself. An error that is meant for the user is a *Failure.
	RegistryAuth func(ctx context.Context, host string) (*RegistryAuth, error)
}

// Fetcher brings a commit into a folder, and says what the commit says of itself.
type Fetcher interface {
	Fetch(ctx context.Context, repo db.Repository, commit, dir string) (db.CommitText, error)
}

// Accounts gives accounts for the container registries that forges have of their own.
type Accounts interface {
	// RegistryAuth returns the account for the registry at host, nil where that is not the one of repo's forge. An error
	// that is meant for the user is a *Failure.
	RegistryAuth(ctx context.Context, repo db.Repository, host string) (*RegistryAuth, error)
}

// Runtime runs releases. A release is one or more containers under one name; callers never see containers.
// Implementations are safe for concurrent use; every method may be repeated.
type Runtime interface {
	// Start makes the release run, whatever of it exists already: absent, created, stopped or running.
	Start(ctx context.Context, r db.Release) (Instance, error)
	// Ready tells whether all that Start needs is there, images above all; a *Failure names what is not.
	Ready(ctx context.Context, r db.Release) error
	// Stop ends the release's processes and keeps it for a later Start. An absent release is not an error.
	Stop(ctx context.Context, id db.ReleaseID) error
	// Remove ends and removes it. An absent release is not an error. Volumes are kept.
	Remove(ctx context.Context, id db.ReleaseID) error
	// RemoveVolumes removes the volumes that Start made for a workload's releases, by the workload's name. None of its
	// releases may exist. No volumes are not an error.
	RemoveVolumes(ctx context.Context, workload string) error
	// Inspect tells the state; an absent release has State Missing.
	Inspect(ctx context.Context, id db.ReleaseID) (Instance, error)
	// Tail returns the release's last log lines, oldest first; of an absent release none.
	Tail(ctx context.Context, id db.ReleaseID) ([]string, error)
	// List tells of every release that carries our provenance label, whatever its state. What Inspect says of an end (ExitCode,
	// Restarts, OOMKilled and their Service) is left out: it would take a look at each.
	List(ctx context.Context) ([]Instance, error)
	// Watch calls changed for every release of ours that started or ended, by itself or because it was asked to, and once
	// with "" whenever events may have been missed (at first, and after the connection was lost). When it tells of an end,
	// Inspect shows it; the release's address may belong to another one since. It returns when ctx is done.
	Watch(ctx context.Context, changed func(db.ReleaseID)) error
}

// State is what a release does.
type State string

const (
	Missing State = "missing"
	Created State = "created" // never started
	Running State = "running"
	Exited  State = "exited" // stopped or ended by itself
)

// Instance is a release as the runtime sees it.
type Instance struct {
	ID           db.ReleaseID
	WorkloadID   int64
	DeploymentID int64
	State        State
	ExitCode     int
	Restarts     int      // how often the runtime started it again by itself
	OOMKilled    bool     // ended for want of memory
	Replicas     int      // how often it is to run; 0 where the runtime is no Scaler
	Service      string   // of a stack: which one the three above are about
	Upstream     Upstream // zero unless Running; a stack of which only another service is down keeps that of the routed one
	Elsewhere    string   // hosts, with commas between, on which it runs too, on ports that the runtime does not know any more
}

// Upstream is where a release answers. Name is stable; Addr may change whenever the release is started.
type Upstream struct {
	Name string // the release's name, which other containers can resolve
	Addr string // "host:port" to dial from this machine; of a release that runs several times all of them, sorted, with commas between
	Port int
}

// Addrs are the addresses, one for each time that the release runs.
func (u Upstream) Addrs() []string {
	if u.Addr == "" {
		return nil
	}
	return strings.Split(u.Addr, ",")
}

// Counter is a Router that counts requests.
type Counter interface {
	// Counts returns how many requests a route's host had since the route was made, those included that are under way, and
	// how many of them the proxy had to answer itself because nothing else did. ok is false where there is no such route.
	Counts(rt db.Route) (all, failed int64, ok bool)
}

// Router is a reverse proxy. Implementations are safe for concurrent use.
type Router interface {
	// Check tells what of a route this proxy cannot do, in words that say what to do instead; what CheckRoute refuses is a
	// part of that. It makes no call.
	Check(rt db.Route) error
	// Upsert points the route at up, in one step, creating it when absent. The zero Upstream is a route that answers 503.
	// When it returns, no new request reaches what the route pointed at before, or goes by the options it had. A held route
	// is released. What Check refuses is an error and changes nothing.
	Upsert(ctx context.Context, rt db.Route, up Upstream) error
	// Current returns where the proxy really points; ErrNoRoute when it has no such route.
	Current(ctx context.Context, rt db.Route) (Upstream, error)
	// Hold makes the route keep new requests waiting until the next Upsert, bounded in time and number.
	// It returns errors.ErrUnsupported where the proxy cannot.
	Hold(ctx context.Context, rt db.Route) error
	// Drain waits until no request is in flight to old, or ctx is done, and returns ctx's error then. Past ctx's deadline it
	// ends those that are left; when ctx was cancelled they go on, and can be drained again.
	Drain(ctx context.Context, rt db.Route, old Upstream) error
	// Delete removes the route. An absent one is not an error.
	Delete(ctx context.Context, rt db.Route) error
}

package deploy

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"tinyforge/db"
)

// Config bounds what the deployer does. Zero values mean the defaults.
type Config struct {
	Workers   int           // deployments at a time; default 2
	Lease     time.Duration // after which the deployments of a dead process are taken over; default 15 s
	Liveness  time.Duration // for which a release without a healthcheck must stay up; default 5 s
	Drain     time.Duration // for which requests in flight to blue are waited for; default 30 s
	Build     time.Duration // after which a build is given up; default 1 h
	Attempts  int           // claims of one deployment, hand-overs not counted, before it is undone; default 5
	Poll      time.Duration // how often the queue is looked at without being woken; default 5 s
	Reconcile time.Duration // how often recovery compares rows, releases and routes; default 30 s
	Tidy      time.Duration // how long after a change of a deployment old images are removed; default 10 s
	Workspace string        // folder for checkouts, ours alone; default the system's temporary folder

	Limits
}

// Limits say what is kept on disk.
type Limits struct {
	KeepReleases int           // good releases of a workload whose images are kept, the live one included; default 3
	KeepLogs     time.Duration // for which the log of a deployment that ended is kept; default 90 days
	MinFree      int64         // bytes that must be free before a build; default 1 GiB
}

func (c Config) withDefaults() Config {
	setDefault(&c.Workers, 2)
	setDefault(&c.Lease, 15*time.Second)
	setDefault(&c.Liveness, 5*time.Second)
	setDefault(&c.Drain, 30*time.Second)
	setDefault(&c.Build, time.Hour)
	setDefault(&c.Attempts, 5)
	setDefault(&c.Poll, 5*time.Second)
	setDefault(&c.Reconcile, 30*time.Second)
	setDefault(&c.Tidy, 10*time.Second)
	setDefault(&c.KeepReleases, 3)
	setDefault(&c.KeepLogs, 90*24*time.Hour)
	setDefault(&c.MinFree, 1<<30)
	return c
}

func setDefault[T comparable](v *T, value T) {
	var zero T
	if *v == zero {
		*v = value
	}
}

// Deployer is what the Runner and the Recovery share.
type Deployer struct {
	DB       *db.DB
	Sources  map[string]Source // by workload.Source
	Runtime  Runtime
	Images   Images
	Router   Router
	Fetcher  Fetcher
	Accounts Accounts // nil means that no forge has a registry
	Log      *slog.Logger
	Config   Config

	// Offers are the runtimes by name whose workloads this process deploys and looks after; none means all. Others of the same
	// database are another process's.
	Offers []string

	// Known is closed as soon as the other processes of the same database are known to be beside this Runtime: until then it may be
	// another one than theirs, and nothing is done with it. Nil means from the start.
	Known <-chan struct{}

	// Limits are asked for each time, since people may change them; nil means those of Config. None may be zero.
	Limits func(context.Context) (Limits, error)

	// Point, where it is set, is called at every point at which a deployment could be interrupted between two of its effects,
	// with the point's name: "<phase>:before", when the phase is written down and nothing of it done, and "<phase>:after", when
	// all of it is done and nothing written. It is there for tests that kill the process.
	Point func(name string)

	busy   workloadLocks
	leases sync.Map // of the deployments that the runner works on, by their owner
}

// offers tells whether all of these are this process's.
func (d *Deployer) offers(runtimes ...string) bool {
	return len(d.Offers) == 0 || !slices.ContainsFunc(runtimes, func(name string) bool { return !slices.Contains(d.Offers, name) })
}

var errUnknown = errors.New("whether the other processes of this database use the same Docker is not known yet: nothing is done with it until then")

// known is nil as soon as something may be done with Runtime.
func (d *Deployer) known() error {
	if d.Known == nil {
		return nil
	}
	select {
	case <-d.Known:
		return nil
	default:
		return errUnknown
	}
}

// at is where a process may be killed.
func (d *Deployer) at(phase db.Phase, moment string) {
	if d.Point != nil {
		d.Point(string(phase) + ":" + moment)
	}
}

func (d *Deployer) limits(ctx context.Context) (Limits, error) {
	if d.Limits == nil {
		return d.Config.Limits, nil
	}
	return d.Limits(ctx)
}

// workloadLocks keep the runner and the recovery of one process apart. The zero value is ready.
type workloadLocks struct{ turns sync.Map } // by the workload's id: a channel that is full while somebody has the workload

// lock waits; it returns ctx's error when that is done first.
func (l *workloadLocks) lock(ctx context.Context, workloadID int64) error {
	select {
	case l.turn(workloadID) <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *workloadLocks) tryLock(workloadID int64) bool {
	select {
	case l.turn(workloadID) <- struct{}{}:
		return true
	default:
		return false
	}
}

// unlock is for who has the workload. Who waits for it has it then.
func (l *workloadLocks) unlock(workloadID int64) { <-l.turn(workloadID) }

func (l *workloadLocks) turn(workloadID int64) chan struct{} {
	turn, _ := l.turns.LoadOrStore(workloadID, make(chan struct{}, 1))
	return turn.(chan struct{})
}

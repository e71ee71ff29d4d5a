package deploy

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"tinyforge/db"
	"tinyforge/deploy/redact"
)

// job is one deployment in the hands of a worker.
type job struct {
	*Deployer
	Runtime  Runtime // of those that there are, what this deployment has to do with: others may be away
	dep      *db.Deployment
	workload db.Workload
	repo     db.Repository
	blue     *db.RuntimeState // what serves; nil when nothing does
	log      *logWriter
	wanted   context.Context  // done when the deployment was cancelled
	secrets  []db.Secret      // that redactor knows
	redactor *redact.Redactor // of the log and the error
	counted  *count           // what its hosts had before their routes moved; nil when nobody counts or nothing moves
	waited   sync.Once        // for the proxy
}

// kinds are those of the runtimes on which its release and what serves are; none where that is not known.
func (j *job) kinds() []string {
	if j.dep.RollbackTo != 0 || j.blue == nil && j.dep.Phase.Committed() { // to another one's release; what served is not in the row any more
		return nil
	}
	kinds := []string{j.workload.Runtime}
	if j.dep.Release != nil {
		kinds = append(kinds, j.dep.Release.RuntimeKind())
	}
	if j.blue != nil {
		kinds = append(kinds, j.blue.Runtime)
	}
	return kinds
}

// errSkip is returned by a step when nothing has to be deployed.
var errSkip = errors.New("commit is live already")

// cancelled is why a step that somebody does not want any more fails.
var cancelled = &Failure{Text: "Cancelled"}

// begin returns the phase in which the claimed deployment goes on.
func (j *job) begin() db.Phase {
	switch {
	case j.dep.Phase.Committed() || j.dep.Phase == db.PhaseUndoing:
		return j.dep.Phase
	case j.dep.Cancelled:
		j.dep.Error = cancelled.Text
		return db.PhaseUndoing
	case j.dep.Attempt > j.Config.Attempts:
		j.dep.Error = fmt.Sprintf("Given up after %d attempts: Tinyforge ended in the middle of each", j.Config.Attempts)
		j.dep.Fault = FaultOf("interrupted")
		return db.PhaseUndoing
	}
	return reentry(j.dep.Strategy, j.dep.Phase)
}

// waits says once in the log why nothing happens.
func (j *job) waits(proxy string) {
	j.waited.Do(func() { j.log.Printf("Waiting for %s: it does not answer", proxy) })
}

// bounded does a step, and gives it up when it takes longer than anything good can.
func (j *job) bounded(ctx context.Context, s step) error {
	limit := 10*time.Minute + j.Config.Drain + j.Config.Liveness
	if r := j.dep.Release; r != nil && r.Healthcheck != nil {
		limit += r.Healthcheck.StartPeriod + time.Duration(r.Healthcheck.Attempts)*(r.Healthcheck.Interval+r.Healthcheck.Timeout)
	}
	if s.phase == db.PhaseBuilding {
		limit = j.Config.Build
	}
	tooLong := &Failure{Text: fmt.Sprintf("Given up: %s took longer than %s", s.phase, limit)}
	if s.phase == db.PhaseBuilding {
		tooLong.Fault = FaultOf("build_timeout", "limit", limit.String())
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, tooLong)
	defer cancel()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var err error
	cancellable := s.phase != db.PhaseUndoing && !s.phase.Committed()
	if cancellable {
		defer context.AfterFunc(j.wanted, func() { stop(cancelled) })()
	}
	if s.phase != db.PhaseBuilding && !s.phase.Committed() {
		err = j.untilLet(ctx)
	}
	if err == nil && cancellable {
		err = j.stillThere(ctx)
	}
	if err == nil {
		err = s.do(j, ctx)
	}
	for _, cause := range []*Failure{tooLong, cancelled} {
		if err != nil && errors.Is(context.Cause(ctx), cause) {
			return cause
		}
	}
	return err
}

// stillThere fails when the workload was deleted meanwhile: nothing more is done for it, and its hosts may be another's.
func (j *job) stillThere(ctx context.Context) error {
	w, err := j.DB.Workload(ctx, j.workload.ID)
	if err == nil && w.DeletedAt != nil {
		err = &Failure{Text: "The workload was deleted"}
	}
	return err
}

// enter writes a phase down, before its side effect. A deployment that has ended has its whole log.
func (j *job) enter(ctx context.Context, next db.Phase) error {
	j.count(next)
	j.dep.Phase = next
	j.log.enter(next)
	if next.Final() {
		j.log.flush()
	}
	return j.DB.Save(ctx, j.dep)
}

// next is the phase after the present one. A deployment that was cancelled and is undone is told from one that failed.
func (j *job) next() db.Phase {
	if j.dep.Phase == db.PhaseUndoing && j.dep.Cancelled {
		return db.PhaseCancelled
	}
	return after(j.dep.Strategy, j.dep.Phase)
}

// pass enters the phase after one that succeeded. After committing, that is the commit point, unless the deployment was
// cancelled before: then it returns db.ErrCancelled, and nothing has changed.
func (j *job) pass(ctx context.Context) error {
	next := j.next()
	if j.dep.Phase != db.PhaseCommitting {
		return j.enter(ctx, next)
	}
	j.count(next)
	j.dep.Phase = next
	j.log.enter(next)
	err := j.DB.Commit(ctx, j.dep, db.RuntimeState{
		WorkloadID:   j.workload.ID,
		DeploymentID: j.dep.ID,
		ReleaseID:    j.dep.Release.ID,
		Commit:       j.dep.Release.Commit, // what is scaled may be of a later one than when that was asked for
		Release:      *j.dep.Release,
	})
	if errors.Is(err, db.ErrCancelled) {
		j.dep.Phase = db.PhaseCommitting
	}
	return err
}

// failed notes why a step failed and returns the phase in which to go on: back before the commit point, forward after it.
func (j *job) failed(ctx context.Context, err error) db.Phase {
	if errors.Is(err, errSkip) {
		return db.PhaseSkipped
	}
	if errors.Is(err, db.ErrCancelled) || errors.Is(err, cancelled) {
		j.dep.Cancelled, err = true, cancelled
	}
	j.Log.WarnContext(ctx, "deployment step", "deployment", j.dep.ID, "phase", j.dep.Phase, "error", j.redactor.String(err.Error()))
	text := j.redactor.String(userText(j.dep.Phase, err))
	j.log.Printf("%s", text)
	switch {
	case j.dep.Phase.Committed():
		return j.next() // what is left over is removed by the recovery
	case j.dep.Phase == db.PhaseUndoing: // not for the row, where it would stay when it is no longer so
		j.log.Printf("Undoing it is not finished: Tinyforge goes on with it until it is")
		return j.next() // the recovery goes on with it
	}
	j.dep.Error, j.dep.Fault = text, nil
	if failure, ok := errors.AsType[*Failure](err); ok {
		j.dep.Fault = j.hide(failure.Fault)
	}
	return db.PhaseUndoing
}

// userText is what the user may read of an error.
func userText(phase db.Phase, err error) string {
	var failure *Failure
	if errors.As(err, &failure) {
		return failure.Text
	}
	return fmt.Sprintf("Internal error while %s: the log of Tinyforge says more", phase)
}

// retry repeats f with growing pauses until it succeeds, ctx is done, or the tries are over.
func retry(ctx context.Context, tries int, f func() error) error {
	pause := 250 * time.Millisecond
	for {
		err := f()
		if tries--; err == nil || tries <= 0 {
			return err
		}
		if Sleep(ctx, pause) != nil {
			return err
		}
		pause *= 2
	}
}

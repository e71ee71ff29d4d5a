package app

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"tinyforge/db"
)

const (
	reportsPerForge = 4 // calls to one forge at a time
	reportTimeout   = 30 * time.Second
	reportPoll      = 5 * time.Second
	reportRetry     = 2 * time.Second // first pause after a failure; it doubles
	reportSlowest   = 10 * time.Minute
	reportRest      = 500 * time.Millisecond // at most, between two looks, for as long as a look took
	reportAttempts  = 150                    // with these pauses, about a day
	reportNote      = 5 * time.Second        // to write down what became of a call when everything is to end
)

// Reporter makes the commit statuses on the forges equal to the phases of the deployments. It is best effort for the
// deploys: nothing that happens here fails or delays one. A forge that is down delays its statuses and nothing else, not
// even those of other forges. A forge that names a time, as limits do, is told nothing before it.
type Reporter struct {
	db        *db.DB
	open      func(ctx context.Context, forgeID int64) (Forge, error)
	publicURL PublicURL
	log       *slog.Logger
}

// PublicURL tells where forges and people reach this Tinyforge, without a trailing slash; "" when it is not known. It is
// asked each time, since the address may be changed.
type PublicURL func(ctx context.Context) (string, error)

// NewReporter makes a reporter. While publicURL is not known, statuses have no links.
func NewReporter(d *db.DB, open func(ctx context.Context, forgeID int64) (Forge, error), publicURL PublicURL, log *slog.Logger) *Reporter {
	return &Reporter{db: d, open: open, publicURL: publicURL, log: log}
}

// Run reports until ctx is done. Then it returns as soon as the calls in progress have ended, which ctx ends too.
func (r *Reporter) Run(ctx context.Context) error {
	wake, cancel := r.db.Subscribe(db.TopicPhase)
	defer cancel()
	calls := newReporterCalls()
	defer calls.wait()
	for ctx.Err() == nil {
		began := time.Now()
		if err := r.start(ctx, calls); err != nil && ctx.Err() == nil && !errors.Is(err, db.ErrAway) { // that is said elsewhere, once
			r.log.ErrorContext(ctx, "find commit statuses to set", "error", err)
		}
		timer := time.NewTimer(r.pause(ctx, calls))
		took := time.Since(began)
		select {
		case <-ctx.Done():
		case <-wake:
		case <-calls.ended:
		case <-timer.C:
		}
		timer.Stop()
		select {
		case <-ctx.Done():
		case <-time.After(min(took, reportRest)): // whatever waits, every push wakes
		}
	}
	return nil
}

// start begins to tell the forges about the commits that are due. A commit is taken only when its forge has room for the
// call: those that wait are not kept from other processes, and those of a forge that does not answer are in nobody's way.
func (r *Reporter) start(ctx context.Context, calls *reporterCalls) error {
	for {
		shut, _ := calls.shut()
		keys, err := r.db.DueReports(ctx, 1, shut...)
		if err != nil || len(keys) == 0 {
			return err
		}
		repo, err := r.db.Repository(ctx, keys[0].RepositoryID)
		if err != nil {
			return err
		}
		calls.begin(repo.ForgeID, func() {
			if err := r.commit(ctx, calls, repo, keys[0]); err != nil && ctx.Err() == nil {
				r.log.ErrorContext(ctx, "report commit status", "repository", repo.FullName, "commit", keys[0].Commit, "error", err)
			}
		})
	}
}

// pause is the time to the next report that is due without a new event.
func (r *Reporter) pause(ctx context.Context, calls *reporterCalls) time.Duration {
	shut, opens := calls.shut()
	at, ok, err := r.db.NextReport(ctx, shut...)
	if err != nil {
		return reportPoll
	}
	if !opens.IsZero() && (!ok || opens.Before(at)) {
		at, ok = opens, true
	}
	if !ok {
		return reportPoll
	}
	return min(max(time.Until(at), 50*time.Millisecond), reportPoll)
}

// commit brings one commit's status up to date.
func (r *Reporter) commit(ctx context.Context, calls *reporterCalls, repo db.Repository, key db.CommitKey) error {
	deployments, err := r.db.DeploymentsOfCommit(ctx, key)
	if err != nil {
		return err
	}
	status, about, err := r.status(ctx, key, deployments)
	if err != nil {
		return err
	}
	if len(about) > 0 {
		err = r.send(ctx, repo, status)
	}
	way := db.Way{ForgeID: repo.ForgeID, InstallationID: repo.InstallationID}
	answer, _ := errors.AsType[*StatusError](err)
	if answer != nil && answer.RetryAfter > 0 { // a limit is not this commit's alone
		calls.rest(way, time.Now().Add(answer.RetryAfter))
	}
	note, cancel := context.WithTimeout(context.WithoutCancel(ctx), reportNote)
	defer cancel()
	switch {
	case err == nil:
		for i, dep := range deployments {
			if slices.Contains(about, dep.ID) {
				deployments[i].ReportSent = status.State
			}
		}
		err := r.db.MarkReported(note, key, deployments)
		if err == nil && len(about) > 0 && attemptsOf(deployments) > 0 { // it did not take it before: the others need not wait either
			err = r.db.HastenReports(note, way)
		}
		return err
	case ctx.Err() != nil && answer == nil:
		return r.db.DelayReport(note, key, time.Now()) // whoever runs next need not wait
	}
	return r.postpone(note, repo, key, deployments, err)
}

// status is what the forge is to be told, and about which of the deployments: those of workloads that report, which may be none.
// What was begun to be told is told to its end, though its workload does not report any more.
func (r *Reporter) status(ctx context.Context, key db.CommitKey, deployments []db.Deployment) (s Status, about []int64, err error) {
	var reporting []outcome
	for _, dep := range deployments {
		workload, err := r.db.Workload(ctx, dep.WorkloadID)
		if err != nil {
			return Status{}, nil, err
		}
		if workload.ReportsStatus() || dep.ReportSent == db.StatusPending {
			reporting = append(reporting, outcome{dep, workload.Name})
			about = append(about, dep.ID)
		}
	}
	if len(reporting) == 0 || key.Commit == "" {
		return Status{}, nil, nil
	}
	status, decisive := combine(reporting)
	public, err := r.publicURL(ctx)
	if err != nil {
		return Status{}, nil, err
	}
	if public != "" {
		status.TargetURL = public + "/deployments/" + strconv.FormatInt(decisive, 10)
	}
	return status, about, nil
}

func (r *Reporter) send(ctx context.Context, repo db.Repository, status Status) error {
	ctx, cancel := context.WithTimeout(ctx, reportTimeout)
	defer cancel()
	forge, err := r.open(ctx, repo.ForgeID)
	if err != nil {
		return err
	}
	if err := forge.SetStatus(ctx, repo, status); err != nil {
		return err
	}
	r.log.InfoContext(ctx, "commit status set", "repository", repo.FullName, "commit", status.Commit,
		"state", status.State, "description", status.Description)
	return nil
}

// postpone plans the next attempt, or gives up: after a permanent answer, and after a day, since some answers are
// permanent though they do not look so (Gitea says 500 for a commit that it does not have).
func (r *Reporter) postpone(ctx context.Context, repo db.Repository, key db.CommitKey, deployments []db.Deployment, cause error) error {
	log := r.log.With("repository", repo.FullName, "commit", key.Commit, "error", cause)
	attempts := attemptsOf(deployments)
	answer, answered := errors.AsType[*StatusError](cause)
	switch {
	case answered && answer.Permanent():
		log.ErrorContext(ctx, "commit status refused; not tried again")
		return r.db.GiveUpReport(ctx, key, deployments, strconv.Itoa(answer.Code))
	case attempts >= reportAttempts:
		log.ErrorContext(ctx, "commit status not set; not tried again", "attempts", attempts+1)
		if answered {
			return r.db.GiveUpReport(ctx, key, deployments, strconv.Itoa(answer.Code))
		}
		return r.db.GiveUpReport(ctx, key, deployments, "silent")
	}
	pause := min(reportRetry<<min(attempts, 16), reportSlowest)
	if answered {
		pause = max(pause, answer.RetryAfter)
	}
	log.WarnContext(ctx, "commit status not set; trying again", "in", pause)
	return r.db.DelayReport(ctx, key, time.Now().Add(pause))
}

// attemptsOf is how often it was tried in vain to tell of a commit.
func attemptsOf(deployments []db.Deployment) (attempts int) {
	for _, dep := range deployments {
		attempts = max(attempts, dep.ReportAttempts)
	}
	return attempts
}

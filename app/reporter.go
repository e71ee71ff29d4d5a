package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"tinyforge/db"
)

const (
	reportBatch   = 32 // commits read at once
	reportTimeout = 30 * time.Second
	reportPoll    = 5 * time.Second
	reportRetry   = 2 * time.Second // first pause after a failure; it doubles
	reportSlowest = 10 * time.Minute
)

// Reporter makes the commit statuses on the forges equal to the phases of the deployments. It is best effort for the
// deploys: nothing that happens here fails or delays one. A forge that is down delays its statuses and nothing else.
type Reporter struct {
	db        *db.DB
	open      func(ctx context.Context, forgeID int64) (Forge, error)
	publicURL string
	log       *slog.Logger
}

// NewReporter makes a reporter. publicURL is where this Tinyforge is reached, for the links of the statuses; "" means
// statuses without links.
func NewReporter(d *db.DB, open func(ctx context.Context, forgeID int64) (Forge, error), publicURL string, log *slog.Logger) *Reporter {
	return &Reporter{db: d, open: open, publicURL: publicURL, log: log}
}

// Run reports until ctx is done.
func (r *Reporter) Run(ctx context.Context) error {
	wake, cancel := r.db.Subscribe(db.TopicPhase)
	defer cancel()
	for ctx.Err() == nil {
		more, err := r.report(ctx)
		if err != nil && ctx.Err() == nil {
			r.log.ErrorContext(ctx, "report commit statuses", "error", err)
		}
		if more {
			continue
		}
		timer := time.NewTimer(r.pause(ctx))
		select {
		case <-ctx.Done():
		case <-wake:
		case <-timer.C:
		}
		timer.Stop()
	}
	return nil
}

// pause is the time to the next report that is due without a new event.
func (r *Reporter) pause(ctx context.Context) time.Duration {
	at, ok, err := r.db.NextReport(ctx)
	if err != nil || !ok {
		return reportPoll
	}
	return min(max(time.Until(at), 50*time.Millisecond), reportPoll)
}

// report tells the forges about a batch of commits, several at a time but never two statuses of one commit. It reports
// whether there may be more.
func (r *Reporter) report(ctx context.Context) (more bool, err error) {
	keys, err := r.db.DueReports(ctx, reportBatch)
	if err != nil {
		return false, err
	}
	var group errgroup.Group
	group.SetLimit(8)
	for _, key := range keys {
		group.Go(func() error { return r.commit(ctx, key) })
	}
	return len(keys) == reportBatch, group.Wait()
}

// commit brings one commit's status up to date.
func (r *Reporter) commit(ctx context.Context, key db.CommitKey) error {
	deployments, err := r.db.DeploymentsOfCommit(ctx, key)
	if err != nil {
		return err
	}
	told, status, err := r.status(ctx, key, deployments)
	if err != nil {
		return err
	}
	if status != nil {
		if err := r.send(ctx, key, *status); err != nil {
			return r.postpone(ctx, key, deployments, err)
		}
	}
	return r.db.MarkReported(ctx, key, told)
}

// status is what the forge is to be told, nil for nothing: no workload of the commit wants to report.
func (r *Reporter) status(ctx context.Context, key db.CommitKey, deployments []db.Deployment) ([]db.Deployment, *Status, error) {
	var wanted []named
	for _, dep := range deployments {
		workload, err := r.db.Workload(ctx, dep.WorkloadID)
		if err != nil {
			return nil, nil, err
		}
		if workload.ReportsStatus() {
			wanted = append(wanted, named{dep, workload.Name})
		}
	}
	if len(wanted) == 0 || key.Commit == "" {
		return deployments, nil, nil
	}
	status := combine(wanted)
	if r.publicURL != "" {
		status.TargetURL = r.publicURL + "/deployments/" + strconv.FormatInt(wanted[len(wanted)-1].ID, 10)
	}
	return deployments, &status, nil
}

func (r *Reporter) send(ctx context.Context, key db.CommitKey, status Status) error {
	ctx, cancel := context.WithTimeout(ctx, reportTimeout)
	defer cancel()
	repo, err := r.db.Repository(ctx, key.RepositoryID)
	if err != nil {
		return err
	}
	forge, err := r.open(ctx, repo.ForgeID)
	if err != nil {
		return err
	}
	if err := forge.SetStatus(ctx, repo, status); err != nil {
		return err
	}
	r.log.InfoContext(ctx, "commit status set", "repository", repo.FullName, "commit", key.Commit,
		"state", status.State, "description", status.Description)
	return nil
}

// postpone plans the next attempt, or gives up after a permanent answer.
func (r *Reporter) postpone(ctx context.Context, key db.CommitKey, deployments []db.Deployment, cause error) error {
	if ctx.Err() != nil {
		return nil // the row stays due
	}
	log := r.log.With("commit", key.Commit, "error", cause)
	var answer *StatusError
	if errors.As(cause, &answer) && answer.Permanent() {
		log.ErrorContext(ctx, "commit status refused; not tried again")
		return r.db.MarkReported(ctx, key, deployments)
	}
	pause := reportRetry
	for _, dep := range deployments {
		pause = max(pause, min(reportRetry<<min(dep.ReportAttempts, 16), reportSlowest))
	}
	if answer != nil {
		pause = max(pause, answer.RetryAfter)
	}
	log.WarnContext(ctx, "set commit status; trying again", "in", pause)
	return r.db.DelayReport(ctx, key, time.Now().Add(pause))
}

// named is a deployment with the name of its workload.
type named struct {
	db.Deployment
	workload string
}

// combine makes one status of the deployments of one commit, since they share its one context: failure as soon as one
// failed, success when all succeeded, pending otherwise.
func combine(deployments []named) Status {
	if len(deployments) == 1 {
		dep := deployments[0].Deployment
		return Status{Commit: dep.Commit, State: dep.Status, Description: limit(describe(dep))}
	}
	status := Status{Commit: deployments[0].Commit, State: db.StatusSuccess}
	text := ""
	for i, dep := range deployments {
		switch {
		case dep.Status == db.StatusFailure, dep.Status == db.StatusPending && status.State != db.StatusFailure:
			status.State = dep.Status
		}
		if i > 0 {
			text += "; "
		}
		text += dep.workload + ": " + describe(dep.Deployment)
	}
	status.Description = limit(text)
	return status
}

// describe says in a few words what a deployment's phase means.
func describe(dep db.Deployment) string {
	switch {
	case dep.Phase == db.PhaseQueued:
		return "Waiting for its turn"
	case dep.Phase == db.PhaseSkipped:
		return "Live already"
	case dep.Status == db.StatusSuccess:
		return fmt.Sprintf("Live in %d s", int(max(1, dep.Duration().Round(time.Second).Seconds())))
	case dep.Phase == db.PhaseSuperseded:
		return fmt.Sprintf("Superseded by %s before its turn came", dep.SupersededBy[:min(7, len(dep.SupersededBy))])
	case dep.Phase == db.PhaseFailed && dep.Error != "":
		return dep.Error
	case dep.Phase == db.PhaseFailed:
		return "Failed"
	}
	return "Being deployed: " + string(dep.Phase)
}

// maxDescription is the shortest limit of the forges, GitHub's, in characters.
const maxDescription = 140

// limit cuts a description to what every forge takes.
func limit(text string) string {
	runes := []rune(text)
	if len(runes) <= maxDescription {
		return text
	}
	return string(runes[:maxDescription-1]) + "…"
}

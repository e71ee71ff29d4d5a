package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"tinyforge/app"
	"tinyforge/db"
)

// request is a command about the deployments of one workload: tinyforge NAME WORKLOAD [DEPLOYMENT].
type request func(ctx context.Context, r requested) error

// requested is what the arguments of a request name.
type requested struct {
	store    *db.DB
	workload db.Workload
	history  []db.Deployment // newest first
	id       int64           // of the deployment; 0 when none is named
	config   config
	out      io.Writer
}

const (
	ofWorkload   = "WORKLOAD"
	ofDeployment = "WORKLOAD [N]"
)

// requestCommands look at deployments or ask for one; tinyforge serve does what they ask for.
func requestCommands() []command {
	const numbers = `"tinyforge deployments WORKLOAD" lists the numbers.`
	return []command{
		{name: "deployments", args: ofWorkload, does: "list the deployments of a workload", more: "The newest comes first. One that is retired served until a newer one took over: tinyforge rollback goes back to it.",
			example: "deployments web", options: storeAnd(), run: ask(listDeployments)},
		{name: "log", args: ofDeployment, does: "print the log of the newest deployment, or of deployment N", more: numbers,
			example: "log web 12", options: storeAnd(), run: ask(printLog)},
		{name: "redeploy", args: ofDeployment, does: "build and start the commit of the live deployment anew, or of deployment N",
			more: numbers, example: "redeploy web", options: storeAnd(), run: ask(redeploy)},
		{name: "rollback", args: ofDeployment,
			does: "make the release before the live one serve again, or that of deployment N; nothing is built", more: numbers,
			example: "rollback web", options: storeAnd(), run: ask(rollback)},
		{name: "scale", args: "WORKLOAD N", does: "make what is live run N times, on Docker Swarm; nothing is built",
			more:    "The number is written into the workload's config, where an apply finds it: change it in the file too.",
			example: "scale web 3", options: storeAnd("max-replicas", "force"), run: configured(scale)},
		{name: "cancel", args: ofDeployment, does: "end the deployment that waits or is in progress; what served before it goes on",
			more: numbers, example: "cancel web", options: storeAnd(), run: ask(cancelDeployment)},
		{name: "remove", args: ofWorkload, does: "take a workload down; --volumes removes its volumes too",
			more:    "It is made again by the next apply of a file that names it.",
			example: "remove web --volumes", options: storeAnd("volumes"), run: ask(removeWorkload)},
	}
}

// ask is the command of a request.
func ask(do request) func(context.Context, invocation) error {
	return configured(func(ctx context.Context, c config, args []string, in invocation) error {
		switch most := len(strings.Fields(in.args)); {
		case len(args) >= 1 && len(args) <= most:
		case most == 1:
			return fmt.Errorf("%s takes one workload and nothing else: %s", in.name, in.usage())
		default:
			return fmt.Errorf("%s takes a workload, and the number of a deployment where another than the usual one is meant: %s", in.name, in.usage())
		}
		return do.of(ctx, c, args, in.out)
	})
}

// historyShown is how many deployments of a workload are looked at.
const historyShown = 50

// of does the request for a workload, and perhaps a deployment of it.
func (do request) of(ctx context.Context, c config, args []string, out io.Writer) error {
	store, err := existingStore(ctx, c)
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()
	r := requested{store: store, config: c, out: out}
	if r.workload, err = namedWorkload(ctx, store, args[0]); err != nil {
		return err
	}
	if r.history, err = store.DeploymentsOf(ctx, r.workload.ID, historyShown); err != nil {
		return err
	}
	if len(args) == 2 {
		if r.id, err = r.number(ctx, args[1]); err != nil {
			return err
		}
	}
	return do(ctx, r)
}

func namedWorkload(ctx context.Context, store *db.DB, name string) (db.Workload, error) {
	workloads, err := store.Workloads(ctx)
	if err != nil {
		return db.Workload{}, err
	}
	names := []string{}
	for _, w := range workloads {
		switch {
		case w.DeletedAt != nil && w.Name == name:
			return w, beingTakenDown(ctx, store, w)
		case w.DeletedAt != nil:
			continue
		case w.Name == name:
			return w, nil
		}
		names = append(names, w.Name)
	}
	if len(names) == 0 {
		return db.Workload{}, fmt.Errorf("there is no workload %q, nor any other: make some with tinyforge apply", name)
	}
	return db.Workload{}, fmt.Errorf("there is no workload %q: use one of %s", name, strings.Join(names, ", "))
}

// beingTakenDown is the error of a command about a workload that was removed.
func beingTakenDown(ctx context.Context, store *db.DB, w db.Workload) error {
	waits, err := requested{store: store, workload: w}.waits(ctx)
	if err == nil && waits != "" {
		err = errors.New(waits)
	}
	if err != nil {
		return fmt.Errorf("workload %s is being taken down: %w", w.Name, err)
	}
	return fmt.Errorf("workload %s is being taken down", w.Name)
}

// number reads the id of a deployment of the workload.
func (r requested) number(ctx context.Context, text string) (int64, error) {
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not the number of a deployment: tinyforge deployments %s lists them", text, r.workload.Name)
	}
	dep, err := r.store.Deployment(ctx, id)
	if errors.Is(err, db.ErrNotFound) || err == nil && dep.WorkloadID != r.workload.ID {
		return 0, fmt.Errorf("workload %s has no deployment %d: tinyforge deployments %s lists them", r.workload.Name, id, r.workload.Name)
	}
	return id, err
}

// newest is the id of the newest deployment in one of the phases, 0 for none.
func (r requested) newest(phases ...db.Phase) int64 {
	for _, dep := range r.history {
		if slices.Contains(phases, dep.Phase) {
			return dep.ID
		}
	}
	return 0
}

func listDeployments(ctx context.Context, r requested) error {
	if len(r.history) == 0 {
		fmt.Fprintf(r.out, "workload %s was never deployed: push to its repository\n", r.workload.Name)
		return nil
	}
	waits, err := r.waits(ctx)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(r.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "DEPLOYMENT\tPHASE\tCAUSE\tCOMMIT\tQUEUED\tTOOK\tWHAT")
	for _, dep := range r.history {
		if dep.Phase.Final() {
			waits = "" // the unfinished ones are the newest
		}
		fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%s\t%s\t%s\n", dep.ID, dep.Phase, dep.Cause, dep.Commit[:min(7, len(dep.Commit))],
			dep.CreatedAt.Local().Format(time.DateTime), dep.Duration().Round(100*time.Millisecond), cmp.Or(waits, dep.Error, dep.Message))
	}
	return table.Flush()
}

// waits says what keeps everybody from what the workload needs done, or "".
func (r requested) waits(ctx context.Context) (string, error) {
	nobody, err := r.store.UnofferedWorkload(ctx, r.workload.ID)
	if err != nil || nobody == nil {
		return "", err
	}
	return nobody.String(), nil
}

// printLog prints a deployment's log, the newest one's when none is named.
func printLog(ctx context.Context, r requested) error {
	if r.id == 0 && len(r.history) > 0 {
		r.id = r.history[0].ID
	}
	if r.id == 0 {
		return fmt.Errorf("workload %s was never deployed", r.workload.Name)
	}
	dep, err := r.store.Deployment(ctx, r.id)
	if err != nil {
		return err
	}
	head := fmt.Sprintf("deployment %d of %s: %s", dep.ID, r.workload.Name, dep.Phase)
	if waits, err := r.waits(ctx); err != nil {
		return err
	} else if waits != "" && !dep.Phase.Final() {
		head += ": " + waits
	}
	if dep.Error != "" {
		head += ": " + app.FirstLine(dep.Error)
	}
	fmt.Fprintln(r.out, head)
	if dep.StrategyReason != "" {
		fmt.Fprintf(r.out, "strategy %s: %s\n", dep.Strategy, dep.StrategyReason)
	}
	for last := int64(0); ; {
		lines, err := r.store.Log(ctx, r.id, last, 1000)
		if err != nil || len(lines) == 0 {
			return err
		}
		for _, l := range lines {
			fmt.Fprintf(r.out, "%s %-10s %s\n", l.At.Local().Format("15:04:05.000"), l.Phase, l.Plain())
			last = l.ID
		}
	}
}

// redeploy asks for the commit of a deployment once more: the live one's, or else the newest one's.
func redeploy(ctx context.Context, r requested) error {
	if r.id == 0 {
		r.id = r.newest(db.PhaseLive)
	}
	if r.id == 0 && len(r.history) > 0 {
		r.id = r.history[0].ID
	}
	if r.id == 0 {
		return fmt.Errorf("workload %s was never deployed: push to its repository", r.workload.Name)
	}
	dep, err := r.store.QueueRedeploy(ctx, r.id)
	if err != nil {
		return err
	}
	return r.queued(dep)
}

// rollback asks for the release of an earlier deployment: of the one before the live one when none is named.
func rollback(ctx context.Context, r requested) error {
	if r.id == 0 {
		var err error
		if r.id, err = r.store.Previous(ctx, r.workload.ID); errors.Is(err, db.ErrNotFound) {
			return fmt.Errorf("workload %s has no earlier release to go back to", r.workload.Name)
		} else if err != nil {
			return err
		}
	}
	dep, err := r.store.QueueRollback(ctx, r.id)
	if err != nil {
		return err
	}
	return r.queued(dep)
}

func (r requested) queued(dep db.Deployment) error {
	fmt.Fprintf(r.out, "deployment %d queued: %s of %s at %s\n", dep.ID, dep.Cause, r.workload.Name, dep.Commit[:min(7, len(dep.Commit))])
	return nil
}

// cancelDeployment ends the deployment that is queued or in progress.
func cancelDeployment(ctx context.Context, r requested) error {
	if r.id == 0 && len(r.history) > 0 && !r.history[0].Phase.Final() {
		r.id = r.history[0].ID
	}
	if r.id == 0 {
		return fmt.Errorf("workload %s has no deployment in progress", r.workload.Name)
	}
	switch err := r.store.Cancel(ctx, r.id); {
	case errors.Is(err, db.ErrTooLate):
		return tooLate(ctx, r, err)
	case err != nil:
		return err
	}
	fmt.Fprintf(r.out, "deployment %d is cancelled: what served before it goes on serving\n", r.id)
	return nil
}

// tooLate says why a deployment cannot be cancelled, and what can be done instead.
func tooLate(ctx context.Context, r requested, cause error) error {
	dep, err := r.store.Deployment(ctx, r.id)
	switch {
	case err != nil:
		return errors.Join(cause, err)
	case dep.Phase == db.PhaseUndoing:
		return fmt.Errorf("%w: it is being undone already", cause)
	case dep.Phase == db.PhaseLive, dep.Phase.Committed():
		return fmt.Errorf("%w: what it has made live can be undone with tinyforge rollback %s", cause, r.workload.Name)
	}
	return fmt.Errorf("%w: it has ended, as %s", cause, dep.Phase)
}

// removeWorkload takes the workload down, with its volumes only where that is asked for.
func removeWorkload(ctx context.Context, r requested) error {
	if err := r.store.DeleteWorkload(ctx, r.workload.ID, r.config.Volumes); err != nil {
		return err
	}
	kept := "its volumes are kept"
	if r.config.Volumes {
		kept = "its volumes go too"
	}
	if waits, err := r.waits(ctx); err != nil {
		return err
	} else if waits != "" {
		fmt.Fprintf(r.out, "workload %s waits to be taken down: %s; %s\n", r.workload.Name, waits, kept)
		return nil
	}
	fmt.Fprintf(r.out, "workload %s is being taken down by tinyforge serve; %s\n", r.workload.Name, kept)
	return nil
}

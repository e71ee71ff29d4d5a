// Package webhooks receives the forges' deliveries. A request is answered when its delivery, and the deployments that it
// asks for, are in the database, and no later; no request starts work of its own.
package webhooks

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"tinyforge/app"
	"tinyforge/db"
)

// MaxBody is the size of the largest delivery: GitHub and GitLab send none above 25 MB.
const MaxBody = 25 << 20

// patience is how long a delivery may take to be recorded.
const patience = 30 * time.Second

// retryAfter is what somebody is told who is answered 503.
const retryAfter = 5 * time.Second

// Handler answers POST /webhooks/{forge}. The address names the forge, so that its secret is known before a byte of the
// body is looked at. Until a signature has verified, a request is anybody's: what all of them hold in memory together, for
// how long, and what they write to the log, is bounded.
type Handler struct {
	db     *db.DB
	open   func(row db.Forge) (app.Forge, error)
	log    *slog.Logger
	budget budget
	rows   *rows

	refusals, failures throttle
}

// New makes a handler. open opens a forge from its row.
func New(d *db.DB, open func(row db.Forge) (app.Forge, error), log *slog.Logger) *Handler {
	return &Handler{db: d, open: open, log: log, budget: newBudget(), rows: newRows(d)}
}

// Answer is the body of every answer.
type Answer struct {
	Decision    string  `json:"decision"`
	Deployments []int64 `json:"deployments,omitempty"`
}

// ServeHTTP answers 202 when deployments were queued and 200 when an authentic delivery asks for none, or cannot be read,
// since some forges disable a hook that is answered 4xx. It answers 401 for a wrong or absent signature, 404 for an unknown
// forge, 400 for a body that breaks off, 408 for one that comes too slowly, 413 for too large a one, and 503 when the delivery
// is not recorded or too many bodies are on their way.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("forge")
	if !isName(name) {
		name = ""
	}
	in := h.budget.take(w, r)
	defer in.close()
	out := h.receive(r, name, in)
	h.tell(r.Context(), name, out)
	w.Header().Set("Content-Type", "application/json")
	if out.code == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", strconv.Itoa(int(retryAfter.Seconds())))
	}
	w.WriteHeader(out.code)
	_ = json.NewEncoder(w).Encode(out.Answer)
}

func (h *Handler) receive(r *http.Request, name string, in *intake) outcome {
	row, err := h.rows.read(r.Context(), name, time.Now().Add(-rowLasts))
	if err != nil {
		return unknown(err)
	}
	body, err := in.read(r.Context())
	if refusal, ok := errors.AsType[*bodyError](err); ok {
		return refused(refusal.code, refusal.text)
	}
	out := h.take(r, row, body)
	if !out.doubtful {
		return out
	}
	last := row.Sealed
	if row, err = h.rows.read(r.Context(), name, time.Now()); err != nil {
		return unknown(err)
	}
	if bytes.Equal(row.Sealed, last) {
		return out
	}
	return h.take(r, row, body)
}

// take verifies and records a delivery, as its forge's row has it.
func (h *Handler) take(r *http.Request, row db.Forge, body []byte) outcome {
	push, err := h.verify(r.Header, row, body)
	switch {
	case errors.Is(err, errUnopened):
		return unrecorded(err)
	case errors.Is(err, app.ErrSignature):
		out := refused(http.StatusUnauthorized, "the signature does not verify: check the webhook's secret")
		out.doubtful = true
		return out
	case errors.Is(err, app.ErrIgnored):
		return outcome{code: http.StatusOK, authentic: true, Answer: Answer{Decision: err.Error()}}
	}
	out := h.answer(r.Context(), func(ctx context.Context) (db.Enqueued, error) {
		if err != nil {
			return h.recordUnread(ctx, row, body, err)
		}
		return h.record(ctx, row, push, row.Sealed)
	})
	out.authentic, out.unread = true, err != nil
	return out
}

// errUnopened is that of a forge whose row cannot be used.
var errUnopened = errors.New("open forge")

// verify reads a delivery that the forge has signed.
func (h *Handler) verify(header http.Header, row db.Forge, body []byte) (app.Push, error) {
	forge, err := h.open(row)
	if err != nil {
		return app.Push{}, fmt.Errorf("%w: %w", errUnopened, err)
	}
	return forge.Push(header, body)
}

// answer records an authentic delivery, and says what came of it.
func (h *Handler) answer(ctx context.Context, record func(context.Context) (db.Enqueued, error)) outcome {
	// It is complete: a forge that no longer waits for the answer does not send it again.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	done, err := record(ctx)
	switch {
	case err != nil:
		out := unrecorded(err)
		out.doubtful = errors.Is(err, db.ErrForgeStale)
		return out
	case done.Duplicate:
		return outcome{code: http.StatusOK, Answer: Answer{Decision: "received before: " + done.Decision}}
	case len(done.Deployments) > 0:
		return outcome{code: http.StatusAccepted, Answer: Answer{done.Decision, done.Deployments}}
	}
	return outcome{code: http.StatusOK, Answer: Answer{Decision: done.Decision}}
}

// isName tells whether a forge can have this name. Anybody can send anything: what is no name is neither looked up nor
// logged.
func isName(s string) bool {
	const most = 40
	return s != "" && len(s) <= most && !strings.ContainsFunc(s, func(c rune) bool {
		return !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_')
	})
}

// record puts the delivery and what it asks for into the database. under is what it was verified under; nil for one that was not sent.
func (h *Handler) record(ctx context.Context, row db.Forge, push app.Push, under []byte) (db.Enqueued, error) {
	delivery := db.Delivery{
		ForgeID: row.ID, ExternalID: push.DeliveryID, Event: push.Event,
		Ref: push.Ref, Before: push.Before, After: push.After, Under: under,
	}
	if change := push.Installation; change != nil {
		change.Installation.ForgeID = row.ID
		delivery.Decision = fmt.Sprintf("installation of %s noted", change.Installation.Account)
		return h.db.EnqueueInstallation(ctx, &delivery, *change)
	}
	if push.Package != nil {
		return h.recordPackage(ctx, row, push, delivery)
	}
	return h.db.EnqueuePush(ctx, &delivery, push.Repository.ExternalID,
		func(del *db.Delivery, repo db.Repository, workloads []db.Workload) []db.Deployment {
			return aim(push, del, repo, workloads)
		})
}

// aim is a db.Aim for a push.
func aim(push app.Push, del *db.Delivery, repo db.Repository, workloads []db.Workload) []db.Deployment {
	if repo.ID == 0 {
		del.Decision = "no workload uses " + push.Repository.FullName
		return nil
	}
	sent := push.Repository
	sent.DefaultBranch = cmp.Or(sent.DefaultBranch, repo.DefaultBranch)
	if push.RepositorySigned {
		sent.FullName = repo.FullName // its own administrators could make it another's
	}
	del.Seen = news(repo, sent)
	moved, decision := match(push, sent, workloads)
	del.Decision = decision
	return deployments(push, moved)
}

// recordUnread puts a delivery that cannot be read into the database, with the reason. It goes by its text there, not by the
// forge's id of it: sent again, it is to be read by a version that can.
func (h *Handler) recordUnread(ctx context.Context, row db.Forge, body []byte, reason error) (db.Enqueued, error) {
	return h.db.Enqueue(ctx, &db.Delivery{
		ForgeID: row.ID, ExternalID: fmt.Sprintf("unread %x", sha256.Sum256(body)), Event: "unread", Decision: reason.Error(),
		Under: row.Sealed,
	}, nil)
}

// news is what a push says of its repository, nil when the row says the same: a repository may be renamed, made private or
// shown to us again without an event.
func news(row, sent db.Repository) *db.Repository {
	same := sent.FullName == row.FullName && sent.DefaultBranch == row.DefaultBranch && sent.Private == row.Private
	if same && !row.Removed {
		return nil
	}
	sent.ForgeID = row.ForgeID
	return &sent
}

func deployments(push app.Push, workloads []db.Workload) []db.Deployment {
	var list []db.Deployment
	for _, w := range workloads {
		list = append(list, db.Deployment{
			WorkloadID: w.ID, Ref: push.Ref, Commit: push.Commit, Message: push.Message, Author: push.Author,
		})
	}
	return list
}

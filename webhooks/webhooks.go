// Package webhooks receives the forges' deliveries. A request is answered when its delivery, and the deployments that it
// asks for, are in the database, and no later; no request starts work of its own.
package webhooks

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"tinyforge/app"
	"tinyforge/db"
)

// MaxBody is the size of the largest delivery: GitHub and GitLab send none above 25 MB.
const MaxBody = 25 << 20

// patience is how long a delivery may take to be recorded.
const patience = 30 * time.Second

// Handler answers POST /webhooks/{forge}. The address names the forge, so that its secret is known before a byte of the
// body is looked at.
type Handler struct {
	db   *db.DB
	open func(row db.Forge) (app.Forge, error)
	log  *slog.Logger
}

// New makes a handler. open opens a forge from its row.
func New(d *db.DB, open func(row db.Forge) (app.Forge, error), log *slog.Logger) *Handler {
	return &Handler{db: d, open: open, log: log}
}

// Answer is the body of every answer.
type Answer struct {
	Decision    string  `json:"decision"`
	Deployments []int64 `json:"deployments,omitempty"`
}

// ServeHTTP answers 202 when deployments were queued and 200 when an authentic delivery asks for none, since some forges
// disable a hook that is answered 4xx. It answers 401 for a wrong or absent signature, 404 for an unknown forge, 413 for
// too large a body, 400 for an authentic body that cannot be read, and 500 or 503 when the delivery is not recorded.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("forge")
	code, answer := h.receive(w, r, name)
	level := slog.LevelInfo
	if code >= 400 {
		level = slog.LevelWarn
	}
	h.log.Log(r.Context(), level, "delivery", "forge", name, "code", code, "decision", answer.Decision,
		"deployments", answer.Deployments)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(answer)
}

func (h *Handler) receive(w http.ResponseWriter, r *http.Request, name string) (int, Answer) {
	ctx := r.Context()
	row, err := h.forge(ctx, name)
	switch {
	case errors.Is(err, db.ErrNotFound):
		return http.StatusNotFound, Answer{Decision: "unknown forge: check the webhook's address"}
	case err != nil:
		return h.unavailable(ctx, err)
	}
	body, code, problem := read(w, r)
	if problem != "" {
		return code, Answer{Decision: problem}
	}
	forge, err := h.open(row)
	if err != nil {
		return h.unavailable(ctx, err)
	}
	push, err := forge.Push(r.Header, body)
	switch {
	case errors.Is(err, app.ErrSignature):
		return http.StatusUnauthorized, Answer{Decision: "the signature does not verify: check the webhook's secret"}
	case errors.Is(err, app.ErrIgnored):
		return http.StatusOK, Answer{Decision: err.Error()}
	case err != nil:
		return http.StatusBadRequest, Answer{Decision: err.Error()}
	}
	// It is authentic and complete: a forge that no longer waits for the answer does not send it again.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	out, err := h.record(ctx, row, push)
	switch {
	case err != nil:
		return h.unavailable(ctx, err)
	case out.Duplicate:
		return http.StatusOK, Answer{Decision: "received before: " + out.Decision}
	case len(out.Deployments) > 0:
		return http.StatusAccepted, Answer{Decision: out.Decision, Deployments: out.Deployments}
	}
	return http.StatusOK, Answer{Decision: out.Decision}
}

// forge returns the row that the address names. A zero byte, which anybody can send, is in no name: SQLite takes it for an
// error of ours, and PostgreSQL would not see it.
func (h *Handler) forge(ctx context.Context, name string) (db.Forge, error) {
	if strings.ContainsRune(name, 0) {
		return db.Forge{}, db.ErrNotFound
	}
	return h.db.ForgeByName(ctx, name)
}

// read returns the body, or what is wrong with it.
func read(w http.ResponseWriter, r *http.Request) (body []byte, code int, problem string) {
	const tooLarge = "larger than 25 MB"
	if r.ContentLength > MaxBody {
		return nil, http.StatusRequestEntityTooLarge, tooLarge
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	if _, over := errors.AsType[*http.MaxBytesError](err); over {
		return nil, http.StatusRequestEntityTooLarge, tooLarge
	}
	if err != nil {
		return nil, http.StatusBadRequest, "the body broke off"
	}
	return body, 0, ""
}

// unavailable makes the forge show the delivery as failed, so that somebody can send it again.
func (h *Handler) unavailable(ctx context.Context, err error) (int, Answer) {
	h.log.ErrorContext(ctx, "receive delivery", "error", err)
	return http.StatusServiceUnavailable, Answer{Decision: "not recorded: send it again"}
}

// record puts the delivery and what it asks for into the database.
func (h *Handler) record(ctx context.Context, row db.Forge, push app.Push) (db.Enqueued, error) {
	delivery := db.Delivery{
		ForgeID: row.ID, ExternalID: push.DeliveryID, Event: push.Event,
		Ref: push.Ref, Before: push.Before, After: push.After,
	}
	if change := push.Installation; change != nil {
		change.Installation.ForgeID = row.ID
		delivery.Decision = fmt.Sprintf("installation of %s noted", change.Installation.Account)
		return h.db.EnqueueInstallation(ctx, &delivery, *change)
	}
	repo, err := h.db.RepositoryByExternalID(ctx, row.ID, push.Repository.ExternalID)
	switch {
	case errors.Is(err, db.ErrNotFound):
		delivery.Decision = "no workload uses " + push.Repository.FullName
		return h.db.Enqueue(ctx, &delivery, nil)
	case err != nil:
		return db.Enqueued{}, err
	}
	sent := push.Repository
	sent.DefaultBranch = cmp.Or(sent.DefaultBranch, repo.DefaultBranch)
	delivery.RepositoryID, delivery.Seen = repo.ID, news(repo, sent)
	workloads, err := h.db.WorkloadsOf(ctx, repo.ID)
	if err != nil {
		return db.Enqueued{}, err
	}
	moved, decision := match(push, sent, workloads)
	delivery.Decision = decision
	return h.db.Enqueue(ctx, &delivery, deployments(push, moved))
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

package main

import (
	"context"
	"maps"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
)

// receivers starts all of them; they end with the stage. The first one is Tinyforge on SQLite.
func (h *hookSite) receivers(ctx context.Context, s *stage) ([]*receiver, error) {
	s.add(func() {
		_ = exec.CommandContext(context.WithoutCancel(ctx), "docker", "network", "rm", hookNetwork).Run()
	})
	mine, err := h.postgres.database(ctx, "mine")
	if err != nil {
		return nil, err
	}
	theirs, err := h.postgres.database(ctx, "theirs")
	if err != nil {
		return nil, err
	}
	var all []*receiver
	for _, begin := range []func() (*receiver, error){
		func() (*receiver, error) { return h.startTinyforge(ctx, s, ours, "", "live") },
		func() (*receiver, error) {
			r, err := h.startTinyforge(ctx, s, oursQueueing, "", "main")
			if err == nil {
				r.answers = http.StatusAccepted
			}
			return r, err
		},
		func() (*receiver, error) { return h.startTinyforge(ctx, s, oursOnPostgres, mine, "live") },
		func() (*receiver, error) { return h.startWebhook(ctx, s, hookWaits, true) },
		func() (*receiver, error) { return h.startWebhook(ctx, s, hookAnswers, false) },
		func() (*receiver, error) { return h.startVerifier(ctx, s, verifyOnly, "") },
		func() (*receiver, error) {
			return h.startVerifier(ctx, s, rowOnSQLite, "sqlite://"+filepath.Join(s.dir, "rows.db"))
		},
		func() (*receiver, error) {
			r, err := h.startVerifier(ctx, s, rowOnPostgres, theirs)
			if err == nil {
				r.also = h.postgres.process
			}
			return r, err
		},
	} {
		r, err := begin()
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

// startWebhook runs adnanh/webhook with one hook as its manual has it for GitHub. It answers when the command has ended, or first.
func (h *hookSite) startWebhook(ctx context.Context, s *stage, name string, waits bool) (*receiver, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	file := "hooks-answers.json"
	if waits {
		file = "hooks-waits.json"
	}
	hooks, err := s.write(file, `[{
  "id": "push",
  "execute-command": "/bin/true",
  "include-command-output-in-response": %t,
  "trigger-rule-mismatch-http-response-code": 401,
  "trigger-rule": {"match": {"type": "payload-hmac-sha256", "secret": "%s", "parameter": {"source": "header", "name": "X-Hub-Signature-256"}}}
}]`, waits, h.secret)
	if err != nil {
		return nil, err
	}
	ip, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	r := &receiver{name: name, address: address, path: "/hooks/push", answers: http.StatusOK}
	return r, r.begin(ctx, s, strings.TrimSuffix(file, ".json"), "webhook", "-hooks", hooks, "-ip", ip, "-port", port)
}

// startVerifier runs this program as one that checks signatures, and inserts a row of each delivery where there is a database.
func (h *hookSite) startVerifier(ctx context.Context, s *stage, name, database string) (*receiver, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	r := &receiver{name: name, address: address, path: "/webhooks", answers: http.StatusAccepted, database: database}
	args := []string{"peer", "verify", address, h.secret}
	if database != "" {
		args = append(args, database)
	}
	scheme, _, _ := strings.Cut(database, ":")
	return r, r.begin(ctx, s, "verify"+scheme, s.self, args...)
}

// begin starts its program and waits until it listens.
func (r *receiver) begin(ctx context.Context, s *stage, log, command string, args ...string) (err error) {
	if r.process, err = start(s.dir, log, nil, command, args...); err != nil {
		return err
	}
	s.add(r.kill)
	return r.process.answers(ctx, r.address)
}

// hookVersions are those of who takes deliveries in, and of what they are made of.
func hookVersions() map[string]string {
	_, version, _ := strings.Cut(output("webhook", "-version"), "version ")
	versions := map[string]string{
		hookWaits:    version,
		"PostgreSQL": postgresVersion(),
		"SQLite":     "modernc.org/sqlite " + moduleVersion("modernc.org/sqlite"),
		verifyOnly:   "go-github " + moduleVersion("github.com/google/go-github/v62"),
	}
	maps.DeleteFunc(versions, func(_, version string) bool { return version == "" }) // not installed
	return versions
}

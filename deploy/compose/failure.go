package compose

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"tinyforge/db"
	"tinyforge/deploy"
	"tinyforge/deploy/shorten"
)

// failure says what is wrong with a container of a release, nil when nothing is.
func (m member) failure(id db.ReleaseID) error {
	s := m.detail.State
	name, ended := "Service "+m.service(), deploy.FaultOf("exited", "code", strconv.Itoa(s.ExitCode))
	switch {
	case s.OOMKilled:
		return &deploy.Failure{Text: name + " ran out of memory and was killed: raise its mem_limit", Fault: deploy.FaultOf("oom")}
	case s.Health != nil && s.Health.Status == container.Unhealthy:
		return &deploy.Failure{Text: name + " is unhealthy: its healthcheck fails"}
	case s.Running && !s.Restarting && m.restarts(id) >= crashes: // with what exit code is forgotten by now
		return &deploy.Failure{Text: name + " ended by itself and had to be restarted", Fault: deploy.FaultOf("restarted")}
	case s.Restarting, m.restarts(id) >= crashes:
		return &deploy.Failure{Text: fmt.Sprintf("%s ended with exit code %d and had to be restarted", name, s.ExitCode), Fault: ended}
	case s.Status == container.StateExited && (s.ExitCode != 0 || !m.job()):
		return &deploy.Failure{Text: fmt.Sprintf("%s ended with exit code %d", name, s.ExitCode), Fault: ended}
	}
	return nil
}

// why says why an up failed: the container that is to blame or, where none is, what Docker said. One that the up has ended
// to replace it is not to blame.
func (r *Runtime) why(ctx context.Context, release db.Release, cause error) error {
	if ctx.Err() != nil {
		return cause
	}
	s, err := r.stack(ctx, projectName(release.Workload))
	if err != nil {
		return errors.Join(cause, err)
	}
	for _, m := range s.members {
		old := m.release() != release.ID && m.detail.State.Status == container.StateExited
		if err := m.failure(release.ID); err != nil && !old && m.named(cause) {
			return &deploy.Failure{Text: err.Error(), Err: cause}
		}
	}
	text := strings.TrimPrefix(strings.TrimSpace(cause.Error()), "Error response from daemon: ")
	text, _, _ = strings.Cut(text, "\n")
	switch {
	case deploy.IsFull(text):
		return &deploy.Failure{Text: deploy.FullText, Err: cause}
	case strings.Contains(text, "port is already allocated"), strings.Contains(text, "address already in use"):
		return &deploy.Failure{Text: "A port of the machine that the stack wants is taken: " + shorten.Typed(text), Fault: portBusy(text), Err: cause}
	case strings.Contains(strings.ToLower(text), "no such image"):
		return &deploy.Failure{Text: "An image of the stack is gone from Docker: deploy again to make it anew", Err: cause}
	case strings.Contains(text, "timeout waiting for dependencies"):
		return &deploy.Failure{Text: fmt.Sprintf("A service did not get ready within %s, and others wait for it%s", r.cfg.Patience, s.starting()), Err: cause}
	}
	return &deploy.Failure{Text: "The stack could not start: " + shortest(text), Err: cause}
}

// named tells whether an error speaks of the container or its service.
func (m member) named(cause error) bool {
	return strings.Contains(cause.Error(), strings.TrimPrefix(m.detail.Name, "/")) ||
		strings.Contains(cause.Error(), `"`+m.service()+`"`)
}

// starting names a service whose health is not known yet.
func (s *stack) starting() string {
	for _, m := range s.members {
		if h := m.detail.State.Health; h != nil && h.Status == container.Starting {
			return ": " + m.service()
		}
	}
	return ""
}

// shortest keeps the end of a chain of causes, which is what concerns the user.
func shortest(text string) string {
	if _, after, found := strings.Cut(text, "unable to start container process: "); found {
		text = after
	}
	return shorten.To(text, 200)
}

// explain gives an error of the libraries the words of this package.
func (r *Runtime) explain(op string, err error) error {
	var failure *deploy.Failure
	switch {
	case err == nil:
		return nil
	case errors.As(err, &failure):
		return failure
	case deploy.IsFull(err.Error()):
		return &deploy.Failure{Text: deploy.FullText, Err: fmt.Errorf("%s: %w", op, err)}
	case client.IsErrConnectionFailed(err), deploy.IsBroken(err):
		return &deploy.Failure{Text: "Docker is not reachable: is it running?", Err: fmt.Errorf("%s at %s: %w", op, r.docker.DaemonHost(), err)}
	}
	return fmt.Errorf("%s: %w", op, err)
}

var boundPort = regexp.MustCompile(`[0-9\]]:([0-9]{1,5})\b`)

// portBusy is the code of a port that is taken, where Docker says which.
func portBusy(text string) *db.Fault {
	port := boundPort.FindStringSubmatch(text)
	if port == nil {
		return nil
	}
	return deploy.FaultOf("host_port_busy", "port", port[1])
}

package docker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/docker/docker/client"

	"tinyforge/deploy"
)

// explain gives an error of the SDK the words of this package: a *deploy.Failure where the user can do something about it,
// else the operation. nil stays nil. Docker's address is for the log alone: a commit's status is read by others.
func (e *Engine) explain(op string, err error) error {
	var failure *deploy.Failure
	switch {
	case err == nil:
		return nil
	case errors.As(err, &failure):
		return failure
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%s: %w", op, err)
	case deploy.IsFull(err.Error()):
		return &deploy.Failure{Text: deploy.FullText, Err: fmt.Errorf("%s: %w", op, err)}
	case isRefused(err):
		return &deploy.Failure{Text: "Docker refuses us: is Tinyforge's user in the group docker?", Err: fmt.Errorf("%s at %s: %w", op, e.docker.DaemonHost(), err)}
	case isUnreachable(err):
		return &deploy.Failure{Text: "Docker is not reachable: is it running?", Err: fmt.Errorf("%s at %s: %w", op, e.docker.DaemonHost(), err)}
	}
	return fmt.Errorf("%s: %w", op, err)
}

func isRefused(err error) bool {
	return isUnreachable(err) && (errors.Is(err, fs.ErrPermission) || strings.Contains(err.Error(), "permission denied"))
}

// isUnreachable tells whether the connection could not be made, or broke.
func isUnreachable(err error) bool {
	return client.IsErrConnectionFailed(err) || deploy.IsBroken(err)
}

// isOutside tells whether an error says nothing about the container: explain finds better words.
func isOutside(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || deploy.IsFull(err.Error()) || isUnreachable(err)
}

// daemonText is what the engine said, without what the SDK puts before it.
func daemonText(err error) string {
	return cleanLine(strings.TrimPrefix(err.Error(), "Error response from daemon: "))
}

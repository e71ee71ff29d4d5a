package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// errRemote is wrapped with what is wrong with a remote's address.
var errRemote = errors.New("the repository's address is not usable")

// errElsewhere is an answer that names another address to go on at.
var errElsewhere = errors.New("the forge sent git on to another address, which is not followed")

var gitStatus = regexp.MustCompile(`requested URL returned error: (\d{3})\b`)

// gitError says in words of ours why git failed. What it wrote once it has spoken to a server is only looked at, never shown: a
// server can make it quote what it was sent.
func gitError(ctx context.Context, op string, remote Remote, err error) error {
	if tooMuch, ok := errors.AsType[*tooMuchError](err); ok {
		return fmt.Errorf("%s: %w", op, tooMuch)
	}
	failure, ok := errors.AsType[*gitFailure](err)
	if !ok || ctx.Err() != nil {
		return CallError(ctx, op, err)
	}
	if errors.Is(err, errAnswerTooLarge) {
		return fmt.Errorf("%s: %w", op, errAnswerTooLarge)
	}
	text := ownLines(failure.stderr)
	says := func(phrases ...string) bool {
		for _, phrase := range phrases {
			if strings.Contains(text, phrase) {
				return true
			}
		}
		return false
	}
	switch m := gitStatus.FindStringSubmatch(text); {
	case says("http-fetch"): // what asks for a pack at another address; what became of that does not matter
		return fmt.Errorf("%s: %w", op, errElsewhere)
	case m != nil:
		code, _ := strconv.Atoi(m[1])
		return &StatusError{Op: op, Code: code}
	case says("could not read Username", "could not read Password", "Authentication failed"):
		return &StatusError{Op: op, Code: 401}
	case says("repository 'http") && says("not found"):
		return &StatusError{Op: op, Code: 404}
	case says("not our ref", "couldn't find remote ref", "unable to read tree", "reference is not a tree", "Not a valid object name"):
		return fmt.Errorf("%s: %w", op, ErrNoCommit)
	case says("unadvertised object"):
		return fmt.Errorf("%s: the forge does not let a commit be fetched by its hash (uploadpack.allowReachableSHA1InWant)", op)
	case says("Failed to connect", "Couldn't connect", "Connection refused", "No route to host"):
		return fmt.Errorf("%s: cannot connect to %s", op, remote)
	case says("too slow", "timed out", "Timeout"):
		return fmt.Errorf("%s: %w", op, errNoAnswer)
	case says("SSL", "certificate", "TLS"):
		return fmt.Errorf("%s: no trusted TLS connection to the forge; is its certificate valid, and its authority among the system's?", op)
	case says("Out of memory", "out of memory", "File too large"): // see processLimits
		return fmt.Errorf("%s: %w", op, errAnswerTooLarge)
	case says("No space left on device"):
		return fmt.Errorf("%s: no space left on device", op)
	case says("is this a git repository", "dumb http transport", "invalid server response", "protocol error", "bad line length"):
		return fmt.Errorf("%s: %w", op, errUnreadable)
	case says("early EOF", "hung up", "Empty reply", "Recv failure", "transfer closed"):
		return fmt.Errorf("%s: %w", op, errCutOff)
	}
	return fmt.Errorf("%s: git %s failed (%w)", op, failure.command, failure.err)
}

// ownLines drops the lines that are the server's own words.
func ownLines(stderr []byte) string {
	var b strings.Builder
	for line := range bytes.Lines(stderr) {
		if !bytes.HasPrefix(line, []byte("remote: ")) {
			b.Write(line)
		}
	}
	return b.String()
}

package docker

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"tinyforge/db"
	"tinyforge/deploy"
	"tinyforge/deploy/redact"
	"tinyforge/deploy/shorten"
)

// textLimit is what a commit status holds, in characters.
const textLimit = 140

var (
	// exitCode finds the exit code of a step, as every BuildKit tells it.
	exitCode = regexp.MustCompile(`exit code: (\d+)`)

	// preamble is what BuildKit puts before the reason.
	preamble = regexp.MustCompile(`^(?:failed to solve with frontend [^:]+: |failed to solve: |failed to create LLB definition: |` +
		`failed to build LLB: |rpc error: code = \w+ desc = |failed to compute cache key: |failed to calculate checksum of ref [^:]+::?[^:]*: )+`)

	// stage is where BuildKit says that a step is: "[build 2/4] ".
	stage = regexp.MustCompile(`^\[[^\]]*\] `)

	// flags are those of an instruction: "RUN --mount=type=cache,target=/root make".
	flags = regexp.MustCompile(`^(\w+) (?:--\S+ )+`)
)

// buildFailure says in one short sentence why a build failed, without secrets. failed is the step that did, nil when it
// failed before the first; text is the builder's error.
func buildFailure(text string, failed *step, blot *redact.Redactor) error {
	text = blot.String(shown(text))
	if failed != nil { // before anything is cut, which could leave half a secret
		failed = &step{name: blot.String(shown(failed.name)), err: blot.String(shown(failed.err)), full: failed.full}
	}
	return &deploy.Failure{Text: shorten.To(buildText(text, failed), textLimit), Fault: buildFault(text, failed), Err: errors.New(text)}
}

// buildFault is the code of a step that ended with an exit code, nil for what else went wrong.
func buildFault(text string, failed *step) *db.Fault {
	if failed == nil || failed.full || deploy.IsFull(text) {
		return nil
	}
	code := exitCode.FindStringSubmatch(failed.err + "\n" + text)
	if code == nil {
		return nil
	}
	return deploy.FaultOf("build_exit", "step", failed.title(), "code", code[1])
}

// title is the step as its Dockerfile has it, shortened.
func (s *step) title() string {
	return shorten.To(flags.ReplaceAllString(stage.ReplaceAllString(s.name, ""), "$1 "), 60)
}

func buildText(text string, failed *step) string {
	if deploy.IsFull(text) {
		return deploy.FullText
	}
	if failed == nil {
		return "Build failed: " + solveText(text)
	}
	if base, found := strings.CutPrefix(failed.name, "[internal] load metadata for "); found {
		return fmt.Sprintf("Build failed: base image %s: %s", shorten.To(base, 60), baseText(solveText(failed.err)))
	}
	name := failed.title()
	code := exitCode.FindStringSubmatch(failed.err + "\n" + text)
	switch {
	case code != nil && failed.full:
		return fmt.Sprintf("Build failed: step `%s` exited with %s: no space left on device", name, code[1])
	case code != nil:
		return fmt.Sprintf("Build failed: step `%s` exited with %s", name, code[1])
	case failed.internal():
		return "Build failed: " + solveText(failed.err)
	}
	return fmt.Sprintf("Build failed: step `%s`: %s", name, solveText(failed.err))
}

// baseText differs from registryText in that there is no account to correct.
func baseText(text string) string {
	if isUnauthorized(text) {
		return "its registry wants an account, and builds have none"
	}
	return cmp.Or(registryText(text), "it could not be pulled; the log says why")
}

// solveText is the builder's error without its preamble and in one line.
func solveText(text string) string {
	text = cleanLine(preamble.ReplaceAllString(strings.TrimSpace(text), ""))
	for strings.HasSuffix(text, "not found: not found") {
		text = strings.TrimSuffix(text, ": not found")
	}
	return text
}

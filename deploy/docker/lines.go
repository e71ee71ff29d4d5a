package docker

import (
	"fmt"
	"io"

	"tinyforge/deploy/redact"
)

// lines is a log in which the values of secrets are blotted out.
type lines struct {
	w    io.Writer
	blot *redact.Redactor
}

// emit writes one line. A log that cannot be written is no reason to stop a build.
func (l *lines) emit(line string) { _, _ = fmt.Fprintln(l.w, l.blot.String(line)) }

// blotter takes the build's own secrets out of each line, and out of what a failure says before that is cut.
func blotter(secrets map[string]string) *redact.Redactor {
	var all []redact.Secret
	for name, value := range secrets {
		all = append(all, redact.Secret{Name: name, Value: value})
	}
	return redact.New(all...)
}

package docker

import (
	"fmt"
	"io"
	"regexp"

	"tinyforge/deploy/redact"
)

// lines is a log in which the values of secrets are blotted out.
type lines struct {
	w    io.Writer
	blot *redact.Redactor
}

// emit writes one line. A log that cannot be written is no reason to stop a build.
func (l *lines) emit(line string) { _, _ = fmt.Fprintln(l.w, l.blot.String(shown(line))) }

// sealed matches the names of images that were built here, and those that Push gives them, with what nobody can guess of them.
var sealed = regexp.MustCompile(`((?:^|:)[0-9]+)(?:-|(\.[a-z0-9-]+)\.)[0-9a-f]{32}`)

// shown is a text in which nobody reads how an image is named in whole.
func shown(text string) string { return sealed.ReplaceAllString(text, "$1$2") }

// pin matches what follows an image's name where it is pinned to a digest, also one that was cut.
var pin = regexp.MustCompile(`(:[\w.-]+)?@sha256:[0-9a-f]*`)

// unpinned is a text that names images by their repository alone: who knows a digest can read the image where an engine has it.
func unpinned(text string) string { return pin.ReplaceAllString(text, "") }

// blotter takes the build's own secrets out of each line, and out of what a failure says before that is cut.
func blotter(secrets map[string]string) *redact.Redactor {
	var all []redact.Secret
	for name, value := range secrets {
		all = append(all, redact.Secret{Name: name, Value: value})
	}
	return redact.New(all...)
}

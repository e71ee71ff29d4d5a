package docker

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
)

// lines is a log in which the values of secrets are blotted out.
type lines struct {
	w    io.Writer
	blot *strings.Replacer
}

// emit writes one line. A log that cannot be written is no reason to stop a build.
func (l *lines) emit(line string) { _, _ = fmt.Fprintln(l.w, l.blot.Replace(line)) }

// blotter replaces the values of secrets, the single lines of those with several, and longer values before shorter ones.
// Values of less than four bytes are left: they are in every text.
func blotter(secrets map[string]string) *strings.Replacer {
	var values []string
	for _, secret := range secrets {
		values = append(values, secret)
		for line := range strings.Lines(secret) {
			values = append(values, strings.TrimSpace(line))
		}
	}
	values = slices.DeleteFunc(values, func(v string) bool { return len(v) < 4 })
	slices.SortFunc(values, func(a, b string) int { return cmp.Or(len(b)-len(a), cmp.Compare(a, b)) })
	pairs := make([]string, 0, 2*len(values))
	for _, v := range slices.Compact(values) {
		pairs = append(pairs, v, "[secret]")
	}
	return strings.NewReplacer(pairs...)
}

package main

import (
	"fmt"
	"slices"
	"strings"

	"tinyforge/deploy/shorten"
)

// otherNames are what people call the sources elsewhere.
func otherNames() map[string]string {
	return map[string]string{
		"deno": "static", "site": "static", "html": "static", "files": "static", "spa": "static",
		"docker": "dockerfile", "build": "dockerfile", "docker-image": "image", "container": "image",
		"docker-compose": "compose", "stack": "compose",
	}
}

// addedTo is what a source's config needs besides to be what somebody called otherwise.
func addedTo() map[string]string {
	return map[string]string{"deno": `, with "mode: deno" in its config`, "spa": `, with "spa: true" in its config`}
}

// checkSource names the source that was probably meant.
func (r *manifestReader) checkSource(s string) string {
	known := sortedKeys(r.sources)
	if slices.Contains(known, s) {
		return ""
	}
	word := strings.ToLower(s)
	meant := word
	if name, ok := otherNames()[word]; ok {
		meant = name
	}
	if slices.Contains(known, meant) {
		return fmt.Sprintf("there is no source %q: use %s%s", shorten.Typed(s), meant, addedTo()[word])
	}
	return unknownWord(s, known)
}

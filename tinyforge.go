// Package tinyforge holds what belongs to the repository as a whole.
package tinyforge

import _ "embed"

// AppManifest is app.yml, the manifest of the GitHub App: all it may do, and all the events it gets.
//
//go:embed app.yml
var AppManifest string

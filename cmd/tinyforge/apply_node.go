package main

import (
	"fmt"
	"strings"

	"tinyforge/deploy/shorten"
)

// manifestNode is a value of a manifest with its place in the file. Aliases are expanded.
type manifestNode struct {
	path         string // "workloads[0].host"; "" is the whole file
	line, column int    // of the key, or of the list's entry
	value        any    // nil, bool, int64, uint64, float64, string, []*manifestNode, []manifestMember
}

// manifestMember is one key of an object with its value. No key occurs twice in an object.
type manifestMember struct {
	key  string
	node *manifestNode
}

// get returns the value of a key of an object, or nil when it is absent or null.
func (n *manifestNode) get(key string) *manifestNode {
	members, _ := n.value.([]manifestMember)
	for _, m := range members {
		if m.key == key && m.node.value != nil {
			return m.node
		}
	}
	return nil
}

// orEmpty returns a value of no type in place of nil.
func (n *manifestNode) orEmpty() *manifestNode {
	if n == nil {
		return &manifestNode{}
	}
	return n
}

// fault says what is wrong with the value.
func (n *manifestNode) fault(format string, args ...any) manifestFault {
	return manifestFault{Path: n.path, Line: n.line, Column: n.column, Text: fmt.Sprintf(format, args...)}
}

// missing says that the value, an object, lacks a key.
func (n *manifestNode) missing(key string) manifestFault {
	f := n.fault("is required")
	f.Path = joinPath(n.path, key)
	return f
}

// find returns the value at a path below this one, as far as it exists: where "healthcheck.path" is asked for and is not
// there, healthcheck is the place to look at.
func (n *manifestNode) find(path string) *manifestNode {
	for child := range n.children() {
		below, ok := strings.CutPrefix(path, child.path)
		if ok && (below == "" || below[0] == '.' || below[0] == '[') {
			return child.find(path)
		}
	}
	return n
}

func (n *manifestNode) children() func(yield func(*manifestNode) bool) {
	return func(yield func(*manifestNode) bool) {
		switch v := n.value.(type) {
		case []*manifestNode:
			for _, item := range v {
				if !yield(item) {
					return
				}
			}
		case []manifestMember:
			for _, m := range v {
				if !yield(m.node) {
					return
				}
			}
		}
	}
}

// joinPath and itemPath write paths as the sources' faults do.
func joinPath(path, key string) string {
	key = shorten.Typed(key)
	if key == "" || strings.ContainsAny(key, ".[]\"\\ :\n\t") {
		return fmt.Sprintf("%s[%q]", path, key)
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

func itemPath(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }

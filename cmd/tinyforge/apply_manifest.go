package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"tinyforge/deploy"
	"tinyforge/deploy/shorten"
	"tinyforge/deploy/source"
)

// manifest is a file for tinyforge apply.
type manifest struct {
	forges    []manifestForge
	workloads []manifestWorkload
}

func (m manifest) hasForge(name string) bool {
	return slices.ContainsFunc(m.forges, func(f manifestForge) bool { return f.row.Name == name })
}

func (m manifest) hasWorkload(name string) bool {
	return slices.ContainsFunc(m.workloads, func(w manifestWorkload) bool { return w.row.Name == name })
}

// manifestReader reads and checks a manifest as far as that needs neither the database nor a forge.
type manifestReader struct {
	references references
	sources    map[string]deploy.Source
	known      []string // names of forges that the database has
	prune      bool

	faults   manifestFaults // what was found so far
	warnings manifestFaults // what is not wrong, and should be changed all the same
}

// read returns what could be read; all that is wrong is added to faults.
func (r *manifestReader) read(text []byte) (m manifest) {
	root, faults := readYAML(text)
	r.faults = append(r.faults, faults...)
	if root == nil {
		return m
	}
	if root.value == nil {
		r.add(manifestFault{Text: "is empty: it needs forges and workloads"})
		return m
	}
	if !r.object(root, "forges", "workloads") {
		return m
	}
	r.demandForPrune(root, "forges", "workloads")
	for _, n := range r.list(root.get("forges")) {
		m.forges = append(m.forges, r.forge(n))
	}
	r.unique(m.forgeNames())
	for _, n := range r.list(root.get("workloads")) {
		m.workloads = append(m.workloads, r.workload(n, m.forges))
	}
	r.unique(m.workloadNames())
	r.unique(m.hosts())
	return m
}

// demandForPrune keeps a file that was cut off from deleting everything.
func (r *manifestReader) demandForPrune(root *manifestNode, keys ...string) {
	for _, key := range keys {
		if r.prune && root.get(key) == nil {
			f := root.missing(key)
			f.Text = fmt.Sprintf("is missing: with --prune, write %q to delete all of them", key+": []")
			r.add(f)
		}
	}
}

func (m manifest) forgeNames() (nodes []*manifestNode, what, hint string) {
	for _, f := range m.forges {
		nodes = append(nodes, f.at.get("name"))
	}
	return nodes, "name", ""
}

func (m manifest) workloadNames() (nodes []*manifestNode, what, hint string) {
	for _, w := range m.workloads {
		nodes = append(nodes, w.at.get("name"))
	}
	return nodes, "name", ""
}

func (m manifest) hosts() (nodes []*manifestNode, what, hint string) {
	for _, w := range m.workloads {
		for _, h := range w.hosts {
			nodes = append(nodes, h.at)
		}
	}
	return nodes, "host", ": it can lead to one place only, so leave one of them out"
}

// unique demands that no two of the strings are the same.
func (r *manifestReader) unique(nodes []*manifestNode, what, hint string) {
	first := map[string]*manifestNode{}
	for _, n := range nodes {
		if n == nil {
			continue
		}
		text, _ := n.value.(string)
		if other := first[text]; other != nil && text != "" {
			r.add(n.fault("is the same %s as %s (line %d)%s", what, other.path, other.line, hint))
			continue
		}
		first[text] = n
	}
}

func (r *manifestReader) add(f manifestFault) { r.faults = append(r.faults, f) }

// object tells whether n is an object, and reports the keys that are not known.
func (r *manifestReader) object(n *manifestNode, known ...string) bool {
	members, ok := n.value.([]manifestMember)
	if !ok {
		r.add(n.fault("must be an object with %s", strings.Join(known, ", ")))
		return false
	}
	for _, m := range members {
		if !slices.Contains(known, m.key) {
			r.add(m.node.fault("%s", source.UnknownKey(m.key, known)))
		}
	}
	return true
}

// required reports the keys that are absent.
func (r *manifestReader) required(n *manifestNode, keys ...string) {
	for _, key := range keys {
		if n.get(key) == nil {
			r.add(n.missing(key))
		}
	}
}

// text, flag, number, list and texts return the zero value for a nil node, and for one of another type, which they report.
func (r *manifestReader) text(n *manifestNode) string {
	return scalar[string](r, n, "must be a string, in quotes")
}

func (r *manifestReader) flag(n *manifestNode) bool {
	return scalar[bool](r, n, "must be true or false")
}

func (r *manifestReader) number(n *manifestNode) int64 {
	if n != nil {
		switch v := n.value.(type) {
		case uint64:
			if int64(v) > 0 {
				return int64(v)
			}
		case int64:
			if v > 0 {
				return v
			}
		}
		r.add(n.fault("must be a whole number above 0, without quotes"))
	}
	return 0
}

func (r *manifestReader) list(n *manifestNode) []*manifestNode {
	text := "must be a list"
	if n != nil {
		if example, ok := listExamples()[n.path[strings.LastIndexByte(n.path, '.')+1:]]; ok {
			text += ", such as " + example
		}
	}
	return scalar[[]*manifestNode](r, n, text)
}

// listExamples are right lists, by their key.
func listExamples() map[string]string {
	return map[string]string{
		"paths": `["app/**"]`, "networks": "[private]", "hosts": "[shop.example.com]", "redirects": "[example.com]", "prefixes": "[/app]",
		"basic_auth": "[{username: ann, password: env:ANN_PASSWORD}]",
		"forges":     "[{name: git, kind: gitea, url: https://git.example.com, token: env:TOKEN}]",
		"workloads":  "[{name: web, forge: git, repository: acme/site, source: dockerfile}]",
	}
}

func scalar[T any](r *manifestReader, n *manifestNode, otherwise string) (v T) {
	if n == nil {
		return v
	}
	v, ok := n.value.(T)
	if !ok {
		r.add(n.fault("%s", otherwise))
	}
	return v
}

// texts returns the strings of a list; check reports what is wrong with one.
func (r *manifestReader) texts(n *manifestNode, check func(string) string) []string {
	var all []string
	for _, item := range r.list(n) {
		text, ok := item.value.(string)
		if !ok {
			r.add(item.fault("must be a string, in quotes"))
			continue
		}
		if problem := check(text); problem != "" {
			r.add(item.fault("%s", problem))
		}
		all = append(all, text)
	}
	return all
}

// checked is text for a string that check may find something wrong with.
func (r *manifestReader) checked(n *manifestNode, check func(string) string) string {
	text := r.text(n)
	if n == nil {
		return ""
	}
	if _, ok := n.value.(string); !ok {
		return ""
	}
	if problem := check(text); problem != "" {
		r.add(n.fault("%s", problem))
	}
	return text
}

// oneOf is text for one of the known words.
func (r *manifestReader) oneOf(n *manifestNode, known []string) string {
	return r.checked(n, func(s string) string {
		if slices.Contains(known, s) {
			return ""
		}
		return unknownWord(s, known)
	})
}

func unknownWord(s string, known []string) string {
	if len(known) == 0 {
		return fmt.Sprintf("%q is not known, and nothing is", shorten.Typed(s))
	}
	return fmt.Sprintf("%q is not known: use %s", shorten.Typed(s), strings.Join(slices.Sorted(slices.Values(known)), ", "))
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"

	"tinyforge/app"
	"tinyforge/db"
	"tinyforge/deploy/source"
)

// manifestWorkload is an entry of workloads.
type manifestWorkload struct {
	at         *manifestNode
	forge      string
	repository string      // full name
	row        db.Workload // without ids, and without the hashes of users
	hosts      []manifestHost
	users      []manifestUser
	valid      bool // no fault was found in it
}

// workload reads an entry; forges are those of the same file.
func (r *manifestReader) workload(n *manifestNode, forges []manifestForge) manifestWorkload {
	before := len(r.faults)
	w := manifestWorkload{at: n}
	if r.object(n, "name", "forge", "repository", "source", "ref", "paths", "host", "route", "enabled", "env", "config") {
		r.required(n, "name", "forge", "repository", "source")
		w.forge = r.oneOf(n.get("forge"), r.forgeNames(forges))
		w.repository = r.checked(n.get("repository"), checkRepository)
		w.row = db.Workload{
			Name:       r.checked(n.get("name"), app.CheckName),
			Source:     r.checked(n.get("source"), r.checkSource),
			RefPattern: r.checked(n.get("ref"), app.CheckRef),
			Paths:      r.texts(n.get("paths"), app.CheckPath),
			Host:       r.checked(n.get("host"), app.CheckHost),
			Enabled:    n.get("enabled") == nil || r.flag(n.get("enabled")),
			Env:        r.env(n.get("env")),
		}
		r.route(n, &w)
		w.hosts = r.claimed(n)
		w.row.Config = r.config(n, w.row.Source)
	}
	w.valid = len(r.faults) == before
	return w
}

// forgeNames are the names that a workload may use. A forge that was made elsewhere need not be in the file.
func (r *manifestReader) forgeNames(forges []manifestForge) []string {
	names := slices.Clone(r.known)
	for _, f := range forges {
		if f.row.Name != "" {
			names = append(names, f.row.Name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (r *manifestReader) env(n *manifestNode) map[string]string {
	if n == nil {
		return nil
	}
	members, ok := n.value.([]manifestMember)
	if !ok {
		r.add(n.fault("must be an object of names and values, such as {MODE: production}"))
		return nil
	}
	env := make(map[string]string, len(members))
	for _, m := range members {
		if problem := app.CheckEnvName(m.key); problem != "" {
			r.add(m.node.fault("%s", problem))
		}
		if !isString(m.node) {
			r.add(m.node.fault("must be a string, in quotes"))
			continue
		}
		env[m.key] = r.resolved(m.node)
		if strings.ContainsRune(env[m.key], 0) {
			r.add(m.node.fault("must not contain a zero byte"))
		}
	}
	return env
}

// resolved returns the string n, or what it refers to.
func (r *manifestReader) resolved(n *manifestNode) string {
	s := n.value.(string)
	text, _, err := r.references.resolve(s)
	if err != nil {
		scheme, _, _ := strings.Cut(s, ":")
		r.add(n.fault("%v (for the text itself write text:%s:...)", err, scheme))
	}
	return text
}

// config returns the config of the workload at n as JSON, and lets the source check it.
func (r *manifestReader) config(n *manifestNode, kind string) json.RawMessage {
	c := n.get("config")
	if c == nil {
		c = &manifestNode{path: joinPath(n.path, "config"), line: n.line, column: n.column, value: []manifestMember{}}
	}
	if _, ok := c.value.([]manifestMember); !ok {
		r.add(c.fault("must be an object, such as {port: 8080}"))
		return nil
	}
	r.warnOfSecrets(c)
	var text bytes.Buffer
	r.writeJSON(&text, c)
	src, ok := r.sources[kind]
	if !ok {
		return text.Bytes()
	}
	err := src.Validate(text.Bytes())
	faults, ok := errors.AsType[source.Faults](err)
	if err != nil && !ok {
		r.add(c.fault("%v", err))
	}
	for _, fault := range faults {
		r.add(configFault(c, fault))
	}
	return text.Bytes()
}

// configFault places the fault of a source in the file.
func configFault(c *manifestNode, fault source.Fault) manifestFault {
	path := c.path
	switch {
	case strings.HasPrefix(fault.Path, "["):
		path += fault.Path
	case fault.Path != "":
		path += "." + fault.Path
	}
	f := c.find(path).fault("%s", fault.Text)
	f.Path = path
	return f
}

// writeJSON writes n as JSON with the keys in the order of the file, and what strings refer to in their place.
func (r *manifestReader) writeJSON(to *bytes.Buffer, n *manifestNode) {
	between := func(i int) {
		if i > 0 {
			to.WriteByte(',')
		}
	}
	switch v := n.value.(type) {
	case []manifestMember:
		to.WriteByte('{')
		for i, m := range v {
			between(i)
			writeScalar(to, m.key)
			to.WriteByte(':')
			r.writeJSON(to, m.node)
		}
		to.WriteByte('}')
	case []*manifestNode:
		to.WriteByte('[')
		for i, item := range v {
			between(i)
			r.writeJSON(to, item)
		}
		to.WriteByte(']')
	case string:
		writeScalar(to, r.resolved(n))
	case float64:
		if math.IsInf(v, 0) || math.IsNaN(v) {
			r.add(n.fault("must be a finite number"))
			v = 0
		}
		writeScalar(to, v)
	default:
		writeScalar(to, v)
	}
}

// writeScalar writes what JSON can hold: nil, a bool, a finite number or a string.
func writeScalar(to *bytes.Buffer, v any) {
	e := json.NewEncoder(to)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err)
	}
	to.Truncate(to.Len() - 1) // the newline
}

// checkRepository leaves it to the kind of forge whether an owner may lie within another.
func checkRepository(s string) string {
	switch {
	case strings.Contains(s, "://"):
		return `must be the name, such as "acme/site", not an address`
	case !app.NestedName(s):
		return `must be an owner and a name, such as "acme/site"`
	}
	return ""
}

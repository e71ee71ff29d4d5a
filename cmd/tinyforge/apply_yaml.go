package main

import (
	"bytes"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"tinyforge/deploy/shorten"
)

const (
	maxManifest = 1 << 20 // bytes
	maxExpanded = 4 << 20 // bytes of text, and valueCost for each value, after the aliases are expanded
	valueCost   = 16
	maxTokens   = 50_000 // of keys, values and signs; more than a thousand workloads
	maxDepth    = 50     // of objects and lists
	maxKey      = 256    // bytes
)

// readYAML reads one YAML document. The node is nil when there are faults that leave nothing to look at. What the file
// says is never part of a fault, but for keys.
func readYAML(text []byte) (*manifestNode, manifestFaults) {
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	switch {
	case len(text) > maxManifest:
		return nil, manifestFaults{{Text: "is larger than 1 MiB"}}
	case !utf8.Valid(text):
		return nil, manifestFaults{{Text: "is not UTF-8 text"}}
	}
	body, fault := parseYAML(string(text))
	if fault != nil {
		return nil, manifestFaults{*fault}
	}
	r := yamlReader{anchors: map[string]ast.Node{}, left: maxExpanded}
	root := &manifestNode{}
	r.fill(root, body, 0)
	return root, r.faults
}

func parseYAML(text string) (ast.Node, *manifestFault) {
	tokens := lexer.Tokenize(text)
	if fault := checkTokens(tokens); fault != nil {
		return nil, fault
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		fault := manifestFault{Text: "is not valid YAML"}
		if syntax, ok := errors.AsType[yaml.Error](err); ok { // its Error quotes the lines around
			fault.Text += ": " + syntax.GetMessage()
			fault.place(syntax.GetToken())
		}
		return nil, &fault
	}
	var body ast.Node
	for _, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		if body != nil {
			return nil, &manifestFault{Text: "holds more than one document: a line --- may be at its beginning only"}
		}
		body = doc.Body
	}
	return body, nil
}

func (f *manifestFault) place(t *token.Token) {
	if t != nil && t.Position != nil {
		f.Line, f.Column = t.Position.Line, t.Position.Column
	}
}

// checkTokens refuses what would make the parser recurse deeply, or use time or memory out of proportion: it keeps the
// path of every value, and its time grows with the square of an object's keys.
func checkTokens(tokens token.Tokens) *manifestFault {
	if len(tokens) > maxTokens {
		return &manifestFault{Text: fmt.Sprintf("has more than %d keys, values and signs: split it", maxTokens)}
	}
	flow := 0
	for i, t := range tokens {
		deep, long := false, false
		switch t.Type {
		case token.MappingStartType, token.SequenceStartType:
			flow++
			deep = flow > maxDepth
		case token.MappingEndType, token.SequenceEndType:
			flow--
		case token.SequenceEntryType, token.MappingKeyType:
			deep = t.Position.Column > 8*maxDepth
		case token.MappingValueType:
			long = i > 0 && len(tokens[i-1].Value) > maxKey
		}
		fault := &manifestFault{Text: "is nested too deeply here"}
		if long {
			fault.Text = fmt.Sprintf("has a key of more than %d bytes here", maxKey)
		}
		if deep || long {
			fault.place(t)
			return fault
		}
	}
	return nil
}

// yamlReader turns the library's nodes into ours.
type yamlReader struct {
	anchors map[string]ast.Node
	left    int // of maxExpanded
	stopped bool
	faults  manifestFaults
}

// fill gives n, whose path is set, the value of from.
func (r *yamlReader) fill(n *manifestNode, from ast.Node, depth int) {
	if n.line == 0 && from != nil {
		n.line, n.column = position(from)
	}
	if r.left <= 0 || depth > maxDepth {
		r.exhausted(n)
		return
	}
	r.left -= valueCost
	switch v := from.(type) {
	case nil, *ast.NullNode:
	case *ast.BoolNode:
		n.value = v.Value
	case *ast.IntegerNode:
		n.value = v.Value
	case *ast.FloatNode:
		n.value = v.Value
	case *ast.StringNode:
		n.value = r.text(v.Value)
	case *ast.LiteralNode:
		n.value = r.text(v.Value.Value)
	case *ast.SequenceNode:
		r.fillList(n, v, depth)
	case *ast.MappingNode:
		r.fillObject(n, v.Values, depth)
	case *ast.MappingValueNode:
		r.fillObject(n, []*ast.MappingValueNode{v}, depth)
	case *ast.AnchorNode:
		r.fill(n, v.Value, depth)
		r.anchors[v.Name.GetToken().Value] = v.Value
	case *ast.AliasNode:
		r.fillAlias(n, v, depth)
	case *ast.TagNode:
		r.faults = append(r.faults, n.fault("has a tag, which is not understood: leave it out, and put strings in quotes"))
	case *ast.InfinityNode, *ast.NanNode:
		r.faults = append(r.faults, n.fault("must be a finite number"))
	default:
		r.faults = append(r.faults, n.fault("is not understood"))
	}
}

// exhausted reports once: everything that follows is missing for the same reason.
func (r *yamlReader) exhausted(n *manifestNode) {
	switch {
	case r.stopped:
		return
	case r.left > 0:
		r.faults = append(r.faults, n.fault("is nested too deeply"))
	default:
		r.faults = append(r.faults, n.fault("is where the file, with its aliases expanded, becomes too large"))
	}
	r.stopped, r.left = true, 0
}

func (r *yamlReader) text(s string) string {
	r.left -= len(s)
	return s
}

func (r *yamlReader) fillList(n *manifestNode, from *ast.SequenceNode, depth int) {
	items := make([]*manifestNode, 0, len(from.Values))
	for i, v := range from.Values {
		item := &manifestNode{path: itemPath(n.path, i)}
		r.fill(item, v, depth+1)
		items = append(items, item)
	}
	n.value = items
}

func (r *yamlReader) fillAlias(n *manifestNode, from *ast.AliasNode, depth int) {
	name := from.Value.GetToken().Value
	target, ok := r.anchors[name]
	if !ok {
		r.faults = append(r.faults, n.fault("refers to the anchor %q, which is not defined before it", shorten.Typed(name)))
		return
	}
	r.fill(n, target, depth+1)
}

func (r *yamlReader) fillObject(n *manifestNode, from []*ast.MappingValueNode, depth int) {
	members := make([]manifestMember, 0, len(from))
	lines := map[string]int{}
	var merged []*manifestNode
	for _, v := range from {
		line, column := position(v.Key)
		if v.Key.IsMergeKey() {
			base := &manifestNode{path: n.path, line: line, column: column}
			r.fill(base, v.Value, depth+1)
			merged = append(merged, base)
			continue
		}
		text, ok := v.Key.(*ast.StringNode)
		if !ok {
			bad := &manifestNode{path: n.path, line: line, column: column}
			r.faults = append(r.faults, bad.fault("must have strings as keys: put the key in quotes"))
			continue
		}
		child := &manifestNode{path: joinPath(n.path, text.Value), line: line, column: column}
		if first, twice := lines[text.Value]; twice {
			r.faults = append(r.faults, child.fault("is given twice, first in line %d", first))
			continue
		}
		lines[text.Value] = line
		r.text(text.Value)
		r.fill(child, v.Value, depth+1)
		members = append(members, manifestMember{text.Value, child})
	}
	n.value = r.merge(members, merged)
}

// merge adds what "<<" brings along: keys of the object itself win, and earlier ones over later ones.
func (r *yamlReader) merge(members []manifestMember, merged []*manifestNode) []manifestMember {
	known := map[string]bool{}
	for _, m := range members {
		known[m.key] = true
	}
	for len(merged) > 0 {
		base := merged[0]
		merged = merged[1:]
		switch v := base.value.(type) {
		case []*manifestNode:
			merged = append(v, merged...)
		case []manifestMember:
			for _, m := range v {
				if !known[m.key] {
					members = append(members, m)
				}
				known[m.key] = true
			}
		default:
			r.faults = append(r.faults, base.fault(`has a key "<<" that stands for no object`))
		}
	}
	return members
}

// position is where a value begins. The library takes an object's colon for its beginning.
func position(n ast.Node) (line, column int) {
	switch v := n.(type) {
	case *ast.MappingValueNode:
		n = v.Key
	case *ast.MappingNode:
		if !v.IsFlowStyle && len(v.Values) > 0 {
			n = v.Values[0].Key
		}
	}
	if t := n.GetToken(); t != nil && t.Position != nil {
		return t.Position.Line, t.Position.Column
	}
	return 0, 0
}

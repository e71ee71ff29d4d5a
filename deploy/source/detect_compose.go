package source

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"tinyforge/deploy/shorten"
)

// composeService is what a service of a Compose file shows.
type composeService struct {
	name    string
	ports   []int    // in the container
	fixed   []string // ports of the machine that it asks for
	volumes int
}

// compose proposes the stack of a Compose file.
func (l looker) compose(names []string) *Candidate {
	file, ok := l.first(names, "compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
	if !ok {
		return nil
	}
	services := readCompose(l.read(file))
	evidence := []string{fmt.Sprintf("%s: %s", l.at(file), count(len(services), "service"))}
	if len(services) == 0 {
		evidence = sentence("%s, whose services could not be read here: name the one that gets the route", l.at(file))
		services = []composeService{{name: "web"}}
	}
	for _, s := range services[:min(len(services), 10)] {
		evidence = append(evidence, s.text())
		evidence = append(evidence, s.refused()...)
	}
	front := frontService(services)
	port := 0
	if len(front.ports) > 0 {
		port = front.ports[0]
	}
	var files []string
	if l.folder != "." { // at the top it is found without being named, and its override with it
		files = []string{l.at(file)}
	}
	return &Candidate{Source: "compose", Evidence: evidence, Config: propose(
		value("files", files), value("service", front.name), value("port", port))}
}

func (s composeService) text() string {
	text := fmt.Sprintf("service %s", shorten.Typed(s.name))
	if len(s.ports) > 0 {
		text += fmt.Sprintf(", port %d", s.ports[0])
	}
	if s.volumes > 0 {
		text += ", " + count(s.volumes, "volume")
	}
	return text
}

// refused tells of ports of the machine, which a stack does not get.
func (s composeService) refused() []string {
	if len(s.fixed) == 0 {
		return nil
	}
	return sentence("beware: service %s asks for %s %s of the machine, which is refused. The route needs none: write the port in the "+
		"container alone, or allow: [%q] in the config", s.name, plural(len(s.fixed), "port"), strings.Join(s.fixed, ", "), s.name+":ports")
}

func count(n int, what string) string {
	return fmt.Sprintf("%d %s", n, plural(n, what))
}

func plural(n int, what string) string {
	if n == 1 {
		return what
	}
	return what + "s"
}

// frontService is the one that is most likely to be talked to from outside.
func frontService(services []composeService) composeService {
	for _, name := range []string{"proxy", "web", "frontend", "app", "site", "server"} {
		if i := slices.IndexFunc(services, func(s composeService) bool { return s.name == name && len(s.ports) > 0 }); i >= 0 {
			return services[i]
		}
	}
	if i := slices.IndexFunc(services, func(s composeService) bool { return len(s.ports) > 0 }); i >= 0 {
		return services[i]
	}
	return services[0]
}

// readCompose returns the services of a file, none for one that is not worth the time to parse it.
func readCompose(text []byte, whole bool) (services []composeService) {
	tokens := lexer.Tokenize(string(text))
	if !whole || !isPlain(tokens) {
		return nil
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil || len(file.Docs) == 0 {
		return nil
	}
	for _, s := range membersOf(memberOf(file.Docs[0].Body, "services")) {
		name := keyOf(s)
		if !isName(name) {
			continue
		}
		service := composeService{name: name}
		for _, list := range []string{"ports", "expose"} {
			for _, item := range itemsOf(memberOf(s.Value, list)) {
				if n := validPort(containerPort(item)); n > 0 {
					service.ports = append(service.ports, n)
				}
				if fixed := machinePort(item); list == "ports" && fixed != "" && len(service.fixed) < 10 {
					service.fixed = append(service.fixed, fixed)
				}
			}
		}
		service.volumes = len(itemsOf(memberOf(s.Value, "volumes")))
		services = append(services, service)
	}
	return services
}

// isPlain keeps away what makes a parser recurse deeply, or takes it long.
func isPlain(tokens token.Tokens) bool {
	const most, deepest = 10_000, 20
	if len(tokens) > most {
		return false
	}
	open, entries, line := 0, 0, 0
	for _, t := range tokens {
		switch t.Type {
		case token.MappingStartType, token.SequenceStartType:
			open++
		case token.MappingEndType, token.SequenceEndType:
			open--
		case token.SequenceEntryType:
			if t.Position.Line != line {
				entries, line = 0, t.Position.Line
			}
			entries++
		}
		if open > deepest || entries > deepest || t.Position != nil && t.Position.Column > 1000 && t.Type == token.MappingValueType {
			return false
		}
	}
	return true
}

// containerPort reads "8080:80/tcp" and {target: 80}.
func containerPort(n ast.Node) int {
	if target := memberOf(n, "target"); target != nil {
		n = target
	}
	text, _, _ := strings.Cut(scalarOf(n), "/")
	port, err := strconv.Atoi(text[strings.LastIndexByte(text, ':')+1:])
	if err != nil {
		return 0
	}
	return port
}

// machinePort reads what of the machine "127.0.0.1:8080:80/tcp" and {published: 8080} ask for, "" for nothing.
func machinePort(n ast.Node) string {
	published := scalarOf(memberOf(n, "published"))
	if short, _, _ := strings.Cut(scalarOf(n), "/"); short != "" {
		parts := strings.Split(short, ":")
		if len(parts) < 2 {
			return ""
		}
		published = parts[len(parts)-2]
	}
	if published == "0" || strings.Trim(published, "0123456789-") != "" {
		return "" // any free one, or what only a variable says
	}
	return published
}

// memberOf, membersOf, itemsOf and scalarOf return nothing for a node of another kind, aliases among them.
func memberOf(n ast.Node, key string) ast.Node {
	for _, m := range membersOf(n) {
		if keyOf(m) == key {
			return m.Value
		}
	}
	return nil
}

func membersOf(n ast.Node) []*ast.MappingValueNode {
	switch n := bare(n).(type) {
	case *ast.MappingNode:
		return n.Values
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}
	}
	return nil
}

func itemsOf(n ast.Node) []ast.Node {
	if list, ok := bare(n).(*ast.SequenceNode); ok {
		return list.Values
	}
	return nil
}

func scalarOf(n ast.Node) string {
	if s, ok := bare(n).(ast.ScalarNode); ok && s.GetToken() != nil {
		return s.GetToken().Value
	}
	return ""
}

func keyOf(m *ast.MappingValueNode) string {
	if m.Key == nil || m.Key.GetToken() == nil {
		return ""
	}
	return m.Key.GetToken().Value
}

// bare takes anchors and tags away.
func bare(n ast.Node) ast.Node {
	for {
		switch v := n.(type) {
		case *ast.AnchorNode:
			n = v.Value
		case *ast.TagNode:
			n = v.Value
		default:
			return n
		}
	}
}

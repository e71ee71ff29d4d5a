package deploytest

import (
	"fmt"
	"slices"
	"strings"
)

// nginxDirective is one statement of nginx's language.
type nginxDirective struct {
	name  string
	args  []string
	block []nginxDirective // of those that have one
	line  int
}

// nginxKnown says where a directive may stand: in "http", "server", "location" or "if".
var nginxKnown = map[string]string{
	"server":                "http",
	"location":              "server",
	"if":                    "server location",
	"set":                   "server location if",
	"rewrite":               "server location if",
	"return":                "server location if",
	"listen":                "server",
	"server_name":           "server",
	"internal":              "location",
	"deny":                  "server location",
	"add_header":            "server location",
	"client_max_body_size":  "server location",
	"proxy_set_header":      "server location",
	"proxy_hide_header":     "server location",
	"proxy_connect_timeout": "server location",
	"proxy_read_timeout":    "server location",
	"resolver_timeout":      "server location",
	"proxy_pass":            "location",
}

// nginxFault is what nginx has against a line.
type nginxFault struct {
	text string
	line int
}

func (f *nginxFault) Error() string { return f.text }

func nginxError(line int, format string, args ...any) error {
	return &nginxFault{fmt.Sprintf(format, args...), line}
}

// nginxToken is a word, or one of { } ;
type nginxToken struct {
	text string
	line int
	mark bool
}

// parseNginx reads a file of server blocks. A name in a proxy_pass that holds no variable has to resolve.
func parseNginx(text string, resolves func(string) bool) ([]nginxDirective, error) {
	tokens, err := nginxTokens(text)
	if err != nil {
		return nil, err
	}
	p := nginxParser{tokens: tokens, resolves: resolves}
	all, err := p.block("http", true)
	if err != nil {
		return nil, err
	}
	return all, nil
}

func nginxTokens(text string) (tokens []nginxToken, err error) {
	line := 1
	for i := 0; i < len(text); {
		switch c := text[i]; c {
		case '\n':
			line++
			i++
		case ' ', '\t', '\r':
			i++
		case '#':
			for i < len(text) && text[i] != '\n' {
				i++
			}
		case '{', '}', ';':
			tokens = append(tokens, nginxToken{string(c), line, true})
			i++
		case '"', '\'':
			end := strings.IndexByte(text[i+1:], c)
			if end < 0 {
				return nil, nginxError(line, "unexpected end of file, expecting %q", c)
			}
			tokens = append(tokens, nginxToken{text[i+1 : i+1+end], line, false})
			i += end + 2
			if i < len(text) && !strings.ContainsRune(" \t\r\n;){}", rune(text[i])) {
				return nil, nginxError(line, "unexpected %q", text[i:i+1])
			}
		default:
			word, size := nginxWord(text[i:])
			tokens = append(tokens, nginxToken{word, line, false})
			i += size
		}
	}
	return tokens, nil
}

// nginxWord reads a bare word, in which "${" does not open a block.
func nginxWord(text string) (string, int) {
	i := 0
	for i < len(text) && !strings.ContainsRune(" \t\r\n;", rune(text[i])) {
		if text[i] == '{' {
			if i == 0 || text[i-1] != '$' {
				break
			}
			for i < len(text) && text[i] != '}' {
				i++
			}
		}
		if i < len(text) && text[i] == '"' { // the end of a quoted condition
			break
		}
		i++
	}
	return text[:i], i
}

type nginxParser struct {
	tokens   []nginxToken
	resolves func(string) bool
	line     int
}

func (p *nginxParser) next() (nginxToken, bool) {
	if len(p.tokens) == 0 {
		return nginxToken{}, false
	}
	t := p.tokens[0]
	p.tokens, p.line = p.tokens[1:], t.line
	return t, true
}

// block reads up to the brace that closes it, or to the end of the file.
func (p *nginxParser) block(where string, file bool) (all []nginxDirective, err error) {
	for {
		t, ok := p.next()
		switch {
		case !ok && file, ok && t.mark && t.text == "}" && !file:
			return all, nil
		case !ok:
			return nil, nginxError(p.line, "unexpected end of file, expecting \"}\"")
		case t.mark:
			return nil, nginxError(t.line, "unexpected %q", t.text)
		}
		d, err := p.directive(t, where)
		if err != nil {
			return nil, err
		}
		all = append(all, d)
	}
}

func (p *nginxParser) directive(first nginxToken, where string) (d nginxDirective, err error) {
	d = nginxDirective{name: first.text, line: first.line}
	places, known := nginxKnown[d.name]
	switch {
	case !known:
		return d, nginxError(d.line, "unknown directive %q", d.name)
	case !slices.Contains(strings.Fields(places), where):
		return d, nginxError(d.line, "%q directive is not allowed here", d.name)
	}
	for {
		t, ok := p.next()
		switch {
		case !ok:
			return d, nginxError(p.line, "unexpected end of file, expecting \";\" or \"}\"")
		case !t.mark:
			d.args = append(d.args, t.text)
			continue
		case t.text == "}":
			return d, nginxError(t.line, "unexpected \"}\"")
		case t.text == "{":
			d.block, err = p.block(d.name, false)
			return d, err
		}
		return d, p.checkTarget(d)
	}
}

func (p *nginxParser) checkTarget(d nginxDirective) error {
	if d.name != "proxy_pass" || len(d.args) != 1 || strings.Contains(d.args[0], "$") {
		return nil
	}
	_, address, _ := strings.Cut(d.args[0], "://")
	name, _, _ := strings.Cut(address, ":")
	if !p.resolves(name) {
		return nginxError(d.line, "host not found in upstream %q", name)
	}
	return nil
}

package settings_test

import (
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/net/html"
)

// markup is a page as a browser understands it.
type markup struct {
	root   *html.Node
	faults []string
}

// link is an address on a page, and the method with which a browser asks for it.
type link struct{ method, address string }

var voidElements = strings.Fields("area base br col embed hr img input link meta source track wbr")

// readMarkup parses a page, and finds what is not well-formed: the tree that its tags say has to be the one that a browser
// makes of them.
func readMarkup(body string) *markup {
	body = strings.NewReplacer("<noscript>", "", "</noscript>", "").Replace(body) // what is in it counts too
	m := &markup{}
	root, err := html.Parse(strings.NewReader(body))
	if err != nil {
		m.fault("it cannot be parsed: " + err.Error())
		return m
	}
	m.root = root
	written, made := m.writtenTree(body), []string{}
	walk(root, func(n *html.Node) { made = append(made, pathOf(n)) })
	for i := range max(len(written), len(made)) {
		if i >= len(written) || i >= len(made) || written[i] != made[i] {
			m.fault("a browser makes another tree of it: " + strings.Join(written[i:min(i+2, len(written))], ", ") + " became " + strings.Join(made[i:min(i+2, len(made))], ", "))
			break
		}
	}
	m.checkIDs()
	m.checkOutline()
	m.checkLabels()
	m.checkText()
	return m
}

func (m *markup) fault(text string) { m.faults = append(m.faults, text) }

// writtenTree are the elements in order, each with those that it is in, as the tags say.
func (m *markup) writtenTree(body string) (all []string) {
	var open []string
	z := html.NewTokenizer(strings.NewReader(body))
	for {
		kind := z.Next()
		if kind == html.ErrorToken {
			if !errors.Is(z.Err(), io.EOF) {
				m.fault(z.Err().Error())
			}
			break
		}
		token := z.Token()
		names := map[string]bool{}
		for _, a := range token.Attr {
			if names[a.Key] {
				m.fault("<" + token.Data + "> has " + a.Key + " twice")
			}
			names[a.Key] = true
		}
		switch kind {
		case html.StartTagToken, html.SelfClosingTagToken:
			all = append(all, strings.Join(append(open, token.Data), ">"))
			if kind == html.StartTagToken && !slices.Contains(voidElements, token.Data) {
				open = append(slices.Clip(open), token.Data)
			}
		case html.EndTagToken:
			if len(open) == 0 || open[len(open)-1] != token.Data {
				m.fault("</" + token.Data + "> ends " + strings.Join(open, ">"))
				return all
			}
			open = open[:len(open)-1]
		}
	}
	if len(open) > 0 {
		m.fault("not ended: " + strings.Join(open, ">"))
	}
	return all
}

// walk comes to every element in order.
func walk(n *html.Node, do func(*html.Node)) {
	for n := range n.Descendants() {
		if n.Type == html.ElementNode {
			do(n)
		}
	}
}

func pathOf(n *html.Node) string {
	path := n.Data
	for p := n.Parent; p != nil && p.Type == html.ElementNode; p = p.Parent {
		path = p.Data + ">" + path
	}
	return path
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func (m *markup) checkIDs() {
	ids, targets := map[string]bool{}, []string{}
	walk(m.root, func(n *html.Node) {
		if id := attribute(n, "id"); id != "" {
			if ids[id] {
				m.fault("two elements have the id " + id)
			}
			ids[id] = true
		}
		for _, name := range []string{"for", "aria-describedby", "aria-labelledby", "list"} {
			targets = append(targets, strings.Fields(attribute(n, name))...)
		}
		if target, is := strings.CutPrefix(attribute(n, "href"), "#"); is && !regexp.MustCompile(`^L\d+$`).MatchString(target) {
			targets = append(targets, target)
		}
	})
	for _, target := range targets {
		if !ids[target] {
			m.fault("nothing has the id " + target)
		}
	}
}

func (m *markup) checkOutline() {
	headings := 0
	walk(m.root, func(n *html.Node) {
		switch n.Data {
		case "html":
			if attribute(n, "lang") == "" {
				m.fault("it has no language")
			}
		case "h1":
			headings++
		case "title":
			if strings.TrimSpace(textOf(n)) == "" {
				m.fault("it has no title")
			}
		}
	})
	if headings != 1 {
		m.fault("it does not have one h1")
	}
}

// checkLabels demands a name of whatever can be filled in or pressed.
func (m *markup) checkLabels() {
	labels := map[string]bool{}
	walk(m.root, func(n *html.Node) {
		if n.Data == "label" && strings.TrimSpace(textOf(n)) != "" {
			labels[attribute(n, "for")] = true
		}
	})
	walk(m.root, func(n *html.Node) {
		hidden := slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == "hidden" })
		named := hidden || attribute(n, "aria-label") != "" || attribute(n, "aria-labelledby") != "" || attribute(n, "aria-hidden") == "true"
		switch n.Data {
		case "input", "select", "textarea":
			if attribute(n, "type") == "hidden" {
				return
			}
			id := attribute(n, "id")
			for p := n.Parent; p != nil; p = p.Parent {
				named = named || p.Data == "label" && strings.TrimSpace(textOf(p)) != ""
			}
			named = named || id != "" && labels[id]
		case "a", "button", "summary", "legend", "th":
			named = named || strings.TrimSpace(textOf(n)) != ""
		default:
			return
		}
		if !named {
			m.fault("<" + n.Data + " name=" + attribute(n, "name") + " href=" + attribute(n, "href") + "> has no name")
		}
	})
}

func textOf(n *html.Node) string {
	var text strings.Builder
	for n := range n.Descendants() {
		if n.Type == html.TextNode {
			text.WriteString(n.Data)
		}
	}
	return text.String()
}

var unfilled = regexp.MustCompile(`<no value>|%!|\{[a-z_]+\}|\bZgotmplZ\b`)

// checkText finds places in texts that were not filled in, in what is read and in what is told by attributes.
func (m *markup) checkText() {
	for n := range m.root.Descendants() {
		texts := []string{}
		switch {
		case n.Type == html.TextNode && n.Parent.Data != "pre" && n.Parent.Data != "textarea":
			texts = append(texts, n.Data)
		case n.Type == html.ElementNode:
			for _, a := range n.Attr {
				if a.Key != "value" && !strings.HasPrefix(a.Key, "data-") {
					texts = append(texts, a.Val)
				}
			}
		}
		for _, text := range texts {
			if found := unfilled.FindString(text); found != "" {
				m.fault("it says " + found + " in " + text)
			}
		}
	}
}

// links are all addresses of the page.
func (m *markup) links() (all []link) {
	walk(m.root, func(n *html.Node) {
		method := "GET"
		if n.Data == "form" && attribute(n, "method") == "post" || n.Data == "button" {
			method = "POST"
		}
		for _, name := range []string{"href", "src", "action", "formaction", "data-live"} {
			if address := attribute(n, name); address != "" {
				all = append(all, link{method, address})
			}
		}
	})
	return all
}

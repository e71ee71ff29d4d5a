package compose

import (
	"bytes"
	"errors"
	"io"
	"strings"

	"go.yaml.in/yaml/v4"
)

// weight is how large YAML is once aliases are followed, each time they are used. It stops growing at some size, so that
// it can be added up without end.
type weight struct{ nodes, text, dollars, services int }

func (w *weight) add(o weight) {
	w.nodes, w.text, w.dollars = min(w.nodes+o.nodes, heavy), min(w.text+o.text, heavy), min(w.dollars+o.dollars, heavy)
}

const heavy = 1 << 28

// weighYAML tells how large a file would become. It follows each alias once, whatever its file says: the library follows
// them each time. A file of several documents is none: the library acts on each before the next one takes it back, and
// nobody could judge what the file says from what is left.
func weighYAML(content []byte) (weight, error) {
	var total weight
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	for documents := 0; ; {
		var document yaml.Node
		err := decoder.Decode(&document)
		if errors.Is(err, io.EOF) {
			return total, nil
		}
		if err != nil {
			return weight{}, err
		}
		if documents++; documents > 1 {
			return weight{}, errors.New("it has several YAML documents, and one is taken: " +
				"make each a file of its own in the repository, and name them all under the config's files")
		}
		w, err := weigh(&document, map[*yaml.Node]*weight{})
		if err != nil {
			return weight{}, err
		}
		total = w
		total.services = servicesIn(&document)
	}
}

func weigh(n *yaml.Node, known map[*yaml.Node]*weight) (weight, error) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if w, seen := known[n]; seen {
		if w == nil {
			return weight{}, errors.New("an alias is within what it stands for")
		}
		return *w, nil
	}
	known[n] = nil
	w := weight{nodes: 1, text: len(n.Value), dollars: strings.Count(n.Value, "$")}
	for _, child := range n.Content {
		c, err := weigh(child, known)
		if err != nil {
			return weight{}, err
		}
		w.add(c)
	}
	known[n] = &w
	return w, nil
}

// servicesIn counts those that are written out.
func servicesIn(document *yaml.Node) int {
	if len(document.Content) == 0 {
		return 0
	}
	top := document.Content[0]
	for i := 0; i+1 < len(top.Content); i += 2 {
		if top.Content[i].Value == "services" {
			return len(top.Content[i+1].Content) / 2
		}
	}
	return 0
}

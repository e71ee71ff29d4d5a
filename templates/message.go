package templates

// Message is a text that is written down as its key and values, so that it can be said in any language.
type Message struct {
	Key    string `json:"key"`
	Values []any  `json:"values,omitempty"` // name, value, name, value
	Plural bool   `json:"plural,omitempty"` // it has plural forms, by Count
	Count  int    `json:"count,omitempty"`
	Text   string `json:"text,omitempty"`   // of outside, in whatever language; instead of a key
	Detail string `json:"detail,omitempty"` // what another part of Tinyforge says, in English; after the text
}

// Say returns the text of a message.
func (p *Printer) Say(m Message) (string, error) {
	switch {
	case m.Key == "":
		return m.Text, nil
	case m.Plural:
		return p.N(m.Key, m.Count, m.Values...)
	}
	return p.T(m.Key, m.Values...)
}

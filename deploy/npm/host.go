package npm

import (
	"encoding/json"
	"slices"
	"strings"
)

// fields are what a request sets. The schema of Nginx Proxy Manager is closed: nothing may be sent that it does not know.
type fields map[string]any

// proxyHost is what we read of a proxy host.
type proxyHost struct {
	ID        int64           `json:"id"`
	Domains   []string        `json:"domain_names"`
	Scheme    string          `json:"forward_scheme"`
	Host      string          `json:"forward_host"`
	Port      int             `json:"forward_port"`
	Enabled   flag            `json:"enabled"`
	Advanced  string          `json:"advanced_config"`
	Meta      json.RawMessage `json:"meta"`
	Locations []struct {
		Path string `json:"path"`
	} `json:"locations"`
}

// flag is a boolean, which older versions answer as 0 or 1.
type flag bool

// UnmarshalJSON implements json.Unmarshaler.
func (f *flag) UnmarshalJSON(text []byte) error {
	*f = string(text) == "true" || string(text) == "1"
	return nil
}

// mark says in a proxy host's meta that it is ours.
type mark struct {
	Instance string  `json:"instance"`
	Workload int64   `json:"workload"`
	Host     string  `json:"host"`              // for which we have it; it may have more names
	Adopted  *origin `json:"adopted,omitempty"` // of a proxy host that somebody else made
}

// origin is what an adopted proxy host was before.
type origin struct {
	Target target `json:"target"`
	First  string `json:"first"` // the first target that we gave it, as the snippet tells of it
}

const markKey = "tinyforge"

// meta is what a proxy host carries beside its settings. Sending it replaces it.
func (h *proxyHost) meta() map[string]json.RawMessage {
	all := map[string]json.RawMessage{}
	_ = json.Unmarshal(h.Meta, &all)
	return all
}

// mark returns our mark, nil when there is none.
func (h *proxyHost) mark() *mark {
	text, ok := h.meta()[markKey]
	if !ok {
		return nil
	}
	var m mark
	if json.Unmarshal(text, &m) != nil || m.Instance == "" {
		return nil
	}
	return &m
}

// metaWith is the meta with our mark, or without one, and all that others keep there. What nginx said is not sent back.
func (h *proxyHost) metaWith(m *mark) map[string]any {
	all := map[string]any{}
	for key, value := range h.meta() {
		if key != markKey && key != "nginx_online" && key != "nginx_err" {
			all[key] = value
		}
	}
	if m != nil {
		all[markKey] = m
	}
	return all
}

// complaint returns what nginx had to say against its configuration. online is what Nginx Proxy Manager last heard of it.
func (h *proxyHost) complaint() (text string, online bool) {
	var said struct {
		Online flag    `json:"nginx_online"`
		Err    *string `json:"nginx_err"`
	}
	_ = json.Unmarshal(h.Meta, &said)
	if said.Err != nil {
		text = *said.Err
	}
	return text, bool(said.Online)
}

func (h *proxyHost) target() target { return target{h.Scheme, h.Host, h.Port} }

// has tells whether the host is one of its names.
func (h *proxyHost) has(host string) bool {
	return slices.ContainsFunc(h.Domains, func(d string) bool { return strings.EqualFold(d, host) })
}

// forwards tells whether visitors get what the proxy host forwards to.
func (h *proxyHost) forwards() bool {
	if ownRoot.MatchString(h.Advanced) {
		return false
	}
	for _, l := range h.Locations {
		if l.Path == "/" {
			return false
		}
	}
	return true
}

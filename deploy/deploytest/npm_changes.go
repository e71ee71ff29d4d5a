package deploytest

import (
	"strconv"
	"strings"
	"time"
)

func (n *NPM) visible(user *npmUser, id int) *npmHost {
	h := n.hosts[id]
	if h == nil || user.own && h.owner != user {
		return nil
	}
	return h
}

func (n *NPM) list(user *npmUser, query string, expand []string) []map[string]any {
	found := []map[string]any{}
	for id := 1; id <= n.lastHost; id++ {
		h := n.visible(user, id)
		if h != nil && strings.Contains(strings.ToLower(strings.Join(h.domains(), ",")), strings.ToLower(query)) {
			found = append(found, h.shown(expand...))
		}
	}
	return found
}

func (n *NPM) create(user *npmUser, body map[string]any) (any, npmFault) {
	if user.viewOnly {
		return nil, npmInternal
	}
	if fault := npmProxyHost.check(body, true); fault.status != 0 {
		return nil, fault
	}
	if fault := n.taken(body, 0); fault.status != 0 {
		return nil, fault
	}
	n.lastHost++
	h := newNPMHost(n.lastHost, user, body)
	n.hosts[h.id] = h
	before := h.shown("owner", "certificate", "access_list") // what it answers
	return before, n.configure(h)
}

func (n *NPM) update(user *npmUser, id int, body map[string]any) (any, npmFault) {
	if fault := npmProxyHost.check(body, false); fault.status != 0 {
		return nil, fault
	}
	h := n.visible(user, id)
	if h == nil {
		return nil, npmMissing(strconv.Itoa(id))
	}
	if user.viewOnly {
		return nil, npmInternal
	}
	if fault := n.taken(body, id); fault.status != 0 {
		return nil, fault
	}
	h.take(body)
	fault := n.configure(h)
	return h.shown("owner", "certificate", "access_list"), fault
}

// taken compares names without regard to case, over the hosts of all users.
func (n *NPM) taken(body map[string]any, but int) npmFault {
	domains, _ := body["domain_names"].([]string)
	for _, d := range domains {
		for _, h := range n.hosts {
			if h.id != but && h.has(d) {
				return npmBad("%s is already in use", d)
			}
		}
	}
	return npmFault{}
}

func (n *NPM) remove(user *npmUser, id int) npmFault {
	h := n.visible(user, id)
	if h == nil {
		return npmMissing(strconv.Itoa(id))
	}
	delete(n.hosts, id)
	return n.write(func() npmFault {
		n.nginx.Remove(h.file())
		return n.reload()
	})
}

func (n *NPM) enable(user *npmUser, id int, enabled bool) npmFault {
	h := n.visible(user, id)
	switch {
	case h == nil:
		return npmMissing(strconv.Itoa(id))
	case h.fields["enabled"] == enabled:
		return npmBad("Host is already %s", map[bool]string{true: "enabled", false: "disabled"}[enabled])
	}
	h.fields["enabled"] = enabled
	if enabled {
		return n.configure(h)
	}
	return n.write(func() npmFault {
		n.nginx.Remove(h.file())
		return n.reload()
	})
}

// configure brings a row to nginx. A disabled host is left as nginx has it.
func (n *NPM) configure(h *npmHost) npmFault {
	if h.fields["enabled"] == false {
		return npmFault{}
	}
	text, file := h.config(n.nginx.Listen()), h.file()
	var complaint error
	met := n.overlaps
	fault := n.write(func() npmFault {
		if n.nginx.Test() != nil {
			return npmInternal
		}
		n.nginx.Remove(file)
		time.Sleep(n.slow) // in which another change would test without it
		n.nginx.Write(file, text)
		if complaint = n.nginx.Test(); complaint != nil {
			n.nginx.Remove(file)
		}
		return npmFault{}
	})
	if fault.status != 0 {
		return fault
	}
	if met != n.overlaps || n.damaged {
		n.damaged = false
		n.nginx.Remove(file)
		h.note(false, `open() "/data/nginx/`+file+`" failed (2: No such file or directory)`)
		_ = n.nginx.Reload()
		return npmFault{}
	}
	h.note(true, nil)
	if complaint != nil {
		h.note(false, complaint.Error()+"\n")
	}
	return n.reload()
}

func (n *NPM) reload() npmFault {
	if n.nginx.Test() != nil || n.nginx.Reload() != nil {
		return npmInternal
	}
	return npmFault{}
}

// write gives up mu while nginx works, so that changes can meet.
func (n *NPM) write(work func() npmFault) npmFault {
	if n.writing++; n.writing > 1 {
		n.overlaps++
	}
	n.mu.Unlock()
	fault := work()
	n.mu.Lock()
	n.writing--
	return fault
}

package npm

import (
	"fmt"
	"maps"
	"slices"

	"tinyforge/deploy"
)

// claim returns what makes a proxy host ours, empty when it is already; and an error where we may not have it.
func (c *change) claim(row *proxyHost) (fields, error) {
	m, may := row.mark(), slices.Contains(c.cfg.Adopt, c.host)
	switch {
	case m != nil && m.Instance == c.cfg.Instance:
		if m.Workload != c.workload && m.Host != c.host {
			return nil, &deploy.Failure{Text: fmt.Sprintf("its proxy host in Nginx Proxy Manager is also that of %s, which is another workload's: take the name %s out of it there",
				m.Host, c.host)}
		}
	case !may && m != nil:
		return nil, &deploy.Failure{Text: fmt.Sprintf("another Tinyforge has its proxy host in Nginx Proxy Manager; delete it there, or take it over with --npm-adopt %s", c.host)}
	case !may:
		return nil, &deploy.Failure{Text: fmt.Sprintf("Nginx Proxy Manager has a proxy host for it that Tinyforge did not make; delete it there, or let Tinyforge take it over with --npm-adopt %s", c.host)}
	}
	if !row.forwards() {
		return nil, &deploy.Failure{Text: "its proxy host in Nginx Proxy Manager has a location / of its own (Custom locations, Advanced), so that nothing Tinyforge sets would count; remove that there"}
	}
	want := mark{Instance: c.cfg.Instance, Workload: c.workload, Host: c.host}
	if m == nil || m.Instance != c.cfg.Instance {
		want.Adopted = &origin{Target: row.target(), First: c.to.said()}
	} else {
		want.Host, want.Adopted = m.Host, m.Adopted
	}
	advanced := c.withSnippet(row.Advanced)
	if m != nil && m.Instance == want.Instance && m.Workload == want.Workload && row.Advanced == advanced {
		return fields{}, nil
	}
	return fields{"meta": row.metaWith(&want), "advanced_config": advanced}, nil
}

// withSnippet is an advanced configuration with our lines for the workload.
func (c *change) withSnippet(advanced string) string {
	question, answer := secretsOf(c.cfg.Key, c.workload)
	return withSnippet(advanced, question, answer)
}

// with adds fields to fields.
func (f fields) with(more fields) fields {
	all := maps.Clone(f)
	maps.Copy(all, more)
	return all
}

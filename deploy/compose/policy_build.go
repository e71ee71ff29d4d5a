package compose

import (
	"path/filepath"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"

	"tinyforge/deploy/shorten"
)

// build refuses what our builder does not do; most of it would reach beyond the checkout. cache_from, cache_to, tags,
// platforms of the machine itself, pull, no_cache and what else only makes a build faster or slower are not looked at.
func (p *policy) build(name string, b types.BuildConfig) {
	for _, part := range []struct {
		key   string
		given bool
		why   string
	}{
		{"privileged", b.Privileged, "a build has no power over the machine"},
		{"entitlements", len(b.Entitlements) > 0, "a build has no power over the machine"},
		{"network", b.Network != "" && b.Network != "default", "a build has the network that every build has"},
		{"ssh", len(b.SSH) > 0, "no SSH agent is given to builds; use build secrets"},
		{"additional_contexts", len(b.AdditionalContexts) > 0, "a build has one context; use stages of one Dockerfile"},
		{"extra_hosts", len(b.ExtraHosts) > 0, "a build resolves names as the machine does"},
		{"platforms", len(b.Platforms) > 1, "an image is built for this machine only"},
	} {
		if part.given {
			p.fault(name, "build.%s cannot be used here: %s; remove it", part.key, part.why)
		}
	}
	p.labels("service "+name+": build", b.Labels)
	p.context(name, b)
	for _, s := range b.Secrets {
		p.buildSecret(name, s)
	}
}

func (p *policy) context(name string, b types.BuildConfig) {
	if strings.Contains(b.Context, "://") || !filepath.IsAbs(b.Context) {
		p.fault(name, "build.context %s is not in the repository, and nothing is fetched from elsewhere", shorten.Typed(b.Context))
		return
	}
	info, err := p.tree.stat(b.Context, "build.context "+p.tree.named(b.Context))
	if err == nil && !info.IsDir() {
		err = faults{"build.context " + p.tree.named(b.Context) + " is not a folder"}
	}
	if err == nil && b.DockerfileInline == "" {
		file := dockerfile(b)
		if info, err = p.tree.stat(file, "build.dockerfile "+p.tree.named(file)); err == nil && !info.Mode().IsRegular() {
			err = faults{"build.dockerfile " + p.tree.named(file) + " is not a file"}
		}
	}
	for _, text := range asFaults(err) {
		p.fault(name, "%s", text)
	}
}

// dockerfile is the absolute path of a build's Dockerfile.
func dockerfile(b types.BuildConfig) string {
	if filepath.IsAbs(b.Dockerfile) {
		return b.Dockerfile
	}
	return filepath.Join(b.Context, b.Dockerfile)
}

func (p *policy) buildSecret(name string, s types.ServiceSecretConfig) {
	secret, ok := p.project.Secrets[s.Source]
	if !ok {
		p.fault(name, "build.secrets: there is no secret %s", s.Source)
		return
	}
	if secret.File == "" {
		return
	}
	_, err := p.tree.read(secret.File, "secret "+s.Source+": "+p.tree.named(secret.File))
	for _, text := range asFaults(err) {
		p.fault(name, "%s", text)
	}
}

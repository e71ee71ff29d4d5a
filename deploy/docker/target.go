package docker

import (
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"regexp"
	"strings"

	"github.com/distribution/reference"
	"github.com/docker/docker/api/types/registry"

	"tinyforge/db"
	"tinyforge/deploy"
)

// Registry is where images are pushed so that other engines can pull them. Repositories are "Host/Prefix/workload".
type Registry struct {
	Host     string // "registry.example.com:5000"
	Prefix   string // "tinyforge"
	User     string // "" means no account
	Password string // secret

	// Nodes is the account that the nodes of a Swarm get, which need not push; nil means User's.
	Nodes *deploy.RegistryAuth
}

// defaultPrefix keeps our repositories apart from what others have in a registry.
const defaultPrefix = "tinyforge"

// ParseRegistry reads "host[:port][/prefix]". Its error says what to give.
func ParseRegistry(text string) (Registry, error) {
	host, prefix, given := strings.Cut(strings.TrimRight(text, "/"), "/")
	if !given {
		prefix = defaultPrefix
	}
	r := Registry{Host: host, Prefix: prefix}
	named, err := reference.ParseNormalizedNamed(r.repository("web"))
	if err != nil || strings.Contains(text, "://") || strings.ContainsAny(prefix, ":@") || reference.Domain(named) != host || reference.Path(named) != prefix+"/web" {
		return Registry{}, fmt.Errorf("--registry %q: give host[:port][/prefix] in small letters, without http://, such as registry.example.com:5000/team", text)
	}
	if deploy.IsBuiltHere(named) {
		return Registry{}, fmt.Errorf("--registry %q: give a name of yours behind %s", text, host)
	}
	return r, nil
}

// repository is where the images of a workload are, "" for those of all.
func (r Registry) repository(workload string) string { return r.Host + "/" + r.Prefix + "/" + workload }

// auth is the account as the engine's API takes it.
func (r Registry) auth() (string, error) {
	encoded, err := registry.EncodeAuthConfig(registry.AuthConfig{Username: r.User, Password: r.Password, ServerAddress: r.Host})
	if err != nil {
		return "", fmt.Errorf("encode registry account: %w", err)
	}
	return encoded, nil
}

// nodesAuth is the account as EncodedRegistryAuth of a service, which the Swarm hands to each node that runs it.
func (r Registry) nodesAuth() (string, error) {
	if r.Nodes != nil {
		r.User, r.Password = r.Nodes.Username, r.Nodes.Password
	}
	return r.auth()
}

// find reads a name of an image, however it is written, if it is in one of our repositories.
func (r Registry) find(name string) (named reference.Named, found bool) {
	named, err := reference.ParseNormalizedNamed(name)
	return named, err == nil && r.has(named)
}

func (r Registry) has(named reference.Named) bool {
	return plainHost(reference.Domain(named)) == plainHost(r.Host) && strings.HasPrefix(reference.Path(named), r.Prefix+"/")
}

// plainHost is a registry's host in one way of the many to write it. Without a port Docker tries 443, and 80 where plain HTTP is allowed.
func plainHost(host string) string {
	host = strings.ToLower(host)
	at := strings.LastIndexByte(host, ':')
	if at < 0 || strings.HasSuffix(host, "]") {
		return host
	}
	switch port := strings.TrimLeft(host[at+1:], "0"); port {
	case "80", "443":
		return host[:at]
	default:
		return host[:at+1] + port
	}
}

// refused is why what is deployed may not name an image, "" when it may: one that was built here could be another workload's, as could
// one that Push sent to the registry.
func (e *Engine) refused(named reference.Named) string {
	where := ""
	switch to := e.cfg.Registry; {
	case deploy.IsBuiltHere(named):
		where = deploy.BuiltPrefix
	case to != nil && to.has(named):
		where = to.repository("")
	default:
		return ""
	}
	return fmt.Sprintf("is refused: %s is what was built here, for others too; name another image", where)
}

// pushedTag is the tag of a release's image: the deployment, and which Tinyforge it is of, since several may share a registry. Nobody can
// guess it: for as long as a push takes it names the image on this engine too.
func (e *Engine) pushedTag(r db.Release) string {
	sum := hmac.New(sha256.New, e.cfg.HashKey)
	sum.Write([]byte("pushed " + r.ID))
	return fmt.Sprintf("%d.%s.%x", r.DeploymentID, e.cfg.Instance, sum.Sum(nil)[:16])
}

var deploymentTag = regexp.MustCompile(`^([0-9]+)\.(.+?)(?:\.[0-9a-f]{32})?$`)

// pushedBy reads which deployment of this Tinyforge a tag is of, also one of old, without a sum.
func (e *Engine) pushedBy(tag string) (deployment string, ours bool) {
	parts := deploymentTag.FindStringSubmatch(tag)
	if parts == nil || parts[2] != e.cfg.Instance {
		return "", false
	}
	return parts[1], true
}

// isPushed tells whether a name is one that Push gave to an image of this engine, for as long as it took.
func (e *Engine) isPushed(name string) bool {
	if e.cfg.Registry == nil {
		return false
	}
	named, found := e.cfg.Registry.find(name)
	if tagged, ok := named.(reference.Tagged); found && ok {
		_, found = e.pushedBy(tagged.Tag())
	}
	return found
}

// notPushed are the names that Push did not give.
func (e *Engine) notPushed(names []string) (others []string) {
	for _, name := range names {
		if !e.isPushed(name) {
			others = append(others, name)
		}
	}
	return others
}

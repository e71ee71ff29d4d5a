package docker

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/docker/docker/api/types/registry"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"tinyforge/deploy"
)

// registryClient speaks to Config.Registry itself, for what the engine does not do. It trusts whom the engine trusts.
type registryClient struct {
	to        Registry
	parse     []name.Option
	account   authn.Authenticator
	transport *http.Transport
	insecure  bool // the engine would speak plain HTTP to it
}

func (e *Engine) registryClient(ctx context.Context) (*registryClient, error) {
	info, err := e.docker.Info(ctx)
	if err != nil {
		return nil, err
	}
	to := *e.cfg.Registry
	c := &registryClient{to: to, account: authn.Anonymous, transport: remote.DefaultTransport.(*http.Transport).Clone()}
	if to.User != "" {
		c.account = &authn.Basic{Username: to.User, Password: to.Password}
	}
	trust := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.insecure = isInsecure(ctx, info.RegistryConfig, to.Host); c.insecure {
		c.parse = append(c.parse, name.Insecure)
		trust.InsecureSkipVerify = true // as the engine does
	} else if strings.HasPrefix(e.docker.DaemonHost(), "unix://") {
		if trust.RootCAs, err = rootsFor(to.Host); err != nil {
			return nil, err
		}
	}
	c.transport.TLSClientConfig = trust
	return c, nil
}

func (c *registryClient) close() { c.transport.CloseIdleConnections() }

func (c *registryClient) options(ctx context.Context) []remote.Option {
	var transport http.RoundTripper = c.transport
	if !c.insecure {
		transport = httpsOnly{transport}
	}
	return []remote.Option{remote.WithContext(ctx), remote.WithAuth(c.account), remote.WithTransport(transport), remote.WithUserAgent("tinyforge")}
}

// httpsOnly keeps the library from plain HTTP, which it tries by itself where a host has a private address, and where it is led on to it.
type httpsOnly struct{ http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (t httpsOnly) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != "https" {
		return nil, fmt.Errorf("%s would get the account by plain HTTP: name it in Docker's insecure-registries, or give it a certificate", r.URL.Host)
	}
	return t.RoundTripper.RoundTrip(r)
}

// isInsecure tells whether the engine speaks to a registry without checking who it is.
func isInsecure(ctx context.Context, cfg *registry.ServiceConfig, host string) bool {
	if cfg == nil {
		return false
	}
	if index, known := cfg.IndexConfigs[host]; known {
		return !index.Secure
	}
	alone, _, err := net.SplitHostPort(host)
	if err != nil {
		alone = host
	}
	addresses, err := net.DefaultResolver.LookupIPAddr(ctx, alone)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(addresses, func(a net.IPAddr) bool {
		return slices.ContainsFunc(cfg.InsecureRegistryCIDRs, func(n *registry.NetIPNet) bool { return (*net.IPNet)(n).Contains(a.IP) })
	})
}

// certificates is where engines look for those of registries.
const certificates = "/etc/docker/certs.d"

// rootsFor are the authorities that this machine trusts, and those that its engine trusts for a registry.
func rootsFor(host string) (*x509.CertPool, error) {
	roots, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("read trusted certificates: %w", err)
	}
	files, err := filepath.Glob(filepath.Join(certificates, host, "*.crt"))
	if err != nil {
		return nil, fmt.Errorf("read trusted certificates: %w", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read trusted certificates: %w", err)
		}
		roots.AppendCertsFromPEM(text)
	}
	return roots, nil
}

// releaseName finds the workload in the name of a release.
var releaseName = regexp.MustCompile(`^tf-(.+)-[0-9]+$`)

// workloads are those that may have images below our prefix, sorted: the registry's own list, or, where it gives none, those of
// which something is kept.
func (c *registryClient) workloads(ctx context.Context, keep func(context.Context) (deploy.Kept, error)) (all []string, err error) {
	host, err := name.NewRegistry(c.to.Host, c.parse...)
	if err != nil {
		return nil, err
	}
	repositories, err := remote.Catalog(ctx, host, c.options(ctx)...)
	for _, r := range repositories {
		if workload, found := strings.CutPrefix(r, c.to.Prefix+"/"); found && !strings.Contains(workload, "/") {
			all = append(all, workload)
		}
	}
	if isStatus(err, append(refusals, http.StatusNotFound)...) {
		kept, keptErr := keep(ctx)
		for _, id := range kept.Releases {
			if parts := releaseName.FindStringSubmatch(string(id)); parts != nil {
				all = append(all, parts[1])
			}
		}
		err = keptErr
	}
	slices.Sort(all)
	return slices.Compact(all), err
}

// stored are the manifests of a workload's repository that have a tag.
func (c *registryClient) stored(ctx context.Context, workload string) (all []stored, err error) {
	repository, err := name.NewRepository(c.to.repository(workload), c.parse...)
	if err != nil {
		return nil, err
	}
	tags, err := remote.List(repository, c.options(ctx)...)
	if isStatus(err, http.StatusNotFound) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	for _, tag := range tags {
		found, err := remote.Head(repository.Tag(tag), c.options(ctx)...)
		if isStatus(err, http.StatusNotFound) {
			continue
		} else if err != nil {
			return nil, err
		}
		ref := repository.Digest(found.Digest.String())
		at := slices.IndexFunc(all, func(s stored) bool { return s.ref.DigestStr() == ref.DigestStr() })
		if at < 0 {
			at, all = len(all), append(all, stored{ref: ref, workload: workload})
		}
		all[at].tags = append(all[at].tags, tag)
	}
	return all, nil
}

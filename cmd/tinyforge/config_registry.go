package main

import (
	"flag"
	"net"
	"time"

	"tinyforge/deploy"
	"tinyforge/deploy/docker"
)

// registryOptions are of the command registry alone.
var registryOptions = []string{"registry-listen", "registry-cert", "registry-key", "registry-keep", "registry-plain-http"}

func (c *config) declareRegistry(f *flag.FlagSet) {
	f.StringVar(&c.Registry, "registry", "", "`host[:port][/prefix]` of the registry through which images reach the nodes of a Swarm, such as registry.example.com/web; the prefix is tinyforge when left out")
	f.StringVar(&c.RegistryListen, "registry-listen", "127.0.0.1:5000", "`address` on which the registry serves images")
	f.StringVar(&c.RegistryCert, "registry-cert", "", "`file` of the certificate with which the registry serves HTTPS; plain HTTP when empty")
	f.StringVar(&c.RegistryKey, "registry-key", "", "`file` of the certificate's key")
	f.BoolVar(&c.RegistryPlain, "registry-plain-http", false, "serve without a certificate on an address that other machines reach: whoever is in between reads the password and changes images")
	f.DurationVar(&c.RegistryKeep, "registry-keep", 6*time.Hour, "`time` after which data that no image needs any more are removed; longer than any push takes")
}

// checkRegistry is about serve.
func (c *config) checkRegistry() (faults []error) {
	fault := faultsTo(&faults)
	if c.Registry != "" {
		_, err := c.registry()
		faults = append(faults, err)
	}
	fault(c.Registry == "" && c.RegistryUser != "", "TINYFORGE_REGISTRY_USER is set, but not --registry: give the registry's host")
	fault(c.RegistryUser != "" && c.RegistryPassword == "", "TINYFORGE_REGISTRY_PASSWORD is missing: set it, or TINYFORGE_REGISTRY_PASSWORD_FILE, to the password of TINYFORGE_REGISTRY_USER")
	fault(c.Registry == "" && c.RegistryPullUser != "", "TINYFORGE_REGISTRY_PULL_USER is set, but not --registry: give the registry's host")
	fault((c.RegistryPullUser == "") != (c.RegistryPullPass == "") && c.Registry != "", "TINYFORGE_REGISTRY_PULL_USER and TINYFORGE_REGISTRY_PULL_PASSWORD belong together: give both, or neither")
	fault(c.Registry != "" && c.RegistryUser == "" && c.RegistryPassword != "", "TINYFORGE_REGISTRY_USER is missing: set it to the user of the registry; that of tinyforge registry is tinyforge")
	return faults
}

// registry is where images for the Swarm are pushed; nil for nowhere.
func (c *config) registry() (*docker.Registry, error) {
	if c.Registry == "" {
		return nil, nil
	}
	r, err := docker.ParseRegistry(c.Registry)
	if err != nil {
		return nil, err
	}
	r.User, r.Password = c.RegistryUser, c.RegistryPassword
	if c.RegistryPullUser != "" {
		r.Nodes = &deploy.RegistryAuth{Username: c.RegistryPullUser, Password: c.RegistryPullPass}
	}
	return &r, nil
}

// checkServeRegistry is about the command registry.
func (c *config) checkServeRegistry() (faults []error) {
	fault := faultsTo(&faults)
	host, _, err := net.SplitHostPort(c.RegistryListen)
	fault(err != nil, "--registry-listen %q: give an address such as 127.0.0.1:5000 or :5000", c.RegistryListen)
	fault(err == nil && c.RegistryCert == "" && !c.RegistryPlain && host != "localhost" && !net.ParseIP(host).IsLoopback(),
		"--registry-listen %s: other machines would send the password in clear: give --registry-cert and --registry-key, or --registry-plain-http if nobody can be in between", c.RegistryListen)
	fault((c.RegistryCert == "") != (c.RegistryKey == ""), "--registry-cert and --registry-key belong together: give both, or neither")
	fault(c.RegistryKeep < time.Second, "--registry-keep %s: give a time of at least one second, such as 6h", c.RegistryKeep)
	fault(c.RegistryUser != "" && c.RegistryUser != registryUser, "TINYFORGE_REGISTRY_USER %q: the user of tinyforge registry is tinyforge", c.RegistryUser)
	fault(c.RegistryPullUser != "" && c.RegistryPullUser != registryPullUser, "TINYFORGE_REGISTRY_PULL_USER %q: the user of tinyforge registry that may only pull is tinyforge-pull", c.RegistryPullUser)
	return append(faults, c.checkLogFormat()...)
}

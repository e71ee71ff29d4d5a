package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/term"

	"tinyforge/db"
)

// config is the configuration of the process. Forges and workloads are rows in the database, not options.
type config struct {
	Data     string
	Database string // secret: may hold a password
	Key      string // secret

	Listen       string
	ListenPublic string
	PublicURL    string

	TrustedProxies string // prefixes, separated by commas

	ProxyHTTP  string
	ProxyHTTPS string
	ACMEEmail  string
	ACMECA     string
	InternalCA bool
	AccessLog  string

	Router      string
	ProxySocket string
	NPMURL      string
	NPMProxy    string
	NPMIdentity string
	NPMPassword string // secret
	NPMForward  string
	NPMAdopt    string
	NPMGrace    time.Duration

	DockerHost string
	Network    string
	Runtimes   string // names, separated by commas

	Registry         string
	RegistryUser     string // secret
	RegistryPassword string // secret
	RegistryPullUser string // secret
	RegistryPullPass string // secret
	RegistryListen   string
	RegistryCert     string
	RegistryKey      string
	RegistryPlain    bool
	RegistryKeep     time.Duration

	SiteProgram string

	Workers  int
	Liveness time.Duration
	Drain    time.Duration
	Build    time.Duration

	KeepReleases int
	MaxReplicas  int
	MinFree      byteSize

	LogFormat string
	LogLevel  slog.Level

	Given   given
	Options map[string]string // that were given, by flag or in the environment, by their names; no secrets

	WithKey   bool   // backup only
	Prune     bool   // apply only
	Volumes   bool   // remove only
	Force     bool   // scale only
	To        string // migrate only; secret: may hold a password
	UseCopied bool   // migrate only
}

// given tells which options somebody has set. Those that can also be chosen on a page win over what was chosen there.
type given struct{ PublicURL, KeepReleases, MinFree, Listen bool }

// secrets are what of the configuration no log may show.
func (c *config) secrets() []db.Secret {
	all := []db.Secret{{Name: "TINYFORGE_KEY", Value: c.Key}, {Name: "TINYFORGE_NPM_PASSWORD", Value: c.NPMPassword},
		{Name: "TINYFORGE_REGISTRY_PASSWORD", Value: c.RegistryPassword}, {Name: "TINYFORGE_REGISTRY_PULL_PASSWORD", Value: c.RegistryPullPass}}
	if u, err := url.Parse(c.Database); err == nil && u.User != nil {
		password, _ := u.User.Password()
		all = append(all, db.Secret{Name: "TINYFORGE_DATABASE", Value: password})
	}
	return all
}

// off is what turns a listener off.
const off = "off"

const defaultListen = "127.0.0.1:4040"

const (
	defaultHTTP  = ":80"
	defaultHTTPS = ":443"
)

// readConfig reads flags and environment for a command. Its error lists everything that is wrong, in words that say what
// to do.
func readConfig(name string, args, env []string, out io.Writer) (config, []string, error) {
	var c config
	command, _ := commandNamed(name)
	o := newOptions(command, env, out)
	c.declare(o)
	rest, err := o.parseFlags(args)
	if err != nil {
		return c, nil, err
	}
	err = o.parseEnvironment()
	if command.args == "" && len(rest) > 0 {
		err = errors.Join(err, fmt.Errorf("unexpected argument %q: options begin with --", rest[0]))
	}
	c.Options = o.values()
	c.Given = given{PublicURL: o.given["public-url"], KeepReleases: o.given["keep-releases"], MinFree: o.given["min-free"], Listen: o.given["listen"]}
	c.normalize()
	return c, rest, errors.Join(err, c.checkTo(o), c.check(command.uses))
}

// checkTo refuses a password that anybody on the machine can read, since it is not in the environment, and no address, which is a variable
// that nobody has set.
func (c *config) checkTo(o *options) error {
	if c.To == "" && o.given["to"] {
		return errors.New("--to, or TINYFORGE_TO, is empty: give it the address of the database to copy to, or leave it out")
	}
	u, err := url.Parse(c.To)
	if err != nil || u.User == nil {
		return nil
	}
	if _, has := u.User.Password(); has && o.env[envName("to")] == "" {
		return errors.New("--to has a password, which others can see in the list of processes: give the address in TINYFORGE_TO")
	}
	return nil
}

// declare lets every command know every option, so that all can run in one environment.
func (c *config) declare(o *options) {
	f := o.flags
	data := "`folder` for the database, the sealing key and certificates; made when absent"
	switch o.command.name {
	case "registry":
		data = "`folder` in which the registry keeps its images and its password; made when absent"
	case "proxy":
		data = "`folder` in which the proxy keeps its routes and certificates, and its socket without --proxy-socket; made when absent"
	}
	f.StringVar(&c.Data, "data", defaultData(), data)
	f.StringVar(&c.PublicURL, "public-url", "", "`URL` at which forges and people reach this Tinyforge, such as https://deploy.example.com")
	f.StringVar(&c.LogFormat, "log-format", "auto", "`text`, json, or auto: text on a terminal and JSON elsewhere")
	f.TextVar(&c.LogLevel, "log-level", slog.LevelInfo, "`debug`, info, warn or error")
	o.secret(&c.Database, "database")
	o.secret(&c.Key, "key")
	o.secret(&c.NPMPassword, "npm-password")
	o.secret(&c.RegistryUser, "registry-user")
	o.secret(&c.RegistryPassword, "registry-password")
	o.secret(&c.RegistryPullUser, "registry-pull-user")
	o.secret(&c.RegistryPullPass, "registry-pull-password")
	if o.command.name == "apply" {
		f.BoolVar(&c.Prune, "prune", false, "delete forges and workloads that are not in the file")
	}
	if o.command.name == "backup" {
		f.BoolVar(&c.WithKey, "with-key", false, "put the sealing key into the backup: whoever has that file can read every secret, so keep it like the secrets")
	}
	if o.command.name == "migrate" {
		f.StringVar(&c.To, "to", "", "copy all into the empty `database` at this address, such as postgres://user@host/name; one with a password belongs into TINYFORGE_TO")
		f.BoolVar(&c.UseCopied, "use-copied", false, "use a database again that was copied to another one, without what happened there since")
	}
	if o.command.name == "remove" {
		f.BoolVar(&c.Volumes, "volumes", false, "remove the workload's volumes, with all that is in them")
	}
	if o.command.name == "scale" {
		f.BoolVar(&c.Force, "force", false, "take a number above --max-replicas")
	}
	f.StringVar(&c.Listen, "listen", defaultListen, "`address` for pages, webhooks, health and metrics; reached from outside through the proxy at --public-url")
	f.StringVar(&c.ListenPublic, "listen-public", "", "`address` for pages and webhooks without health and metrics, for a proxy of yours; a free one on loopback when empty")
	f.StringVar(&c.TrustedProxies, "trusted-proxies", "127.0.0.0/8,::1", "`addresses` and networks of reverse proxies, separated by commas, that are believed whom a request comes from")
	c.declareRouter(f)
	c.declareRegistry(f)
	f.StringVar(&c.ProxyHTTP, "proxy-http", defaultHTTP, "`address` on which the proxy serves HTTP; off for none")
	f.StringVar(&c.ProxyHTTPS, "proxy-https", defaultHTTPS, "`address` on which the proxy serves HTTPS, with certificates that it gets itself; off for none")
	f.StringVar(&c.ACMEEmail, "acme-email", "", "`address` to which the certificate authority may write")
	f.StringVar(&c.ACMECA, "acme-ca", "", "`URL` of another certificate authority's ACME directory")
	f.BoolVar(&c.InternalCA, "internal-ca", false, "sign certificates locally instead of asking an authority: for tests and private networks")
	f.StringVar(&c.DockerHost, "docker-host", "", "`URL` of the Docker engine; DOCKER_HOST and then the local socket when empty")
	f.StringVar(&c.Network, "docker-network", "tinyforge", "`name` of the Docker network that joins the containers; made when absent")
	f.StringVar(&c.Runtimes, "runtimes", "", "`names`, separated by commas, of what this process deploys to: docker, swarm; all that its Docker offers when empty")
	f.StringVar(&c.SiteProgram, "site-program", "", "`file` of the tinyforge that is put into the images of static sites, linked statically; this one when empty")
	f.IntVar(&c.Workers, "workers", 2, "`number` of deployments at a time")
	f.DurationVar(&c.Liveness, "liveness", 5*time.Second, "`time` for which a release without a healthcheck must stay up")
	f.DurationVar(&c.Drain, "drain", 30*time.Second, "`time` for which requests in flight to the old release are waited for")
	c.MinFree = 1 << 30
	f.IntVar(&c.KeepReleases, "keep-releases", 3, "`number` of good releases of a workload to which one can roll back, the live one included")
	f.IntVar(&c.MaxReplicas, "max-replicas", 100, "`number` of replicas up to which pages, the API and the command scale a workload, or as many as its settings, which are an administrator's, said already")
	f.TextVar(&c.MinFree, "min-free", c.MinFree, "`size` that must be free on the disks of Docker and of the data folder before a build, such as 2GB")
	f.DurationVar(&c.Build, "build-timeout", time.Hour, "`time` after which a build is given up")
}

// defaultData is where services keep their state, or the user's own place for it.
func defaultData() string {
	if os.Geteuid() == 0 {
		return "/var/lib/tinyforge"
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "tinyforge-data"
	}
	return filepath.Join(home, ".local", "share", "tinyforge")
}

// siteProgram is ourselves as we run, even if the file was replaced by another version since.
func (c *config) siteProgram() string { return cmp.Or(c.SiteProgram, "/proc/self/exe") }

func (c *config) normalize() {
	if folder, err := filepath.Abs(c.Data); err == nil && c.Data != "" { // others are started in folders of their own
		c.Data = folder
	}
	c.PublicURL = strings.TrimRight(c.PublicURL, "/")
	c.Given.PublicURL = c.Given.PublicURL && c.PublicURL != ""
	for _, address := range []*string{&c.ProxyHTTP, &c.ProxyHTTPS} {
		if *address == off {
			*address = ""
		}
	}
	if c.Database == "" {
		c.Database = "sqlite://" + filepath.Join(c.Data, "tinyforge.db")
	}
}

// check finds values that cannot be, and contradictions, among the options that are used.
func (c *config) check(uses func(option string) bool) error {
	var faults []error
	fault := faultsTo(&faults)
	u, err := url.Parse(c.PublicURL)
	fault(c.PublicURL != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https"),
		"--public-url %q: give a whole URL, such as https://deploy.example.com", c.PublicURL)
	fault(err == nil && u.Host != "" && (u.Path != "" || u.RawQuery != "" || u.User != nil),
		"--public-url %q: give scheme and host only; Tinyforge needs a host of its own", c.PublicURL)
	fault(!strings.HasPrefix(c.Database, "sqlite://") && !strings.HasPrefix(c.Database, "postgres://") && !strings.HasPrefix(c.Database, "postgresql://"),
		"TINYFORGE_DATABASE: begin with sqlite:// or postgres://")
	switch {
	case uses("listen"):
		faults = append(faults, c.checkServe()...)
	case uses("registry-listen"):
		faults = append(faults, c.checkServeRegistry()...)
	case uses("proxy-http"):
		faults = append(faults, c.checkProxy()...)
	case uses("router"):
		_, err := c.routerCheck()
		faults = append(faults, err)
	}
	return errors.Join(faults...)
}

func (c *config) checkServe() (faults []error) {
	fault := faultsTo(&faults)
	for name, address := range map[string]string{"listen": c.Listen, "listen-public": c.ListenPublic} {
		_, _, err := net.SplitHostPort(address)
		fault((address != "" || name == "listen") && err != nil, "--%s %q: give an address such as :80 or 127.0.0.1:8080", name, address)
	}
	faults = append(faults, c.checkShared()...)
	_, err := c.runtimes()
	faults = append(faults, err)
	fault(c.Workers < 1, "--workers %d: at least one is needed", c.Workers)
	fault(c.Liveness <= 0, "--liveness %s: give a time above zero, such as 5s", c.Liveness)
	fault(c.MaxReplicas < 1 || c.MaxReplicas > 1000, "--max-replicas %d: give a number from 1 to 1000", c.MaxReplicas)
	fault(c.KeepReleases < 1 || c.KeepReleases > 50, "--keep-releases %d: give a number from 1 to 50", c.KeepReleases)
	fault(c.Build <= 0, "--build-timeout %s: give a time above zero, such as 1h", c.Build)
	faults = append(faults, c.checkRegistry()...)
	return append(faults, c.checkRouter()...)
}

// checkShared is about options of serve that the command proxy has too.
func (c *config) checkShared() (faults []error) {
	fault := faultsTo(&faults)
	for name, address := range map[string]string{"proxy-http": c.ProxyHTTP, "proxy-https": c.ProxyHTTPS} {
		_, _, err := net.SplitHostPort(address)
		fault(address != "" && err != nil, "--%s %q: give an address such as :80 or 127.0.0.1:8080", name, address)
	}
	_, err := c.trusted()
	fault(err != nil, "--trusted-proxies %q: give addresses and networks, separated by commas, such as 127.0.0.1,172.18.0.0/16", c.TrustedProxies)
	fault(c.Drain <= 0, "--drain %s: give a time above zero, such as 30s", c.Drain)
	return append(faults, c.checkLogFormat()...)
}

func (c *config) checkLogFormat() (faults []error) {
	fault := faultsTo(&faults)
	fault(c.LogFormat != "auto" && c.LogFormat != "text" && c.LogFormat != "json",
		"--log-format %q: use auto, text or json", c.LogFormat)
	return faults
}

// trusted are the networks of --trusted-proxies. None is not nil.
func (c *config) trusted() ([]netip.Prefix, error) {
	list := []netip.Prefix{}
	for _, text := range strings.FieldsFunc(c.TrustedProxies, func(r rune) bool { return r == ',' || r == ' ' }) {
		if a, err := netip.ParseAddr(text); err == nil {
			text = netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()).String()
		}
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("read network: %w", err)
		}
		list = append(list, p)
	}
	return list, nil
}

// newLogger writes to out, as text where a person reads along.
func newLogger(c config, out *guardedLog) *slog.Logger {
	options := &slog.HandlerOptions{Level: c.LogLevel}
	file := out.file()
	if c.LogFormat == "text" || c.LogFormat == "auto" && file != nil && term.IsTerminal(int(file.Fd())) {
		return slog.New(slog.NewTextHandler(out, options))
	}
	return slog.New(slog.NewJSONHandler(out, options))
}

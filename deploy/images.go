package deploy

// BuildSpec is one image to build from a checkout. All paths are relative to Dir, slash-separated, and already known to
// stay inside it, symlinks included.
type BuildSpec struct {
	Dir        string // the checkout
	Context    string // folder sent to the builder; "." is Dir
	Dockerfile string // relative to Dir
	Target     string // stage; "" is the last one
	Args       map[string]string
	Secrets    map[string]string // for RUN --mount=type=secret,id=...; never in an image, an argv or a log
	Tag        string            // "tinyforge/web:17"
	Labels     map[string]string

	// CacheNamespace keeps the caches of RUN --mount=type=cache,id=... apart from those of builds with another one. It does
	// not hold for a Dockerfile whose "# syntax=" line names a frontend of its own: that one speaks to the builder itself,
	// and may open every cache whose id it can guess. What such a build reads or leaves there is not defended against.
	CacheNamespace string
}

// RegistryAuth is the account for a registry.
type RegistryAuth struct {
	Username string
	Password string
}

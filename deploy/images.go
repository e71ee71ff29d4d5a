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
}

// RegistryAuth is the account for a registry.
type RegistryAuth struct {
	Username string
	Password string
}

package deploy

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/distribution/reference"

	"tinyforge/db"
)

// BuiltPrefix begins the names of all images that are built here, those of every workload. Nobody else may give such names
// to images, or name one in what is to be deployed: see IsBuiltHere.
const BuiltPrefix = "tinyforge/"

// IsBuiltHere tells whether a name, however it is written, is that of an image that was built here. A repository that
// could name one would read what is in the images of others.
func IsBuiltHere(named reference.Named) bool {
	return reference.Domain(named) == "docker.io" && strings.HasPrefix(reference.Path(named), BuiltPrefix)
}

// builtTag names the images of a release: "tinyforge/web:17-" and 32 hex digits for tf-web-17. Nobody can guess it: builders look among
// the engine's own images first, and whoever knows a name reads the image.
func builtTag(key *db.DB, workload string, id db.ReleaseID) string {
	number := id[strings.LastIndexByte(string(id), '-')+1:]
	return fmt.Sprintf("%s%s:%s-%x", BuiltPrefix, workload, number, key.Derive("name of image " + string(id))[:16])
}

// BuildSpec is one image to build from a checkout. All paths are relative to Dir, slash-separated, and already known to
// stay inside it, symlinks included.
type BuildSpec struct {
	Dir        string // the checkout
	Context    string // folder sent to the builder; "." is Dir
	Dockerfile string // relative to Dir
	Target     string // stage; "" is the last one
	Args       map[string]string
	Secrets    map[string]string // for RUN --mount=type=secret,id=...; never in an image, an argv or a log
	Tag        string            // "tinyforge/web:17-0123..."
	Labels     map[string]string

	// Base is the one image that was built here which the Dockerfile may name, as it is written there: it is Tinyforge's own
	// Dockerfile then.
	Base string

	// CacheNamespace keeps the caches of RUN --mount=type=cache,id=... apart from those of builds with another one.
	//
	// It does not hold for a Dockerfile whose "# syntax=" line names a frontend of its own: that one speaks to the builder itself, and
	// may open every cache whose id it can guess. What such a build reads or leaves there is not defended against.
	CacheNamespace string
}

// RegistryAuth is the account for a registry.
type RegistryAuth struct {
	Username string
	Password string
}

// PullSpec is one image to fetch from a registry.
type PullSpec struct {
	Ref      string        // "ghcr.io/acme/site:1"
	Platform string        // "linux/arm64"; "" means the one that Docker runs on
	Auth     *RegistryAuth // nil means anonymously
}

// ErrNoAccess is in the *Failure of a pull whose registry refuses the account, or shows it no such image: with another
// account, or with none, it might be different.
var ErrNoAccess = errors.New("the registry shows no such image to this account")

// Images is what a runtime keeps on its disk. Implementations are safe for concurrent use.
type Images interface {
	// FreeSpace returns the free bytes of the disk that holds images and builds; errors.ErrUnsupported, wrapped, where that
	// cannot be told.
	FreeSpace(ctx context.Context) (int64, error)
	// PruneImages removes the images that were built for us, and those that we brought from registries, that neither a
	// container nor Kept needs. One that was there before we asked for it, or to which somebody gave another name, stays.
	// keep is called after it has looked at what exists, for each place where that is: what is begun meanwhile is in its answer.
	// It goes on after an error, and returns what it removed.
	PruneImages(ctx context.Context, keep func(context.Context) (Kept, error)) (removed []string, err error)
	// PruneBuildCache gives up what builds could reuse.
	PruneBuildCache(ctx context.Context) error
}

// Kept are the images that must stay. Those of a deployment that is being built are in no row yet: they are known by the
// release for which they were built, or by when they were pulled.
type Kept struct {
	Images   []string // by name or id
	Releases []db.ReleaseID
	Begun    []db.ReleaseID // those of Releases whose deployment has not ended
	Since    time.Time      // what was pulled from then on stays
}

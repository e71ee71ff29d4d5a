package docker

import (
	"context"
	"net"
	"path/filepath"
	"time"

	"github.com/distribution/reference"
	buildkit "github.com/moby/buildkit/client"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/session/secrets/secretsprovider"
	"github.com/tonistiigi/fsutil"
	"github.com/tonistiigi/fsutil/types"

	"tinyforge/deploy"
)

// buildkit connects to the BuildKit inside the engine. It fails where there is none. The version header of the engine's
// ping does not tell: 20.10 sends none.
func (e *Engine) buildkit(ctx context.Context) (*buildkit.Client, error) {
	kit, err := buildkit.New(ctx, "",
		buildkit.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return e.docker.DialHijack(ctx, "/grpc", "h2c", nil)
		}),
		buildkit.WithSessionDialer(func(ctx context.Context, proto string, meta map[string][]string) (net.Conn, error) {
			return e.docker.DialHijack(ctx, "/session", proto, meta)
		}))
	if err != nil {
		return nil, err
	}
	known := e.facts.Load()
	if known != nil && known.buildKit {
		return kit, nil
	}
	if _, err := kit.ListWorkers(ctx); err != nil {
		_ = kit.Close()
		return nil, err
	}
	e.learn(known, func(f *facts) { f.buildKit = true })
	return kit, nil
}

func (e *Engine) solve(ctx context.Context, kit *buildkit.Client, spec deploy.BuildSpec, out *lines) error {
	opt, err := solveOpt(spec)
	if err != nil {
		return err
	}
	p := newProgress(out)
	updates, shown := make(chan *buildkit.SolveStatus), make(chan struct{})
	go func() {
		defer close(shown)
		for u := range updates { // Solve blocks unless it is read to its end
			p.show(u)
		}
	}()
	_, err = kit.Solve(ctx, nil, opt, updates)
	<-shown
	p.finish()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err == nil {
		return nil
	}
	if _, gone := e.docker.Ping(ctx); gone != nil {
		return gone
	}
	out.emit("ERROR: " + solveText(err.Error()))
	return buildFailure(err.Error(), p.failed, out.blot)
}

func solveOpt(spec deploy.BuildSpec) (buildkit.SolveOpt, error) {
	files, err := freshFS(filepath.Join(spec.Dir, filepath.FromSlash(spec.Context)))
	if err != nil {
		return buildkit.SolveOpt{}, err
	}
	file, err := filepath.EvalSymlinks(filepath.Join(spec.Dir, filepath.FromSlash(spec.Dockerfile)))
	if err != nil {
		return buildkit.SolveOpt{}, err
	}
	dockerfile, err := freshFS(filepath.Dir(file))
	if err != nil {
		return buildkit.SolveOpt{}, err
	}
	attrs := map[string]string{"filename": filepath.Base(file)}
	if spec.Target != "" {
		attrs["target"] = spec.Target
	}
	for name, value := range spec.Args {
		attrs["build-arg:"+name] = value
	}
	attrs["build-arg:BUILDKIT_CACHE_MOUNT_NS"] = spec.CacheNamespace // after Args, which may name it too
	for name, value := range spec.Labels {
		attrs["label:"+name] = value
	}
	secrets := make(map[string][]byte, len(spec.Secrets))
	for id, value := range spec.Secrets {
		secrets[id] = []byte(value)
	}
	return buildkit.SolveOpt{
		Frontend:      "dockerfile.v0",
		FrontendAttrs: attrs,
		LocalMounts:   map[string]fsutil.FS{"context": files, "dockerfile": dockerfile},
		SharedKey:     repository(spec.Tag),
		Session:       []session.Attachable{secretsprovider.FromMap(secrets)},
		Exports:       []buildkit.ExportEntry{{Type: "moby", Attrs: map[string]string{"name": spec.Tag}}},
	}, nil
}

// freshFS is a folder whose files all changed just now. BuildKit keeps one copy of the context for each repository and
// asks for the files whose size or time differ: two commits of one second must not be taken for the same.
func freshFS(dir string) (fsutil.FS, error) {
	files, err := fsutil.NewFS(dir)
	if err != nil {
		return nil, err
	}
	now := time.Now().UnixNano()
	return fsutil.NewFilterFS(files, &fsutil.FilterOpt{Map: func(_ string, stat *types.Stat) fsutil.MapResult {
		stat.ModTime = now
		return fsutil.MapResultKeep
	}})
}

// repository is a tag without its version.
func repository(tag string) string {
	named, err := reference.ParseNormalizedNamed(tag)
	if err != nil {
		return tag
	}
	return named.Name()
}

package source

import (
	"context"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"tinyforge/deploy"
)

// siteFolder is where a site is in its image.
const siteFolder = "/site"

// siteServer is the image on which those of all sites are based: Tinyforge's own program and nothing else. Its tag tells the
// program's content, so that there is one for each version, which all sites share.
type siteServer struct {
	builder ImageBuilder
	program string

	mu   sync.Mutex
	seen programState
	tag  string
}

// programState changes when the program is replaced.
type programState struct {
	size    int64
	changed time.Time
}

const siteServerDockerfile = `FROM scratch
COPY tinyforge /tinyforge
USER ` + siteUser + `
ENTRYPOINT ["/tinyforge", "site", "` + siteFolder + `"]
`

// build builds an image that is based on the server's, which is made when it is absent; somebody may remove it at any time,
// even while it is needed.
func (s *siteServer) build(ctx context.Context, st *stage, build func(base string) (string, error)) (image string, err error) {
	const tries = 3
	for range tries {
		var base string
		if base, err = s.ensure(ctx, st); err != nil {
			return "", err
		}
		if image, err = build(base); err == nil {
			return image, nil
		}
		if there, asked := s.builder.ImageExists(ctx, base); there || asked != nil {
			return "", err
		}
	}
	return "", err
}

// ensure makes the image, unless it is there, and returns its tag.
func (s *siteServer) ensure(ctx context.Context, st *stage) (tag string, err error) {
	if tag, err = s.name(); err != nil {
		return "", err
	}
	there, err := s.builder.ImageExists(ctx, tag)
	if err != nil || there {
		return tag, err
	}
	name, err := st.folder()
	if err != nil {
		return "", err
	}
	base := &stage{checkout: st.checkout, name: name}
	defer os.RemoveAll(base.path("."))
	if err := copyProgram(s.program, base.path("tinyforge")); err != nil {
		return "", err
	}
	if err := base.write("Dockerfile", siteServerDockerfile); err != nil {
		return "", err
	}
	if err := st.say("Making the file server's image, which all sites share"); err != nil {
		return "", err
	}
	_, err = s.builder.Build(ctx, deploy.BuildSpec{
		Dir: st.checkout, Context: name, Dockerfile: name + "/Dockerfile", Tag: tag, CacheNamespace: "_site_server",
	}, io.Discard)
	return tag, err
}

// name is the tag for the program as it is now. No workload's images can have its name.
func (s *siteServer) name() (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	info, err := os.Stat(s.program)
	if err != nil {
		return "", fmt.Errorf("read the file server's program: %w", err)
	}
	state := programState{info.Size(), info.ModTime()}
	if s.tag != "" && state == s.seen {
		return s.tag, nil
	}
	sum, err := checkProgram(s.program)
	if err != nil {
		return "", err
	}
	s.seen, s.tag = state, deploy.BuiltPrefix+"site_server:"+sum
	return s.tag, nil
}

// checkProgram returns a hash of a program that can run where nothing else is; for another one, a *deploy.Failure.
func checkProgram(file string) (sum string, err error) {
	f, err := os.Open(file)
	if err != nil {
		return "", fmt.Errorf("read the file server's program: %w", err)
	}
	defer f.Close()
	program, err := elf.NewFile(f)
	if err != nil {
		return "", &deploy.Failure{Text: "Static sites are served by Tinyforge's own program, and this one is not for Linux: " +
			"name one with --site-program", Err: err}
	}
	for _, p := range program.Progs {
		if p.Type == elf.PT_INTERP {
			return "", &deploy.Failure{Text: "Static sites are served by Tinyforge's own program, and this one needs libraries that " +
				"their images do not have: build Tinyforge with CGO_ENABLED=0 (make build does), or name such a program with --site-program"}
		}
	}
	hash := sha256.New()
	if _, err := io.Copy(hash, io.NewSectionReader(f, 0, 1<<62)); err != nil {
		return "", fmt.Errorf("read the file server's program: %w", err)
	}
	return hex.EncodeToString(hash.Sum(nil)[:8]), nil
}

func copyProgram(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("copy the file server's program: %w", err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return fmt.Errorf("copy the file server's program: %w", err)
	}
	defer out.Close()
	if _, err := io.Copy(out, in); err != nil {
		return fmt.Errorf("copy the file server's program: %w", err)
	}
	return out.Chmod(0o755) // whatever the umask
}
